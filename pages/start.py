"""Start: one sentence, one slider, the front."""

import math
from collections.abc import Mapping, Sequence

import streamlit as st

from engine import assets
from engine.analysis import words
from engine.analysis.budget import Step, best_by_budget, best_within
from engine.analysis.front import Front, telling_quality
from engine.outcome.row import Row
from engine.spec import DEFAULT_MODEL, METHODS
from engine.typesetting import unbroken
from pages.pictures import picture
from pages.shared import chart, frame, markup, saved_sweeps, stored, take_along, view
from pages.shared.result_words import group_name, quality_figure, questions, size_figure, speed_figure
from pages.shared.stored import Group

PAGE = "start"
BUDGET = picture.component("start_budget", "start/budget.js", shows_markup=True)
NAMES = {DEFAULT_MODEL: "SmolLM2-135M"}

FIRST_LOOK = (
    "quantize:rtn,bits=8", "quantize:rtn,bits=4", "quantize:rtn,bits=3", "quantize:rtn,bits=2",
    "prune:magnitude,sparsity=0.3", "prune:magnitude,sparsity=0.5", "prune:layers,count=3", "prune:layers,count=6",
    "slice:slicegpt,fraction=0.1", "slice:slicegpt,fraction=0.2", "slice:slicegpt,fraction=0.3",
    "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4",
)  # fmt: skip


def main() -> None:
    found = stored.compared_groups()
    if not found:
        draw_empty()
        return
    draw_answer(found, stored.first_of(found))
    draw_doors()


def draw_empty() -> None:
    """What to do while there is nothing to show."""
    markup.title("How small can SmolLM2-135M get before it breaks?")
    markup.lead(
        "Nothing has been measured on this machine yet. A first look compresses the model in twelve ways, asks it 300 "
        "questions after each, and draws how much it forgets against how small it gets."
    )
    with st.container(horizontal=True):
        if st.button("Set up a first look", type="primary", key="start:first_look"):
            st.switch_page("pages/new_sweep.py", query_params={"recipe": list(FIRST_LOOK), "limit": "100"})
        unfinished = sum(sweep.unfinished for sweep in stored.sweeps())
        if unfinished and st.button(f"See the {unfinished} that are running", key="start:runs"):
            st.switch_page("pages/runs.py")
    markup.head("What is measured")
    for method in METHODS.values():
        markup.text(f"{method.family.capitalize()}, {method.label}. {method.summary}")


@st.fragment
def draw_answer(found: Mapping[str, Group], first: str) -> None:
    """The question, its answer for a memory budget, and the front with that answer ringed."""
    of = view.Value(first, allowed=tuple(found))
    asked = view.restore(PAGE, {"of": of, "budget": view.Value(0.0)})
    saved_sweeps.draw_absent(PAGE, found)
    group = found[str(asked["of"])]
    name = NAMES.get(group.comparison.model, group.comparison.model)
    dense = stored.dense_of(group.rows)
    quality = telling_quality(group.rows, group.comparison.id)
    front = stored.front_of(group.rows, "weight_bytes", quality, group.comparison.id)
    least, most, proposed = budgets(front)
    values = {"of": of, "budget": view.Value(proposed, low=least, high=most)}
    budget = float(str(asked["budget"])) or proposed
    budget = st.session_state[view.key(PAGE, "budget")] = min(max(budget, least), most)
    steps = steps_of(front, stored.stamp(group.rows), quality)
    chosen = best_within(steps, budget * 1e6)
    markup.title(f"How small can {name} get before it breaks?")
    draw_budget(values["budget"], steps, dense)
    markup.chips([(group.chip, provenance_details(group))])
    view.keep(PAGE, values)
    rings = [chosen.row.trial_id] if chosen.row else []
    if said := words.guessing(dense):
        markup.soft(said)
    chart.draw_front(
        group.rows, "weight_bytes", quality, key="start:front", comparison=group.comparison.id, highlighted=rings
    )
    if len(found) > 1:
        st.selectbox("Results", list(found), key=view.key(PAGE, "of"), format_func=lambda key: group_name(found[key]))
    if group.comparison.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)
    take_along.csv_button(group.rows, front, "start:csv")


@st.cache_resource(show_spinner=False, max_entries=8)
def steps_of(_front: Front, key: int, quality: str) -> list[Step]:
    return best_by_budget(_front)


def draw_budget(budget: view.Value, steps: Sequence[Step], dense: Row | None) -> None:
    """The slider, and the sentence and the figures that answer while it is moved."""
    answers = [
        {
            "from": step.bytes / 1e6,
            "says": unbroken(words.picked(step.fitting, "{budget}", dense)),
            "figures": figures_of(step.fitting.row, dense),
        }
        for step in steps
    ]
    content = {"least": budget.low, "most": budget.high, "answers": answers}
    picture.draw(BUDGET, PAGE, "budget", {"budget": budget}, content)


def figures_of(row: Row | None, dense: Row | None) -> str:
    """A result's size, quality and speed as HTML; empty where nothing fits."""
    if row is None:
        return ""
    return markup.figures_html([size_figure(row, dense), quality_figure(row, dense), speed_figure(row)])


def budgets(found: Front) -> tuple[float, float, float]:
    """The slider's ends and its first value in MB: the smallest result, the largest, and the knee."""
    sizes = [(row.value("weight_bytes") or 0.0) / 1e6 for row in found.points if not row.simulated]
    knee = found.knee.row.value("weight_bytes") if found.knee and not found.knee.row.simulated else None
    least, most = math.floor(min(sizes)), math.ceil(max(sizes))
    proposed = math.ceil(knee / 1e6) if knee else math.ceil(math.sqrt(least * most))
    return float(least), float(max(most, least + 1)), float(min(max(proposed, least), most))


def provenance_details(group: Group) -> str:
    """Versions and protocol, shown on hover over the chip."""
    row = stored.dense_of(group.rows) or group.rows[0]
    versions = [
        f"{name} {row.environment[name]}" for name in ("torch", "kneepoint", "commit") if row.environment.get(name)
    ]
    return " · ".join([questions(group.comparison.protocol), *versions])


def draw_doors() -> None:
    doors = (
        (
            "pages/trade_offs.py",
            "Understand",
            "What is worth a look, what each method does, and why small isn't always fast.",
        ),
        (
            "pages/new_sweep.py",
            "Measure mine",
            "Choose a model, methods and their settings; see the cost before it runs.",
        ),
        ("pages/present.py", "Present", "One recommendation, large enough for a room, and a report to take along."),
    )
    places = [st.container() for _ in doors] if frame.narrow() else st.columns(len(doors))
    for column, (page, label, what) in zip(places, doors, strict=True):
        with column, st.container(border=True, height="stretch", key=f"door-{label.split()[0].lower()}"):
            st.page_link(page, label=label, icon=":material/arrow_forward:", icon_position="right")
            markup.soft(what)


frame.guard()
main()
