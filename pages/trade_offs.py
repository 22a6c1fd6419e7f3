"""Trade-offs: what a Pareto front is, why size, memory and time don't fall together, why small isn't always fast."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from engine import quantities
from engine.analysis import roofline, words
from engine.analysis.front import Front, flattered, is_dense, telling_quality
from engine.analysis.roofline import BATCHES, PHASES, Phase
from engine.machine import Limits
from engine.metrics import SCORES
from engine.outcome import latency_cells
from engine.outcome.latency_cells import LatencyGrid
from engine.outcome.row import Row
from engine.plots.front_lesson import front_lesson
from engine.plots.roofline_lesson import cells_of, formats, roofline_lesson
from engine.plots.shares import MEASURES, share_data, shares_figure
from engine.spec import parse
from pages.pictures import picture
from pages.shared import chart, frame, link, machine_limits, markup, saved_sweeps, stored, take_along, view
from pages.shared.result_words import questions
from pages.shared.stored import Group
from pages.shared.view import Value

PAGE = "trade_offs"
FRONT = picture.component("trade_offs_front", "trade_offs/front.js")
ROOFLINE = picture.component("trade_offs_roofline", "trade_offs/roofline.js")
LOOKS = ("results", "dominated", "front", "knee", "limit")
EXAMPLES = 7  # results whose size, memory and time are set side by side
REASONS = 3  # sentences below them
MEASURED = "trade_offs|measured"  # this machine was, just now
TRY = ("quantize:rtn,bits=8", "quantize:rtn,bits=4", "prune:layers,count=6", "slice:slicegpt,fraction=0.2")
PHASE_NAMES = {"prefill": "the prompt", "decode": "a word"}


def main() -> None:
    markup.title("Trade-offs")
    found = stored.compared_groups()
    if not found:
        draw_empty()
        return
    values = view_values(found)
    view.restore(PAGE, values)
    saved_sweeps.draw_absent(PAGE, found)
    markup.lead("Smaller costs quality, and smaller is not always faster. Which compromises are worth a look, and why?")
    draw_lessons(found, values)


def draw_empty() -> None:
    markup.lead("Smaller costs quality, and smaller is not always faster. This page shows it on measured results.")
    markup.text("There are none yet. Measure the original and a few settings, and they are drawn here.")
    if st.button("Set up a first look", type="primary", key="trade_offs:new_sweep"):
        st.switch_page("pages/new_sweep.py", query_params={"recipe": list(TRY)})


def view_values(found: Mapping[str, Group]) -> dict[str, Value]:
    """Everything that makes up this view, as it stands in the address."""
    return {
        "of": Value(stored.first_of(found), allowed=tuple(found)),
        "look": Value("front", allowed=LOOKS),
        "limit": Value(0.5, low=0.0, high=1.0),
        "point": Value(""),
        "phase": Value("decode", allowed=tuple(reversed(PHASES))),
        "batch": Value(0.0, low=0.0, high=len(BATCHES) - 1.0),
        "machine": Value("recorded", allowed=("recorded", "here")),
    }


@st.fragment
def draw_lessons(found: Mapping[str, Group], values: Mapping[str, Value]) -> None:
    group = found[draw_choice(found)]
    dense = stored.dense_of(group.rows)
    assert dense is not None
    draw_front(group, dense, values)
    draw_shares(group, dense)
    draw_roofline(group, dense, values)
    state = view.keep(PAGE, values)
    with st.container(horizontal=True, vertical_alignment="center"):
        link.copy_button(view.query(values, state), key="trade_offs:copy")
        st.page_link("pages/explore.py", label="Explore these results", query_params={"of": group.key})
        again = {"recipe": list(TRY), "model": dense.model}
        st.page_link("pages/new_sweep.py", label="Try it", icon=":material/add_chart:", query_params=again)


def draw_choice(found: Mapping[str, Group]) -> str:
    if len(found) == 1:
        return next(iter(found))
    return str(
        st.selectbox("Results", list(found), key=view.key(PAGE, "of"), format_func=lambda key: name_of(found[key]))
    )


def name_of(group: Group) -> str:
    return f"{group.chip}: {group.comparison.model}, {group.comparison.trials} results"


def draw_front(group: Group, dense: Row, values: Mapping[str, Value]) -> None:
    """What dominated, front and knee mean, and what a quality one insists on costs in bytes."""
    markup.head("What is worth looking at: the Pareto front")
    quality = telling_quality(group.rows, group.comparison.id)
    front = stored.front_of(group.rows, "weight_bytes", quality, group.comparison.id)
    if len(front.points) < 2:
        markup.text("Only one result here has both a size and a quality. A front needs two that differ.")
        return
    markup.chips([(group.chip, questions(group.comparison.protocol))])
    chart.draw_key(group.rows, ("weight_bytes", quality))
    content = lesson_of(group, quality)
    picture.draw(
        FRONT, PAGE, f"front-{group.key}", {name: values[name] for name in ("look", "limit", "point")}, content
    )
    if said := words.guessing(dense):
        markup.soft(said)
    drawn, every = len(content["points"]), content["count"]["all"]
    if drawn < every:
        markup.soft(f"Drawn are the front and {drawn - len(front.best):,} of the other {every - len(front.best):,}.")
    markup.soft(caution(front))


def lesson_of(group: Group, quality: str) -> Mapping[str, Any]:
    return _lesson(group.rows, stored.stamp(group.rows), quality, group.comparison.id)


@st.cache_resource(show_spinner=False, max_entries=8)
def _lesson(_rows: Sequence[Row], key: int, quality: str, comparison: str) -> Mapping[str, Any]:
    return front_lesson(_rows, quality, comparison)


def caution(front: Front) -> str:
    """What the picture leaves out: how far the questions asked can tell its points apart."""
    if front.y.name in SCORES:
        return "Points that lie close can't be told apart by the questions asked; Explore draws each with its interval."
    return "The same held-out text for every result. Explore has accuracy, speed and memory on the same axes."


def draw_shares(group: Group, dense: Row) -> None:
    """The same results by file size, memory and time, which don't fall together."""
    rows = examples(group.rows, dense)
    if len(rows) < 2:
        return
    markup.head("Small in which sense? File, memory and time")
    markup.text(
        "One line a result: its file, its memory while it runs, and its time per word, each as a share of the "
        "original's. Left of the dashed line is better than the original."
    )
    figure = shares_figure(rows, dense, frame.theme(), compact=frame.narrow())
    st.plotly_chart(
        figure, key="trade_offs:shares", theme=None, config=chart.config("shares"), alt="File, memory and time per word"
    )
    if len(share_data(rows, dense)) < len(rows) * len(MEASURES):
        markup.soft("Where a mark is missing, it was not measured, or no kernel here runs the result packed.")
    names = words.distinct_labels(rows)  # as the picture has them
    reasons = {why(row, dense): names[row.trial_id] for row in reversed(rows)}
    for sentence in [f"{name}: {reason}" for reason, name in reversed(reasons.items()) if reason][:REASONS]:
        markup.soft(sentence)
    take_along.csv_button(group.rows, take_along.front_of(dense), "trade_offs:csv")


