"""Present: one question, one recommendation and one front, large enough for a room; and all of it to take along."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

import streamlit as st

from engine import assets, quantities
from engine.analysis import words
from engine.analysis.front import Front, telling_quality
from engine.meeting import report
from engine.meeting.costs import HOW, money
from engine.meeting.decision import decide, units
from engine.meeting.picks import KINDS, Choice, choose, recommended
from engine.meeting.report import Origin
from engine.meeting.terms import Terms
from engine.metrics import PRESETS
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL
from pages.shared import chart, frame, link, markup, saved_sweeps, stage, stored, take_along, view
from pages.shared.markup import Figure
from pages.shared.result_words import group_name
from pages.shared.stored import Group
from pages.shared.view import State, Value

PAGE = "present"
USUAL = Terms()
AXES = {"size-quality": "Size", "speed-quality": "Speed", "memory-quality": "Memory"}
ORIGINS = {"mine": report.OWN, "recorded": report.SHIPPED, "saved": report.SAVED}


def main() -> None:
    found = stored.compared_groups()
    with stage.room():
        if found:
            draw_page(found)
        else:
            draw_empty()


def draw_page(found: Mapping[str, Group]) -> None:
    """The choices on one line, and the view that they make."""
    values = view_values(found)
    view.restore(PAGE, values)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        group = draw_choices(found)
        draw_budgets()
        saved_sweeps.draw(PAGE, found)
    draw_gone(group)
    state = view.keep(PAGE, values)
    draw_view(group, state, view.query(values, state))


def draw_empty() -> None:
    """What to do while there is nothing to present."""
    stage.title("Nothing to present yet")
    markup.text("Measure a sweep, or open one that somebody saved: its front, a pick and a report come from it.")
    with st.container(horizontal=True):
        if st.button("New sweep", type="primary", key="present:new_sweep"):
            st.switch_page("pages/new_sweep.py")
        saved_sweeps.draw(PAGE, {})


def view_values(found: Mapping[str, Group]) -> dict[str, Value]:
    """Everything that makes up this view, as it stands in the address."""
    trials = [row.trial_id for group in found.values() for row in group.rows if row.state == "done"]
    return {
        "of": Value(stored.first_of(found), allowed=tuple(found)),
        "axes": Value("size-quality", allowed=tuple(AXES)),
        "picks": Value(list(USUAL.picks), allowed=(*KINDS, *trials)),
        "points": Value(USUAL.points, low=0.5, high=20.0),
        "memory": Value(USUAL.memory_gb, low=0.01, high=10_000.0),
        "price": Value(USUAL.price_per_hour, low=0.0, high=10_000.0),
    }


def draw_choices(found: Mapping[str, Group]) -> Group:
    """What is presented, folded away: a meeting looks at the answer."""
    with st.popover("Choose", icon=":material/tune:"):
        key = st.selectbox(
            "Results", list(found), key=view.key(PAGE, "of"), format_func=lambda k: group_name(found[k]),
            help="Only results of the same model on the same questions can stand on one front.",
        )  # fmt: skip
        group = found[key]
        st.segmented_control(
            "Compare quality with", list(AXES), key=view.key(PAGE, "axes"), required=True, format_func=AXES.__getitem__
        )
        named = offered(group)
        picks = view.key(PAGE, "picks")
        there = [pick for pick in st.session_state[picks] if pick in named]
        st.session_state[picks] = there if there or not st.session_state[picks] else list(USUAL.picks)
        st.multiselect(
            "Picks", list(named), key=picks, format_func=named.__getitem__,
            help="The first of them is the recommendation.",
        )  # fmt: skip
        st.number_input(
            "Margin in points", 0.5, 20.0, step=0.5, format="%g", key=view.key(PAGE, "points"),
            help="How far below the original the quality of “smallest within the margin” may lie.",
        )  # fmt: skip
    return group


def offered(group: Group) -> dict[str, str]:
    """What may be picked of a group, with its name: the kinds of picks, and every result."""
    return {**KINDS, **words.distinct_labels([row for row in group.rows if row.state == "done"])}


def draw_gone(group: Group) -> None:
    """Say so where the link picks results that are not among those presented."""
    named = offered(group)
    gone = view.unread(PAGE, "picks", Value(list(USUAL.picks), allowed=tuple(named)))
    if gone:
        what = "A pick that the link names is" if len(gone) == 1 else f"{len(gone)} picks that the link names are"
        shown = ", ".join(named[pick] for pick in st.session_state[view.key(PAGE, "picks")])
        st.info(markup.plain(f"{what} not among these results. Shown: {shown}."))


def draw_budgets() -> None:
    """What the room asks to change: the memory there is, and the price of an hour."""
    st.number_input(
        "Memory budget (GB)", 0.01, 10_000.0, step=0.25, format="%g", key=view.key(PAGE, "memory"), width=150,
        help="GB of 10⁹ bytes, held against the peak memory of running a result.",
    )  # fmt: skip
    st.number_input(
        "Price of an hour", 0.0, 10_000.0, step=0.05, format="%g", key=view.key(PAGE, "price"), width=150,
        help="What the machine costs for an hour, in any currency: costs come out in the same.",
    )  # fmt: skip


def draw_view(group: Group, state: Mapping[str, State], link_query: str) -> None:
    terms = Terms(
        tuple(state["picks"]),  # type: ignore[arg-type]
        *(float(str(state[name])) for name in ("points", "memory", "price")),
    )
    comparison = group.comparison
    x, y = PRESETS[str(state["axes"])][0], telling_quality(group.rows, comparison.id)
    front = stored.front_of(group.rows, x, y, comparison.id)
    choices = choose(front, terms)
    stage.title(report.question(comparison.model))
    best = recommended(choices)
    if best is None or best.row is None:
        markup.text(" ".join(choice.why for choice in choices) or "Choose a pick, and it is explained here.")
    else:
        stage.decision(decide(best.row, front))
        markup.figures(large_figures(best.row, front, terms))
    rings = [choice.row.trial_id for choice in choices if choice.row]
    markup.head(f"{words.short_name(front.y)} over {front.x.label.lower()}")
    chart.draw_front(group.rows, x, y, key="present:front", comparison=comparison.id, highlighted=rings, stage=True)
    draw_picks(choices, front, terms)
    draw_notes(group, front)
    with st.container(horizontal=True, vertical_alignment="center"):
        make = partial(write_report, group, str(state["axes"]), terms)
        st.download_button(
            "Download the report", make, report.file_name(comparison.model), "text/html", key="present:report",
            on_click="ignore", type="primary", help="One file with charts that answer, which opens without a network.",
        )  # fmt: skip
        take_along.csv_button(group.rows, front, "present:csv")
        link.copy_button(link_query, key="present:copy")
        if best is not None and best.row is not None and best.row.recipe != "dense":
            st.page_link(
                "pages/result.py", label="Take the model along", icon=":material/save:",
                query_params=stored.address(best.row), help="Result writes it as a checkpoint with a model card.",
            )  # fmt: skip


def large_figures(row: Row, front: Front, terms: Terms) -> list[Figure]:
    """Memory, speed and cost of the recommendation, each beside the original's."""
    now, budget = units(row, front, terms), f"{terms.memory_gb:g} GB"
    was = units(front.dense, front, terms) if front.dense else now
    room = "not measured" if now.fits == quantities.NOTHING else f"{now.fits} in {budget}"
    timed = now.tokens_per_second != quantities.NOTHING
    speed = f"one text at a time; the original {was.tokens_per_second}" if timed else "not measured"
    price = f"at {money(terms.price_per_hour)} an hour; {f'the original {was.cost_per_million}' if timed else speed}"
    return [
        Figure("Memory to run", now.memory, room, markup.definition("peak_memory_bytes")),
        Figure("Tokens a second", now.tokens_per_second, speed, HOW),
        Figure("A million tokens", now.cost_per_million, price, HOW),
    ]


