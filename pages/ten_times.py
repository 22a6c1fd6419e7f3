"""Ten times smaller: the ladder from the original downwards, step by step, and claims held to what was measured."""

from collections.abc import Mapping, Sequence

import streamlit as st

from engine import assets, quantities
from engine.analysis import claims, ladder, words
from engine.analysis.claims import Tested
from engine.analysis.front import guesses, is_dense, telling_score
from engine.analysis.ladder import FP32, Goal, Proposal, Rung
from engine.outcome.row import Row
from engine.plots.ladder import key_of, ladder_figure
from engine.spec import DEFAULT_MODEL
from pages.pictures import picture
from pages.shared import chart, frame, link, markup, saved_sweeps, stored, take_along, view
from pages.shared.markup import Figure
from pages.shared.result_words import group_name, marks, quality_figure, questions
from pages.shared.stored import Group
from pages.shared.view import Value

PAGE = "ten_times"
STEP = picture.component("ten_times_step", "ten_times/step.js", shows_markup=True)
ADD = ":material/add_chart:"
FIRST_LOOK = ("quantize:rtn,bits=8", "quantize:rtn,bits=4", "quantize:rtn,bits=3", "quantize:rtn,bits=2")
STANDINGS = {
    "original": "★ original",
    "close": "● close: nine of ten next words stay",
    "changed": "◐ changed: most next words stay",
    "broken": "○ broken: most next words are others",
    "not known": "– next words not measured",
}


def main() -> None:
    markup.title("Ten times smaller")
    found = stored.compared_groups()
    if not found:
        draw_empty()
        return
    draw(found, stored.first_of(found))


def draw_empty() -> None:
    markup.lead("How far down can one go? This page goes from the original model towards ten times smaller, measured.")
    markup.text(
        "Nothing has been measured yet. Measure the original and four widths of weights, and they are the first steps."
    )
    if st.button("Set up the first steps", type="primary", key="ten_times:new_sweep"):
        st.switch_page("pages/new_sweep.py", query_params={"recipe": list(FIRST_LOOK)})


@st.fragment
def draw(found: Mapping[str, Group], first: str) -> None:
    values = {"of": Value(first, allowed=tuple(found)), "step": Value("")}
    group = found[str(view.restore(PAGE, values)["of"])]
    saved_sweeps.draw_absent(PAGE, found)
    dense = stored.dense_of(group.rows)
    assert dense is not None
    rungs = rungs_of(group.rows, stored.stamp(group.rows), group.comparison.id)
    if not rungs:
        markup.lead("The original's size was not measured here, so nothing can be called smaller than it.")
        draw_choice(found)
        view.keep(PAGE, values)
        return
    goals = ladder.goals(rungs)
    markup.lead(ladder.summary(rungs, goals))
    values["step"] = settle_step(rungs, goals)
    draw_ladder(found, group, rungs, goals)
    draw_step(values["step"], group, dense, rungs, goals)
    state = view.keep(PAGE, values)
    with st.container(horizontal=True, vertical_alignment="center"):
        link.copy_button(view.query(values, state), key="ten_times:copy")
        st.page_link("pages/explore.py", label="Explore these results", query_params={"of": group.key})
        take_along.csv_button(group.rows, take_along.front_of(dense), "ten_times:csv")
    draw_table(group, rungs)
    draw_claims(group, dense)


@st.cache_resource(show_spinner=False, max_entries=8)
def rungs_of(_rows: Sequence[Row], key: int, comparison: str) -> list[Rung]:
    return ladder.rungs(_rows, comparison)


@st.cache_resource(show_spinner=False, max_entries=8)
def proposals_of(_goals: Sequence[Goal], _rows: Sequence[Row], key: int, _dense: Row) -> dict[str, list[Proposal]]:
    """Recipes that would reach a goal, by its key."""
    return {key_of(goal): ladder.proposals(goal, _rows, _dense) for goal in _goals}


@st.cache_resource(show_spinner=False, max_entries=8)
def tested(_rows: Sequence[Row], key: int, _dense: Row) -> list[Tested]:
    return claims.tested(_rows, _dense)


def settle_step(rungs: Sequence[Rung], goals: Sequence[Goal]) -> Value:
    """The value of the chosen step, which is the last whole one where the address names none that is there."""
    steps = [*(rung.row.trial_id for rung in rungs), *map(key_of, goals)]
    value = Value(ladder.last_whole(rungs).row.trial_id, allowed=steps)
    if st.session_state[view.key(PAGE, "step")] not in steps:
        st.session_state[view.key(PAGE, "step")] = value.default
    return value


def draw_choice(found: Mapping[str, Group]) -> None:
    if len(found) > 1:
        st.selectbox("Results", list(found), key=view.key(PAGE, "of"), format_func=lambda key: group_name(found[key]))


