"""The one filter bar of Explore, which drives every view, and the rows that pass it."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from engine.analysis import words
from engine.analysis.front import is_dense, telling_score
from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import FAMILIES
from engine.plots.marks import unit
from pages.shared import stored, view
from pages.shared.result_words import family_label
from pages.shared.stored import Group
from pages.shared.view import ANY_RANGE, Range, State, Value

PAGE = "explore"
_RANGES = ("sizes", "right", "same", "speeds")  # in the address
_STEPS = {"MB": 1.0, "%": 0.5, "x": 0.01}
_FORMATS = {"MB": "%.0f MB", "%": "%.1f%%", "x": "%.2fx"}


def values() -> dict[str, Value]:
    """The filter's part of the view."""
    return {
        "families": Value([], allowed=tuple(FAMILIES)),
        "sweeps": Value([], allowed=tuple(str(sweep.id) for sweep in stored.sweeps())),
        "simulated": Value(True),
        "only_front": Value(False),
        "named": Value(""),
        **{name: Value(ANY_RANGE) for name in _RANGES},
    }


def draw(group: Group) -> None:
    there = {row.family for row in group.rows} | set(st.session_state[view.key(PAGE, "families")])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            "Show only", [name for name in FAMILIES if name in there], key=view.key(PAGE, "families"),
            selection_mode="multi", format_func=family_label, help="None chosen shows all.",
        )  # fmt: skip
        _draw_sweeps(group)
        with st.popover("Filter", icon=":material/filter_list:"):
            st.text_input("Name contains", key=view.key(PAGE, "named"), placeholder="4-bit, or layers")
            for metric, name in ranged(group).items():
                _draw_range(group, metric, name)
            st.toggle("Simulated results too", key=view.key(PAGE, "simulated"), help=words.SIMULATED)
            st.toggle("Only what stands on the front", key=view.key(PAGE, "only_front"))
        if is_on({name: st.session_state[view.key(PAGE, name)] for name in values()}):
            icon = ":material/filter_list_off:"
            st.button("Show all", key="explore:show_all", type="tertiary", icon=icon, on_click=clear)


def clear() -> None:
    """Let everything through."""
    for name, value in values().items():
        st.session_state[view.key(PAGE, name)] = value.default


def ranged(group: Group) -> dict[str, str]:
    """The metrics that can be held within a range, answers counted as on the front, with their names in the address."""
    score = telling_score(stored.dense_of(group.rows))
    return dict(zip(("weight_bytes", score, "top1_agreement", "decode_speedup"), _RANGES, strict=True))


def sweeps_of(group: Group) -> dict[str, str]:
    """The sweeps that a group's results come from: id -> name, the oldest first."""
    ids = {sweep for row in group.rows for sweep in row.sweep_ids}
    return {str(s.id): s.name for s in sorted(stored.sweeps(), key=lambda s: s.id) if s.id in ids}


def passing(group: Group, state: Mapping[str, State]) -> list[Row]:
    """The group's rows that the filter lets through; the original always, since the lines are drawn from it."""
    families, named = set(_list(state["families"])), str(state["named"]).casefold()
    sweeps = {int(sweep) for sweep in _list(state["sweeps"])}
    held = {metric: _range(state[name]) for metric, name in ranged(group).items()}
    ranges = {metric: ends for metric, ends in held.items() if ends != ANY_RANGE}

    def passes(row: Row) -> bool:
        return (
            (not families or row.family in families)
            and (not sweeps or not sweeps.isdisjoint(row.sweep_ids))
            and (not named or named in row.label.casefold())
            and (bool(state["simulated"]) or not row.simulated)
            and all(_inside(row, metric, ends) for metric, ends in ranges.items())
        )

    return [row for row in group.rows if is_dense(row) or passes(row)]


def on_front(rows: Sequence[Row], x: str, y: str, comparison: str) -> list[Row]:
    """What stands on the front of these rows, and the original."""
    best = stored.front_of(rows, x, y, comparison).best_ids
    return [row for row in rows if is_dense(row) or row.trial_id in best]


def is_on(state: Mapping[str, State]) -> bool:
    """Whether the filter may leave anything out."""
    return any(state[name] != value.default for name, value in values().items())


def _draw_sweeps(group: Group) -> None:
    names = sweeps_of(group)
    if len(names) > 1:
        st.multiselect(
            "Sweeps", list(names), key=view.key(PAGE, "sweeps"), format_func=names.__getitem__,
            placeholder="All sweeps", help="Choose two to see how their fronts differ.",
        )  # fmt: skip


def _draw_range(group: Group, metric: str, name: str) -> None:
    """A slider with two ends over a metric's values; without one where all results have the same."""
    found = METRICS[metric]
    scale, step = unit(found), _STEPS[found.unit]
    known = [v * scale for row in group.rows if (v := row.value(metric)) is not None and math.isfinite(v)]
    if not known or math.ceil(max(known) / step) <= math.floor(min(known) / step):
        return
    low, high = math.floor(min(known) / step) * step, math.ceil(max(known) / step) * step
    chosen = _range(st.session_state[view.key(PAGE, name)])
    key = f"{view.key(PAGE, name)}:{group.key}:{low:g}:{high:g}"
    view.show(key, (min(max(chosen[0], low), high), max(min(chosen[1], high), low)))
    st.slider(
        found.label, low, high, step=step, format=_FORMATS[found.unit], key=key,
        on_change=partial(_keep_range, name, key, (low, high)), help=found.definition,
    )  # fmt: skip


def _keep_range(name: str, key: str, ends: Range) -> None:
    """Write a slider's range to the view; an end that stands at its stop leaves nothing out."""
    low, high = st.session_state[key]
    chosen = (low if low > ends[0] else ANY_RANGE[0], high if high < ends[1] else ANY_RANGE[1])
    st.session_state[view.key(PAGE, name)] = chosen


def _inside(row: Row, metric: str, ends: Range) -> bool:
    value = row.value(metric)
    return value is not None and ends[0] <= value * unit(METRICS[metric]) <= ends[1]


def _list(value: State) -> list[str]:
    return value if isinstance(value, list) else []


def _range(value: State) -> Range:
    return value if isinstance(value, tuple) else ANY_RANGE