def examples(rows: Sequence[Row], dense: Row) -> list[Row]:
    """The original and at most one result for each way of compressing, the ones with times first, large files first."""
    kinds: dict[tuple[object, ...], Row] = {}
    sized = [row for row in rows if row.state == "done" and not is_dense(row) and row.value("weight_bytes")]
    for row in sorted(sized, key=lambda row: (row.simulated, flattered(row), row.value("weight_bytes") or 0.0)):
        steps = parse(row.recipe).steps
        kinds.setdefault(tuple((step.family, step.method, getattr(step, "bits", 0)) for step in steps), row)
    chosen = list(kinds.values())[: EXAMPLES - 1]
    return [dense, *sorted(chosen, key=lambda row: -(row.value("weight_bytes") or 0.0))]


def why(row: Row, dense: Row) -> str:
    """What keeps one of the three from falling with the others, in words; empty where they fall together."""
    return "" if is_dense(row) else words.why_not_smaller(row, dense)


def draw_roofline(group: Group, dense: Row, values: Mapping[str, Value]) -> None:
    """Why compressed is not always faster: the least time of a pass on this machine, beside the measured one."""
    markup.head("Why smaller is not always faster: the roofline")
    markup.text(
        "To write one word the machine reads every stored weight once and multiplies it once. It can do both at the "
        "same time, so the slower of the two decides. With one reader that is the memory, and fewer bytes could help; "
        "with many at once it is the arithmetic, which packing does not shorten."
    )
    limits = draw_machine(group)
    chosen = formats(group.rows, dense, lambda row: read_grid(row) is not None)
    if limits is None or not chosen:
        draw_bytes_and_flop(chosen, dense)
        return
    names = {name: values[name] for name in ("phase", "batch")}
    grids = {name: grid for name, row in chosen.items() if (grid := read_grid(row))}
    content = roofline_lesson(chosen, dense, limits, grids)
    picture.draw(ROOFLINE, PAGE, f"roofline-{group.key}-{limits.date}", names, content)
    draw_expected(chosen, dense, limits)
    draw_batches(chosen, dense, limits, grids)