def draw_ladder(found: Mapping[str, Group], group: Group, rungs: Sequence[Rung], goals: Sequence[Goal]) -> None:
    """The figure; a click chooses a step."""
    draw_choice(found)
    markup.chips([(group.chip, questions(group.comparison.protocol))])
    markup.text(
        "Each step is the best that was measured at its size. The bar is the file; beside it, how often the model "
        "would still write the same next word as the original. Dotted: nothing measured is that small."
    )
    key = view.key(PAGE, "step")
    figure = ladder_figure(rungs, goals, str(st.session_state[key]), frame.theme(), compact=frame.narrow())
    alt = f"The ladder: {len(rungs)} measured steps and {len(goals)} sizes that none reaches"
    chart.draw(figure, key="ten_times:ladder", alt=alt, name="ladder", on_point=choose)


def draw_step(step: Value, group: Group, dense: Row, rungs: Sequence[Rung], goals: Sequence[Goal]) -> None:
    """The slider that goes down the ladder with the card of the step where it is, and where the chosen step leads."""
    proposed = proposals_of(goals, group.rows, stored.stamp(group.rows), dense)
    cards = [
        {
            "key": rung.row.trial_id,
            "name": f"Step {place}: {times(rung)}",
            "says": in_brief(rung),
            "card": rung_card(rung, above, dense),
        }
        for place, (above, rung) in enumerate(zip([None, *rungs], rungs, strict=False), 1)
    ]
    for goal in goals:
        key, says = key_of(goal), f"At most {quantities.byte_count(goal.bytes)}: nothing measured is that small."
        card = goal_card(goal, proposed[key], dense, rungs[-1])
        cards.append({"key": key, "name": f"Not reached: {key}", "says": says, "card": card})
    with st.container(border=True):
        picture.draw(STEP, PAGE, "step", {"step": step}, {"steps": cards})
        chosen = str(st.session_state[view.key(PAGE, "step")])
        if chosen in proposed:
            draw_try(proposed[chosen], group)
        else:
            draw_details(next(rung.row for rung in rungs if rung.row.trial_id == chosen))


def in_brief(rung: Rung) -> str:
    """ "4-bit: 113 MB, 2.4x smaller than bf16, 4.8x than fp32. Same next word: 66.8%." """
    size, same = weights_figure(rung), same_figure(rung.row)
    return f"{rung.name}: {size.value}, {size.under}. {same.label}: {same.value}."


def choose(step: str) -> None:
    st.session_state[view.key(PAGE, "step")] = step


def times(rung: Rung) -> str:
    return "the original" if rung.standing == "original" else quantities.times(rung.ratio)


def rung_card(rung: Rung, above: Rung | None, dense: Row) -> str:
    """A measured step as HTML: what it is, and what it costs against the step above."""
    row = rung.row
    said = (
        " ".join(filter(None, [ladder.step_down(above, rung), words.why_not_smaller(row, dense)]))
        if above
        else "This is what every step is compared with: 16 bits for each number. Models used to be released in fp32, "
        "and against that this file is already two times smaller."
    )
    marked = [(STANDINGS[rung.standing], "By how often the next word stays the original's."), *marks(row, dense)]
    return "".join(
        (
            markup.head_html(f"{row.label[0].upper()}{row.label[1:]}"),
            markup.chips_html(marked),
            markup.text_html(said),
            markup.figures_html([weights_figure(rung), same_figure(row), lost_figure(row, dense)]),
        )
    )


def weights_figure(rung: Rung) -> Figure:
    size = quantities.format_value("weight_bytes", rung.row.value("weight_bytes"))
    ratios = f"{quantities.times(rung.ratio)} smaller than bf16, {quantities.times(FP32 * rung.ratio)} than fp32"
    under = "in bf16; twice that in fp32" if rung.standing == "original" else ratios
    return Figure("Weights", size, under, markup.definition("weight_bytes"))


def same_figure(row: Row) -> Figure:
    shown = quantities.format_value("top1_agreement", 1.0 if is_dense(row) else row.value("top1_agreement"))
    return Figure("Same next word", shown, "as the original, on the same text", markup.definition("top1_agreement"))


def lost_figure(row: Row, dense: Row) -> Figure:
    """The accuracy kept; the perplexity where the original itself only guesses the answers."""
    if not guesses(dense):
        return quality_figure(row, dense)
    now, before = (quantities.format_value("perplexity", one.value("perplexity")) for one in (row, dense))
    under = "lower is better" if row is dense else f"was {before}; lower is better"
    return Figure("Perplexity", now, under, markup.definition("perplexity"))


