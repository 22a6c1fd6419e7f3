"""Explore: the front on any axes, the results as a tree, and all of them as a table, under one filter."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine import assets
from engine.analysis.front import Front
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL
from pages.exploring import filters, front_view, hypervolumes, limits, map_view, panel, parallel_view
from pages.shared import failures, frame, link, markup, saved_sweeps, stored, take_along, tray, view
from pages.shared.result_words import group_name
from pages.shared.results_table import draw_table
from pages.shared.stored import Group
from pages.shared.view import Value

PAGE = "explore"
TABLE = "explore|table"  # counts up when another point is chosen elsewhere, which clears the table's choice
TABS = ("Front", "Parallel", "Map")


def main() -> None:
    markup.title("Explore")
    found = {group.key: group for group in stored.groups()}
    if found:
        draw_view(found)
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
    of = Value(stored.first_of(found), allowed=tuple(found))
    return {
        "of": of,
        "tab": Value(TABS[0], allowed=TABS),
        **filters.values(),
        **limits.VALUES,
        **front_view.values(found, found[str(view.find(PAGE, "of", of))]),
        **parallel_view.VALUES,
        "trials": tray.VALUE,
        "trial": Value(""),
    }


@st.fragment
def draw_view(found: Mapping[str, Group]) -> None:
    values = view_values(found)
    view.restore(PAGE, values)
    saved_sweeps.draw(PAGE, found)
    state = view.keep(PAGE, values)
    group = draw_choice(found)
    filters.draw(group)
    x, y = front_view.axes(state)
    rows = filters.passing(group, state)
    if state["only_front"]:
        rows = filters.on_front(rows, x, y, group.comparison.id)
    pick = limits.draw(group, rows, state, choose)
    trial = str(state["trial"])
    rings = list(dict.fromkeys(t for t in (trial, pick.row.trial_id if pick and pick.row else "") if t))
    more = front_view.others(found, group, state)
    drawn, comparison = front_view.standing(
        group, rows, [filters.passing(other, state) for other in more], state["axes"] == front_view.SIDE_BY_SIDE
    )
    front = stored.front_of(drawn, x, y, comparison)
    front_tab, parallel_tab, map_tab = st.tabs(TABS, key=view.key(PAGE, "tab"), on_change="rerun")
    if front_tab.open:
        with front_tab:
            front_view.draw_controls(found, group, state)
            chosen = panel.find([group, *more], trial)
            left, right = st.container(key="explore-split").columns([2.1, 1], gap="medium")
            with left:
                front_view.draw_chart(drawn, front, state, rings, choose)
                hypervolumes.draw(group, rows, front, state)
            with right:
                panel.draw(chosen, front, trial, choose)
            panel.draw_below(chosen)
    if parallel_tab.open:
        with parallel_tab:
            parallel_view.draw(rows, state)
    if map_tab.open:
        with map_tab:
            map_view.draw(rows, str(state["quality"]), rings)
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


def choose(trial: str) -> None:
    """Make a trial the chosen one; the address keeps it."""
    st.session_state[view.key(PAGE, "trial")] = trial
    st.session_state[TABLE] = st.session_state.get(TABLE, 0) + 1


def choose_row(trial: str) -> None:
    st.session_state[view.key(PAGE, "trial")] = trial


def counted(group: Group, rows: Sequence[Row]) -> str:
    """How many finished results are shown, and of how many where a filter hides some."""
    shown, every = (sum(row.state == "done" for row in some) for some in (rows, group.rows))
    of = f"{shown:,} of {every:,}" if shown < every else f"{shown:,}"
    return f"{of} {'result' if every == 1 else 'results'}"


def draw_below(group: Group, rows: Sequence[Row], front: Front, link_query: str) -> None:
    """The table of what passes the filter, what to take along, and what failed."""
    with st.container(horizontal=True, vertical_alignment="center"):
        markup.head(counted(group, rows))
        link.copy_button(link_query, key="explore:copy")
        take_along.csv_button(rows, front, "explore:csv")
    draw_table(rows, front, f"explore:table:{st.session_state.get(TABLE, 0)}", choose_row)
    failures.draw(rows, "their crosses on the front say why.")
    if group.comparison.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)


frame.guard()
main()