def draw_machine(group: Group) -> Limits | None:
    """The limits that hold for these results: the recorded machine's, or this one's once it was measured."""
    if st.session_state.pop(MEASURED, False):
        st.session_state[view.key(PAGE, "machine")] = "here"
    known = machine_limits.known(group.origin)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(known) > 1:
            st.segmented_control(
                "Machine", list(known), key=view.key(PAGE, "machine"), required=True,
                format_func={"recorded": "Of the recorded results", "here": "This machine"}.__getitem__,
            )  # fmt: skip
        if machine_limits.measure("trade_offs:measure", again="here" in known):
            st.session_state[MEASURED] = True
            st.rerun()
    if not known:
        return None
    limits = known.get(str(st.session_state[view.key(PAGE, "machine")]), next(iter(known.values())))
    markup.soft(machine_limits.about(limits))
    return limits


def draw_bytes_and_flop(chosen: Mapping[str, Row], dense: Row) -> None:
    """What every machine has to do for a word, where the limits of none are known."""
    if not chosen:
        markup.soft("The original's size was not measured, so there is nothing to work out.")
        return
    lines = []
    for name, row in chosen.items():
        found = roofline.network(row, dense)
        assert found is not None
        done = roofline.work(found, "decode", 1, 0)
        lines.append([name, quantities.format_value("weight_bytes", done.bytes), f"{done.flop / 1e6:,.0f} MFLOP"])
    markup.table(("For one word", "Read", "Multiplied and added"), lines)
    markup.soft("How long that takes at least depends on the machine: measure it to see.")


def draw_expected(chosen: Mapping[str, Row], dense: Row, limits: Limits) -> None:
    """The least time of both phases beside the measured one, as the results' own protocol times them."""
    lines: list[list[str | tuple[str, str]]] = []
    for name, row in chosen.items():
        for phase in reversed(PHASES):
            least = roofline.expected(row, dense, phase, limits)
            if least is None:
                continue
            took = roofline.measured_ms(row, phase) if limits.fits(row) else None
            times = "–" if took is None else f"{took / least.ms:.1f}x"
            shown = quantities.format_value("prefill_ms", took)
            said = f"{quantities.format_value('prefill_ms', least.ms)}, by {least.decided_by}"
            lines.append([f"{name}: {PHASE_NAMES[phase]}", said, shown, times])
    markup.head("Expected and measured")
    markup.table(("", "At least", "Measured", "Overhead"), lines)
    markup.soft(verdict(chosen, dense, limits))
    if said := in_turns(chosen, limits):
        markup.soft(said)
    if len(chosen) == 1:
        markup.soft("No 8-bit or 4-bit result with a kernel of its own is among these: measure them to see them here.")