def goal_card(goal: Goal, proposed: Sequence[Proposal], dense: Row, last: Rung) -> str:
    """A size that nothing reaches as HTML: what it asks for, and recipes that would be that small."""
    smallest = last.name
    parts = [
        markup.head_html(f"{goal.ratio:g} times smaller: not reached yet"),
        markup.text_html(
            f"Against bf16 that is at most {quantities.byte_count(goal.bytes)}, {goal.bits_per_weight:.1f} bits for "
            f"every weight, the embedding too; against fp32 it is {FP32 * goal.ratio:g} times. The smallest measured "
            f"is {smallest}, with {quantities.format_value('weight_bytes', last.row.value('weight_bytes'))}."
        ),
    ]
    if last.standing == "broken":
        parts.append(
            markup.text_html(
                f"Bytes alone can be had. But {smallest} is broken already, and what is smaller needs repair: train "
                "the small model on what the original says, word by word. That is distillation, which Kneepoint does "
                "not offer yet."
            )
        )
    if proposed:
        parts.append(markup.text_html("Recipes of about that size that nobody has measured here:"))
        parts.append(markup.points_html(about(one, dense) for one in proposed))
    return "".join(parts)


def about(one: Proposal, dense: Row) -> str:
    """ "2-bit, round to nearest, groups of 64: about 38.1 MB, 7.1x smaller than bf16." """
    smaller = quantities.times((dense.value("weight_bytes") or 0.0) / one.bytes)
    return f"{one.recipe.describe()}: about {quantities.byte_count(one.bytes)}, {smaller} smaller than bf16."


def draw_try(proposed: Sequence[Proposal], group: Group) -> None:
    if not proposed:
        return
    again = {"recipe": [one.recipe.text for one in proposed], **model_of(group)}
    st.page_link(
        "pages/new_sweep.py", label=f"Try {'these' if len(proposed) > 1 else 'it'}", query_params=again, icon=ADD
    )


def draw_details(row: Row) -> None:
    st.page_link(
        "pages/result.py", label="All details", query_params=stored.address(row), icon=":material/arrow_forward:"
    )


def model_of(group: Group) -> dict[str, str]:
    """What a link to New sweep carries where the model is not the default."""
    return {} if group.comparison.model == DEFAULT_MODEL else {"model": group.comparison.model}


def draw_table(group: Group, rungs: Sequence[Rung]) -> None:
    """Every step in numbers, and what else there is to know of them."""
    markup.head("The steps in numbers")
    dense = rungs[0].row
    heads = ("Step", "Weights", "vs bf16", "vs fp32", "Same next word", "Perplexity", "Accuracy", "Standing")
    markup.table(heads, [table_line(place, rung, telling_score(dense)) for place, rung in enumerate(rungs, 1)])
    if said := words.guessing(dense):
        markup.soft(said)
    if any(rung.row.simulated for rung in rungs):
        markup.soft("Simulated: the bytes are real, but no kernel here runs them packed, so nothing is said of speed.")
    failed = [row for row in group.rows if row.state == "failed"]
    for row in failed[:3]:
        markup.soft(f"Failed, so not on the ladder: {row.label}. {row.reason}")
    if group.comparison.model == DEFAULT_MODEL:
        markup.soft(assets.CAVEAT)


def table_line(place: int, rung: Rung, score: str) -> list[str | tuple[str, str]]:
    row = rung.row
    label = f"{place} · {rung.name}"
    name = (f"{label}, simulated", words.simulated(row)) if row.simulated else (label, row.label)
    if rung.standing == "original":
        accuracy: str | tuple[str, str] = quantities.format_value(score, row.value(score))
    else:
        change = (row.value(f"{score}_change{end}") for end in ("", "_low", "_high"))
        accuracy = (quantities.with_interval(f"{score}_change", *change), words.change(row, score))
    shares = (row.value("top1_agreement"), row.value("top1_agreement_low"), row.value("top1_agreement_high"))
    return [
        name,
        quantities.format_value("weight_bytes", row.value("weight_bytes")),
        quantities.times(rung.ratio),
        quantities.times(FP32 * rung.ratio),
        quantities.with_interval("top1_agreement", *shares),
        quantities.format_value("perplexity", row.value("perplexity")),
        accuracy,
        STANDINGS[rung.standing].split(":")[0],
    ]


def draw_claims(group: Group, dense: Row) -> None:
    """What one reads, what the papers say, what these results say."""
    markup.head("Claims, tested")
    markup.text("What articles say of compression, what the papers behind it say, and what these very results say.")
    found = tested(group.rows, stored.stamp(group.rows), dense)
    markup.verdicts(
        ("What one reads", "What the papers say", "What we measured", "Verdict"),
        [
            (
                f"“{claim.said}”",
                (claim.papers, claim.source),
                finding.measured,
                f"{claims.SHAPES[finding.verdict]} {finding.verdict}",
            )
            for claim, finding in found
        ],
    )
    markup.soft(f"Measured on {group.comparison.model}; another model can come out otherwise. {group.chip}.")
    missing = [text for claim, finding in found if finding.verdict == "not measured" for text in claim.recipes]
    if missing:
        again = {"recipe": list(dict.fromkeys(missing)), **model_of(group)}
        st.page_link("pages/new_sweep.py", label="Measure what is missing", query_params=again, icon=ADD)


frame.guard()
main()