def draw_picks(choices: list[Choice], front: Front, terms: Terms) -> None:
    """All picks and the original in a stakeholder's units, and why each is one."""
    markup.head("The picks")
    quality = words.short_name(front.y)
    heads = ("Pick", "Result", "Weights", quality, "Memory", f"In {terms.memory_gb:g} GB", "Tokens/s", "Per million")
    names = words.distinct_labels([choice.row for choice in choices if choice.row])
    lines = []
    for choice in choices:
        if choice.row is None:
            lines.append((choice.name, "None", *[quantities.NOTHING] * 6))
        else:
            u = units(choice.row, front, terms)
            figures = (u.weights, u.quality, u.memory, u.fits, u.tokens_per_second, u.cost_per_million)
            lines.append((choice.name, names[choice.row.trial_id], *figures))
    markup.table(heads, lines, texts=2)
    markup.text(" ".join(choice.why for choice in choices))


def draw_notes(group: Group, front: Front) -> None:
    """What must be said once: where it was measured, how costs are made, what the numbers can't show."""
    row = front.dense or group.rows[0]
    markup.chips([(group.chip, "Results of others are only read."), *((part, "") for part in words.protocol(row))])
    markup.soft(HOW)
    if words.guessing(front.dense):
        markup.soft(words.guessing(front.dense))
    if group.comparison.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)


def write_report(group: Group, axes: str, terms: Terms) -> str:
    """The report of what the page shows."""
    weights = ""
    if group.origin == "mine":
        weights = stored.store().trial(group.rows[0].trial_id).weights_sha256
    origin = Origin(ORIGINS[group.origin], weights)
    return report.write(group.rows, axes, terms, origin, datetime.now(), group.comparison.id)


frame.guard()
main()
