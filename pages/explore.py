"""Explore: the front on any axes, what each point is, and all of it as a table."""

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from engine import assets, words
from engine.front import PRESETS, Front, guesses, is_dense, telling_quality
from engine.metrics import METRICS
from engine.plots import FAMILIES, Y_CHOICES
from engine.row import Row
from engine.spec import DEFAULT_MODEL
from pages.shared import chart, frame, link, markup, saved_sweeps, stored, take_along, tray, view
from pages.shared.card import draw_card
from pages.shared.result_words import family_label, group_name
from pages.shared.results_table import draw_table
from pages.shared.stored import Group
from pages.shared.view import State, Value

PAGE = "explore"
TABLE = "explore|table"  # counts up when another point is chosen elsewhere, which clears the table's choice
CUSTOM = "custom"
PRESET_NAMES = {
    "size-quality": "Size",
    "speed-quality": "Speed",
    "memory-quality": "Memory",
    CUSTOM: "Other axes",
}
AXES = [name for name, metric in METRICS.items() if metric.better != "none"]
SMALLER = {"any": "any size", "1.5": "at least 1.5x", "2": "at least 2x", "3": "at least 3x", "4": "at least 4x"}


def main() -> None:
    markup.title("Explore")
    found = {group.key: group for group in stored.groups()}
    if found:
        values = view_values(found)
        view.restore(PAGE, values)
        draw_view(found, values)
    else:
        saved_sweeps.draw(PAGE, found)
        draw_empty()


def draw_empty() -> None:
    markup.lead("There are no results yet. Measure some, and every point of their front can be looked at here.")
    with st.container(horizontal=True):
        if st.button("New sweep", type="primary", key="explore:new_sweep"):
            st.switch_page("pages/new_sweep.py")
        if st.button("Runs", key="explore:runs"):
            st.switch_page("pages/runs.py")


def view_values(found: Mapping[str, Group]) -> dict[str, Value]:
    """Everything that makes up this view, as it stands in the address."""
    first = next(iter(found.values()))
    return {
        "of": Value(next(iter(found)), allowed=tuple(found)),
        "axes": Value("size-quality", allowed=tuple(PRESET_NAMES)),
        "quality": Value(telling_quality(first.rows, first.comparison.id), allowed=Y_CHOICES),
        "x": Value("weight_bytes", allowed=AXES),
        "y": Value("accuracy", allowed=AXES),
        "families": Value([], allowed=tuple(FAMILIES)),
        "smaller": Value("any", allowed=tuple(SMALLER)),
        "simulated": Value(True),
        "only_front": Value(False),
        "named": Value(""),
        "trials": tray.VALUE,
        "trial": Value(""),
    }


@st.fragment
def draw_view(found: Mapping[str, Group], values: Mapping[str, Value]) -> None:
    saved_sweeps.draw(PAGE, found)
    group = draw_choice(found)
    x, y = draw_axes()
    draw_filters(group)
    state = view.keep(PAGE, values)
    rows = filtered(group, state, x, y)
    front = stored.front_of(rows, x, y, group.comparison.id)
    left, right = st.columns([2.3, 1], gap="medium")
    with left:
        trial = str(state["trial"])
        chart.draw_front(
            rows, x, y, key="explore:chart", comparison=group.comparison.id, highlighted=[trial], on_point=choose
        )
    with right:
        draw_panel(group, front, trial)
    draw_below(group, rows, front, link_query=view.query(values, state))


def draw_choice(found: Mapping[str, Group]) -> Group:
    """Which results: one origin, one model, one protocol; never several mixed."""
    key = st.selectbox(
        "Results",
        list(found),
        key=view.key(PAGE, "of"),
        format_func=lambda k: group_name(found[k]),
        help="Only results of the same model on the same questions can stand on one front.",
    )
    return found[key]


