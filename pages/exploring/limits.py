"""The limits a result must keep to, and the smallest one that does, explained in a sentence."""

import math
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from engine.analysis import words
from engine.analysis.front import guesses, telling_score
from engine.analysis.limits import SIZE, Limit, Smallest, explain, smallest_within
from engine.metrics import METRICS
from engine.outcome.row import Row
from pages.shared import frame, markup, stored, view
from pages.shared.stored import Group
from pages.shared.view import State, Value

PAGE = "explore"
ANY = "any"
LOSSES = (ANY, "20", "15", "10", "7", "5", "4", "3", "2", "1", "0.5")  # points
SHARES = (ANY, "30", "40", "50", "60", "70", "80", "90", "95")  # percent of the next words
SPEEDS = (ANY, "0.5", "0.7", "0.8", "0.9", "1", "1.05", "1.1", "1.2", "1.3", "1.5", "1.7", "2", "2.5", "3", "4")
VALUES = {
    "loss": Value(ANY, allowed=LOSSES),
    "next_word": Value(ANY, allowed=SHARES),
    "most": Value(math.inf, low=0.0),
    "faster": Value(ANY, allowed=SPEEDS),
}


def draw(
    group: Group, rows: Sequence[Row], state: Mapping[str, State], choose: Callable[[str], None]
) -> Smallest | None:
    """The sliders, and below them what they pick among the rows; None while nothing is limited."""
    dense = stored.dense_of(group.rows)
    held = limits(state, dense)
    with st.expander("Find the smallest result within limits", expanded=bool(held) or not frame.narrow()):
        quality, size, speed = st.columns(3, gap="large")
        with quality:
            _draw_quality(dense)
        with size:
            _draw_size(group, state)
        with speed:
            st.select_slider(
                "At least this fast", SPEEDS, key=view.key(PAGE, "faster"), format_func=_speed_name,
                help="Words per second against the original, timed side by side; the interval's lower end counts.",
            )  # fmt: skip
        if not held:
            markup.soft("Move a limit, and the smallest result that keeps to all of them is named here, with why.")
            return None
        found = _pick(rows, stored.stamp(rows), held)
        markup.text(explain(found))
        if found.row is not None:
            st.button("Look at it", key="explore:pick", on_click=choose, args=(found.row.trial_id,))
        return found


def limits(state: Mapping[str, State], dense: Row | None) -> list[Limit]:
    """The limits that the sliders set; of accuracy only where the original does better than guessing."""
    found = []
    if guesses(dense):
        if state["next_word"] != ANY:
            found.append(Limit("top1_agreement", float(str(state["next_word"])) / 100))
    elif state["loss"] != ANY:
        found.append(Limit(f"{telling_score(dense)}_change", -float(str(state["loss"])) / 100))
    most = float(str(state["most"]))
    if math.isfinite(most):
        found.append(Limit(SIZE, most * 1e6))
    if state["faster"] != ANY:
        found.append(Limit("decode_speedup", float(str(state["faster"]))))
    return found


@st.cache_resource(show_spinner=False, max_entries=16)
def _pick(_rows: Sequence[Row], key: int, held: Sequence[Limit]) -> Smallest:
    return smallest_within(_rows, held)


def _draw_quality(dense: Row | None) -> None:
    """How much may be lost: of accuracy, or of the next words where the original itself guesses the answers."""
    if guesses(dense):
        st.select_slider(
            "Same next word, at least", SHARES, key=view.key(PAGE, "next_word"), format_func=_share_name,
            help=f"{words.guessing(dense)} {METRICS['top1_agreement'].definition}",
        )  # fmt: skip
        return
    st.select_slider(
        "Accuracy lost, at most", LOSSES, key=view.key(PAGE, "loss"), format_func=_loss_name,
        help="At 95% confidence: the lower end of the paired interval of the change must be within it.",
    )  # fmt: skip


def _draw_size(group: Group, state: Mapping[str, State]) -> None:
    sizes = [size / 1e6 for row in group.rows if row.state == "done" and (size := row.value(SIZE))]
    least, most = math.floor(min(sizes, default=0.0)), math.ceil(max(sizes, default=0.0))
    if least >= most:
        return
    key = f"{view.key(PAGE, 'most')}:{group.key}:{least}:{most}"
    view.show(key, round(min(max(float(str(state["most"])), least), most)))
    st.slider(
        "At most this large", least, most, step=1, format="%d MB", key=key, on_change=_keep_size, args=(key, most),
        help=f"{METRICS[SIZE].definition} MB are 10⁶ bytes. At its right end any size will do.",
    )  # fmt: skip


def _keep_size(key: str, most: int) -> None:
    chosen = st.session_state[key]
    st.session_state[view.key(PAGE, "most")] = float(chosen) if chosen < most else math.inf


def _loss_name(points: str) -> str:
    return "any loss" if points == ANY else f"{points} point{'' if points == '1' else 's'}"


def _share_name(percent: str) -> str:
    return "any share" if percent == ANY else f"{percent}%"


def _speed_name(times: str) -> str:
    return "any speed" if times == ANY else f"{times}x"
