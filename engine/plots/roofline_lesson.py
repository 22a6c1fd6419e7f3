"""What the picture of the roofline is made of: least times of real results at every batch, beside the measured ones.

Everything is sent once, so that the browser only has to look up a batch while the slider is dragged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine import quantities
from engine.analysis import roofline, words
from engine.analysis.front import is_dense, may_be_picked
from engine.analysis.roofline import BATCHES, PHASES, Phase
from engine.machine import Limits
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.outcome.row import Row
from engine.plots import palette
from engine.spec import parse
from engine.spec.quantize import SmoothQuant

DASHES = ("", "8 4", "2 4")  # of the formats' lines, in their order
WIDTHS = (8, 4)  # bits with a kernel of their own


def formats(rows: Sequence[Row], dense: Row, has_grid: Callable[[Row], bool] = lambda row: False) -> dict[str, Row]:
    """The original as "bf16", and the fastest real result of "int8" and of "int4" linears with nothing else done.

    has_grid: whether a result was timed over batches; such a one goes before those that say less. Empty where the
    original's size was not measured.
    """
    if roofline.network(dense, dense) is None:
        return {}
    found = {"bf16": dense}
    sound = [row for row in rows if may_be_picked(row) and roofline.network(row, dense)]
    for bits in WIDTHS:
        alike = [row for row in sound if _bits(row) == bits]
        if alike:
            found[f"int{bits}"] = max(alike, key=lambda row: (has_grid(row), row.value("decode_speedup") or 0.0))
    return found


def roofline_lesson(
    chosen: Mapping[str, Row], dense: Row, limits: Limits, grids: Mapping[str, LatencyGrid]
) -> dict[str, Any]:
    """The lesson's content as JSON holds it.

    chosen: what each format is called -> its result; grids: of the formats that were timed over batches. Measured times
    are given only where the limits are those of the machine that took them.
    """
    return {
        "batches": list(BATCHES),
        "prompt": prompt_of(dense),
        "machine": {
            "gigabytes": f"{limits.read_bytes_per_s / 1e9:.3g}",
            "gigaflop": f"{limits.most_flop_per_s / 1e9:,.0f}",
        },
        "formats": [
            _format(n, name, row, dense, limits, grids.get(name)) for n, (name, row) in enumerate(chosen.items())
        ],
    }


def prompt_of(row: Row) -> int:
    """Tokens of the prompts that a result's protocol reads."""
    return int(row.protocol.get("prompt_tokens", 128))


def cells_of(grid: LatencyGrid, row: Row, phase: Phase) -> list[Cell]:
    """The cells of a phase whose prompts are as long as those of a result's protocol; words may follow any prompt."""
    return [cell for cell in grid.cells if cell.phase == phase and (phase == "decode" or cell.prompt == prompt_of(row))]


def _format(n: int, name: str, row: Row, dense: Row, limits: Limits, grid: LatencyGrid | None) -> dict[str, Any]:
    return {
        "name": name,
        "about": f"{words.short_label(row)}, {quantities.format_value('weight_bytes', row.value('weight_bytes'))}",
        "colour": palette.family(row.family).colour or palette.INK,
        "dash": DASHES[n % len(DASHES)],
        **{phase: _phase(phase, row, dense, limits, grid) for phase in PHASES},
    }


def _phase(phase: Phase, row: Row, dense: Row, limits: Limits, grid: LatencyGrid | None) -> dict[str, Any]:
    """Milliseconds of a pass at every batch, by what needs them, and the measured ones."""
    least = [roofline.expected(row, dense, phase, limits, batch) for batch in BATCHES]
    return {
        "memory": [time.memory_ms for time in least if time],
        "arithmetic": [time.arithmetic_ms for time in least if time],
        "measured": _measured(phase, row, grid) if limits.fits(row) else [],
    }


def _measured(phase: Phase, row: Row, grid: LatencyGrid | None) -> list[dict[str, Any]]:
    """What a phase took: at the batch of the protocol, and at the others that were timed over batches."""
    found = {cell.batch: (cell.ms, cell.disturbed) for cell in (cells_of(grid, row, phase) if grid else ())}
    usual = roofline.measured_ms(row, phase)
    if usual is not None:
        found[int(row.protocol.get("batch_size", 1))] = (usual, False)
    return [
        {"place": BATCHES.index(batch), "ms": ms, "disturbed": disturbed}
        for batch, (ms, disturbed) in sorted(found.items())
        if batch in BATCHES
    ]


def _bits(row: Row) -> int | None:
    """The width of a result that was only quantized, once, only its linears, and runs on our kernels; or None."""
    steps = parse(row.recipe).steps
    if is_dense(row) or row.state != "done" or len(steps) != 1 or steps[0].family != "quantize":
        return None
    ours = getattr(steps[0], "targets", ()) == ("linears",) and not hasattr(steps[0], "library")
    ours = ours and not isinstance(steps[0], SmoothQuant)  # whose prompts may be multiplied as whole numbers
    return getattr(steps[0], "bits", None) if ours else None