def draw_axes() -> tuple[str, str]:
    """The metrics of both axes."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axes = st.segmented_control(
            "Compare quality with", list(PRESET_NAMES), key=view.key(PAGE, "axes"), required=True,
            format_func=PRESET_NAMES.__getitem__,
        )  # fmt: skip
        if axes != CUSTOM:
            st.segmented_control(
                "Quality is", Y_CHOICES, key=view.key(PAGE, "quality"), required=True, format_func=quality_name
            )
    if axes != CUSTOM:
        return PRESETS[str(axes)][0], str(st.session_state[view.key(PAGE, "quality")])
    for column, name, label in zip(st.columns(2), ("x", "y"), ("Across", "Up"), strict=True):
        column.selectbox(label, AXES, key=view.key(PAGE, name), format_func=lambda n: METRICS[n].label)
    return tuple(str(st.session_state[view.key(PAGE, name)]) for name in ("x", "y"))  # type: ignore[return-value]


def quality_name(name: str) -> str:
    return {"top1_agreement": "Same next word"}.get(name, METRICS[name].label)


def draw_filters(group: Group) -> None:
    there = {row.family for row in group.rows} | set(st.session_state[view.key(PAGE, "families")])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            "Show only", [name for name in FAMILIES if name in there], key=view.key(PAGE, "families"),
            selection_mode="multi", format_func=family_label, help="None chosen shows all.",
        )  # fmt: skip
        with st.popover("Filter", icon=":material/filter_list:"):
            st.text_input("Name contains", key=view.key(PAGE, "named"), placeholder="4-bit, or layers")
            st.selectbox(
                "Smaller than bf16", list(SMALLER), key=view.key(PAGE, "smaller"), format_func=SMALLER.__getitem__
            )
            st.toggle("Simulated results too", key=view.key(PAGE, "simulated"), help=words.SIMULATED)
            st.toggle("Only what stands on the front", key=view.key(PAGE, "only_front"))


def filtered(group: Group, state: Mapping[str, State], x: str, y: str) -> list[Row]:
    """The group's rows that the filters let through; the original always, since the lines are drawn from it."""
    families, named = set(state["families"]), str(state["named"]).casefold()  # type: ignore[arg-type]
    least = 0.0 if state["smaller"] == "any" else float(str(state["smaller"]))

    def passes(row: Row) -> bool:
        return (
            (not families or row.family in families)
            and (not named or named in row.label.casefold())
            and (least == 0 or (row.value("compression_ratio") or 0.0) >= least)
            and (bool(state["simulated"]) or not row.simulated)
        )

    rows = [row for row in group.rows if is_dense(row) or passes(row)]
    if state["only_front"]:
        best = stored.front_of(rows, x, y, group.comparison.id).best_ids
        rows = [row for row in rows if is_dense(row) or row.trial_id in best]
    return rows


def draw_panel(group: Group, front: Front, trial: str) -> None:
    """The chosen point, or the knee in words while none is."""
    row = next((row for row in group.rows if row.trial_id == trial), None)
    with st.container(border=True, key="explore-panel"):
        if row is not None:
            left_out = front.left_out.get(
                trial, "" if trial in {p.trial_id for p in front.points} else "a filter hides it"
            )
            draw_card(row, front.dense, trial in front.best_ids, left_out, partial(choose, ""))
            tray.draw(row)
            return
        markup.head("Where it breaks")
        markup.text(words.knee(front) or "No knee yet: a front needs at least three results that differ.")
        if front.knee is not None:
            markup.text(f"{front.knee.row.label}: {words.answer(front.knee.row, front.dense)}")
            st.button("Look at the knee", key="explore:knee", on_click=partial(choose, front.knee.row.trial_id))
        if guesses(front.dense):
            markup.soft(words.guessing(front.dense))
        markup.soft("Click a point, or choose a row of the table, to read what it is.")
        tray.draw()


def choose(trial: str) -> None:
    """Make a trial the chosen one; the address keeps it."""
    st.session_state[view.key(PAGE, "trial")] = trial
    st.session_state[TABLE] = st.session_state.get(TABLE, 0) + 1


def choose_row(trial: str) -> None:
    st.session_state[view.key(PAGE, "trial")] = trial


def draw_below(group: Group, rows: Sequence[Row], front: Front, link_query: str) -> None:
    draw_left_out(front)
    with st.container(horizontal=True, vertical_alignment="center"):
        markup.head(f"{sum(row.state == 'done' for row in rows):,} results")
        link.copy_button(link_query, key="explore:copy")
        take_along.csv_button(rows, front, "explore:csv")
    draw_table(rows, front, f"explore:table:{st.session_state.get(TABLE, 0)}", choose_row)
    if group.comparison.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)


def draw_left_out(front: Front) -> None:
    """How many results these axes can't show, and why."""
    reasons: dict[str, int] = {}
    for reason in front.left_out.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    if reasons:
        parts = [f"{count} ({reason})" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])]
        markup.soft(f"Not shown on these axes: {'; '.join(parts[:3])}.")


frame.guard()
main()