def in_turns(chosen: Mapping[str, Row], limits: Limits) -> str:
    """How fast the formats are beside the original, where times of different runs could be taken for that."""
    speeds = {name: row.value("decode_speedup") for name, row in chosen.items() if name != "bf16" and limits.fits(row)}
    said = [f"{quantities.times(ratio)} ({name})" for name, ratio in speeds.items() if ratio]
    if not said:
        return ""
    return (
        "Each was timed in a run of its own, and a machine is not equally fast in every run. Timed in turns with the "
        f"original, words come at {' and '.join(said)} of its speed."
    )


def read_grid(row: Row) -> LatencyGrid | None:
    """The times of a result over batches; what can't be read counts as missing."""
    with suppress(KeyError, TypeError, ValueError):
        return LatencyGrid.from_dict(stored.kept(row).profiles[latency_cells.NAME])
    return None


def draw_batches(chosen: Mapping[str, Row], dense: Row, limits: Limits, grids: Mapping[str, LatencyGrid]) -> None:
    """What the roof promises at every batch that was measured and what came of it, in the phase of the picture."""
    phase: Phase = "prefill" if st.session_state[view.key(PAGE, "phase")] == "prefill" else "decode"
    lines: list[list[str | tuple[str, str]]] = []
    for name, grid in grids.items():
        row = chosen[name]
        for cell in cells_of(grid, row, phase) if limits.fits(row) and row is not dense else ():
            least, whole = (roofline.expected(one, dense, phase, limits, cell.batch) for one in (row, dense))
            assert least is not None
            assert whole is not None
            lines.append([
                f"{name}, {cell.batch} at once", quantities.format_value("prefill_ms", least.ms),
                quantities.format_value("prefill_ms", cell.ms), f"{whole.ms / least.ms:.2f}x",
                f"{cell.speedup:.2f}x ({cell.low:.2f} to {cell.high:.2f})" + (" *" if cell.disturbed else ""),
            ])  # fmt: skip
    missing = {name: row.recipe for name, row in chosen.items() if name not in grids}
    if not lines and not missing:
        return
    markup.head(f"More than one at once: {PHASE_NAMES[phase]}")
    if lines:
        markup.table(("", "At least", "Measured", "Speed-up, at most", "Measured speed-up"), lines)
        beside = " * timed beside other load." if any("*" in line[-1] for line in lines) else ""
        markup.soft(
            "Speed-ups are against the original with as many at once, both timed in turns in one run; in brackets 95% "
            f"intervals.{beside}"
        )
    if missing:
        markup.soft(
            f"Measured for one batch only: {', '.join(missing)}. For others tick “Speed by batch and prompt” in New "
            f'sweep, or run python -m engine run "{list(missing.values())[-1]}" --only latency_grid. It takes some '
            "minutes a result."
        )


def verdict(chosen: Mapping[str, Row], dense: Row, limits: Limits) -> str:
    """What the gap between expected and measured says, of the smallest format."""
    name, row = min(chosen.items(), key=lambda pair: pair[1].value("weight_bytes") or 0.0)
    least, took = roofline.expected(row, dense, "decode", limits), roofline.measured_ms(row, "decode")
    if not limits.fits(row):
        return "These results were timed on another machine or with other threads, so no measured time stands beside."
    if least is None or took is None or name == "bf16" or took < least.ms:
        return "Whatever is measured beyond the least time is overhead: calls, small operations, unpacking."
    share = 100 * (1 - least.ms / took)
    shown = [quantities.format_value("decode_ms_per_token", time) for time in (least.ms, took)]
    return (
        f"{name} could write a word in {shown[0]} and takes {shown[1]}: {share:.0f}% is overhead, such as "
        "starting hundreds of small operations for every word and unpacking weights. It does not shrink with the file."
    )


frame.guard()
main()
