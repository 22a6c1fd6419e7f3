"""Result's section "Why isn't it smaller or faster?": sentences, what its time is made of, and the numbers behind."""

import streamlit as st

from engine import quantities
from engine.analysis import why, words
from engine.analysis.front import is_dense
from engine.analysis.parts import parts_run
from engine.analysis.passes import Pair, Pass
from engine.analysis.roofline import Phase
from engine.analysis.why import Case
from engine.layers.formats import Formats
from engine.machine import Limits
from engine.outcome.row import Row
from engine.plots.pass_time import PARTS, SHADES, names, time_data, time_figure
from pages.shared import chart, frame, machine_limits, markup

PHASES: tuple[Phase, ...] = ("decode", "prefill")
_SHORT = {"float32": "fp32", "bfloat16": "bf16"}
_ABOUT = {
    "Number format": "Of all that is not packed: the faster of fp32 and bf16 in that run.",
    "Bytes moved": "Weights as they ran, each once, and the keys and values of the tokens before.",
    "Operations": "Multiplications and additions of every weight with every token.",
    "Reading, at least": "Bytes moved at the memory's full speed.",
    "Arithmetic, at least": "Operations at the processor's full speed.",
    "Measured": "Median time; the original's is that of the same run.",
    "Everything else": "Measured less the longer of reading and arithmetic.",
}


def draw_why(row: Row, dense: Row | None) -> None:
    """The whole section; nothing where neither bytes nor times of the result are known."""
    if dense is None:
        draw_alone(row)
        return
    limits = machine_limits.of(row)
    found = why.case(row, dense, limits)
    said = why.sentences(found)
    if not said:
        return
    markup.head("Where does its time go?" if is_dense(row) else "Why isn't it smaller or faster?")
    markup.points(said)
    split = any(time_data(pair) for pair in found.passes.values())
    if split:
        draw_times(found)
    if found.passes:
        draw_limits(row, limits, split)
        draw_numbers(found, open_=not split)


def draw_alone(row: Row) -> None:
    """What can be said without the original's size."""
    if said := words.why_not_smaller(row, None):
        markup.head("Why isn't it smaller or faster?")
        markup.points([said])
        markup.soft("Bytes and times are set beside the original's here once it was measured under the same protocol.")


def draw_times(found: Case) -> None:
    """A picture for a word and one for the prompt, beside each other where there is room."""
    markup.legend(zip(PARTS, SHADES, strict=True))
    shown = {phase: pair for phase in PHASES if (pair := found.passes.get(phase)) and time_data(pair)}
    for column, (phase, pair) in zip(st.columns(len(shown), gap="large"), shown.items(), strict=True):
        name = name_of(phase, found.row)
        figure = time_figure(pair, frame.theme(), compact=frame.narrow())
        with column:
            markup.sub(name)
            st.plotly_chart(
                figure,
                key=f"why:{phase}",
                theme=None,
                config=chart.config(f"time-{phase}"),
                alt=f"{name}: {in_words(pair)}",
            )


def in_words(pair: Pair) -> str:
    """The bars as text, for who can't see them."""
    return "; ".join(
        f"{bar.name}, {', '.join(f'{part} {ms:.1f} ms' for part, ms in zip(PARTS, bar.parts_ms, strict=True))}"
        for bar in time_data(pair)
    )


def name_of(phase: Phase, row: Row) -> str:
    """ "One word", "A prompt of 128 tokens"; with the batch where it is more than one."""
    batch = int(row.protocol.get("batch_size", 1))
    if phase == "decode":
        return "One word" if batch == 1 else f"One word for each of {batch} sequences"
    tokens = f"of {int(row.protocol.get('prompt_tokens', 128)):,} tokens"
    return f"A prompt {tokens}" if batch == 1 else f"{batch} prompts {tokens}"


def draw_limits(row: Row, limits: Limits | None, split: bool) -> None:
    """The machine's limits that the times were held against, or why there are none, and the way to get them."""
    if split and limits is not None:
        beside = "" if is_dense(row) else " The original was timed beside it, in the same run."
        markup.soft(
            f"{machine_limits.about(limits)} Reading and arithmetic are drawn at that speed; they overlap, so "
            f"arithmetic counts only where it takes longer. What the machine was slower while timing is in everything "
            f"else.{beside}"
        )
        return
    if row.value("decode_ms_per_token") is None:
        return
    if limits is not None:
        markup.soft(
            f"Its time is not split: it was timed on {timed_on(row)}, and the limits known here are those of "
            f"{limits.cpu} with {limits.threads} threads."
        )
        return
    markup.soft("How fast the machine reads and multiplies at best is not known, so its time is not split.")
    if not row.recorded and machine_limits.measure("why:measure", again=False):
        st.rerun()


def timed_on(row: Row) -> str:
    """The processor and threads that timed a result, or the accelerator."""
    if row.protocol.get("device", "cpu") != "cpu":
        return str(row.environment.get("gpu") or row.protocol["device"])
    threads = row.environment.get("threads") or row.protocol.get("threads") or row.environment.get("cpu_threads")
    return f"{row.environment.get('cpu', 'another machine')} with {threads} threads"


def draw_numbers(found: Case, open_: bool) -> None:
    """Bytes, operations and times of both phases, and what ran each part."""
    with st.expander("Bytes, operations and kernels", expanded=open_):
        shown = [phase for phase in PHASES if phase in found.passes]
        for column, phase in zip(st.columns(len(shown), gap="large"), shown, strict=True):
            with column:
                draw_phase(name_of(phase, found.row), found.passes[phase])
        draw_parts(found.row, found.formats)


def draw_phase(name: str, pair: Pair) -> None:
    """One phase's numbers, the original's beside."""
    found = numbers([side for side in pair if side is not None])
    known = {label: values for label, values in found.items() if set(values) != {quantities.NOTHING}}
    lines: list[list[str | tuple[str, str]]] = [[(label, _ABOUT[label]), *values] for label, values in known.items()]
    markup.table((name, *names(pair)), lines)


def numbers(sides: list[Pass]) -> dict[str, list[str]]:
    """What is known of passes, by what it is called; a dash where something is not known."""

    def time(value: float | None) -> str:
        return quantities.format_value("decode_ms_per_token", value)

    rests = [side.parts_ms[2] if side.parts_ms else None for side in sides]
    return {
        "Number format": [_SHORT.get(side.dtype or "", quantities.NOTHING) for side in sides],
        "Bytes moved": [quantities.format_value("weight_bytes", side.done.bytes) for side in sides],
        "Operations": [quantities.operations(side.done.flop) for side in sides],
        "Reading, at least": [time(side.least.memory_ms if side.least else None) for side in sides],
        "Arithmetic, at least": [time(side.least.arithmetic_ms if side.least else None) for side in sides],
        "Measured": [time(side.took_ms) for side in sides],
        "Everything else": [time(rest) for rest in rests],
    }


def draw_parts(row: Row, formats: Formats) -> None:
    """How every part is stored, and what multiplied it."""
    markup.table(("What ran each part", "Stored", "A word", "A prompt"), parts_run(row, formats))
    markup.soft(
        "Left out: attention's products with the cache, and activations, which stay in the processor's caches. A "
        "multiplication and an addition count as two operations."
    )
