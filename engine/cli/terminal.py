"""What commands print: tables, and the results of a trial with their units."""

from collections.abc import Mapping, Sequence

from engine.analysis.front import interval
from engine.metrics import ASIDE, METRICS, metric
from engine.outcome import latency_cells, layer_errors, sensitivity
from engine.outcome.kept import Profile
from engine.outcome.latency_cells import Cell, LatencyGrid
from engine.outcome.layer_errors import LayerErrors
from engine.outcome.row import Row
from engine.outcome.sensitivity import Sensitivity
from engine.quantities import format_value, nats, span
from engine.spec import MEASURES


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need be; the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(_cell(c, i, w) for i, (c, w) in enumerate(zip(line, widths, strict=True))) for line in lines
    )


def result(row: Row, measures: Sequence[str] = MEASURES) -> str:
    """A trial's metrics with units and intervals, those of `measures`, and its notes below."""
    names = [name for name in _in_order(row) if metric(name).measure in measures]
    cells = [(metric(name).label, format_value(name, row.value(name)), _remark(row, name)) for name in names]
    widths = [max((len(cell[i]) for cell in cells), default=0) for i in range(2)]
    lines = [f"{label:<{widths[0]}}  {value:>{widths[1]}}  {remark}".rstrip() for label, value, remark in cells]
    return "\n".join([row.label, f"{row.model}, {row.recipe}, trial {row.trial_id}", "", *lines, *row.notes])


def profile_lines(profiles: Mapping[str, Profile], measures: Sequence[str]) -> list[str]:
    """What those of a trial's profiles that `measures` gave come to; --json and Compare have all of them."""
    lines = []
    if layer_errors.NAME in measures and layer_errors.NAME in profiles:
        lines.append(_errors(LayerErrors.from_dict(profiles[layer_errors.NAME])))
    if latency_cells.NAME in measures and latency_cells.NAME in profiles:
        cells = LatencyGrid.from_dict(profiles[latency_cells.NAME]).cells
        heads = ["timed", "batch", "prompt", "ms", "original's ms", "speed-up", "95%"]
        lines.append(table(heads, [_timed(cell) for cell in cells]))
    if sensitivity.NAME in measures and sensitivity.NAME in profiles:
        lines.append(_sensitivities(Sensitivity.from_dict(profiles[sensitivity.NAME])))
    return lines


def _sensitivities(found: Sensitivity) -> str:
    """The divergence by layer and by way to compress it alone."""
    rows = [[f"layer {block}", *(nats(way.loss[block]) for way in found.ways)] for block in range(found.blocks)]
    return table(["nats a token", *(way.label for way in found.ways)], rows)


def _errors(found: LayerErrors) -> str:
    known = {place: error for place, error in enumerate(found.blocks) if error is not None}
    if not known:
        return "Error of the hidden state: its numbers overflow."
    worst = max(known, key=known.__getitem__)
    said = [f"{100 * known[layer]:.2g}% after layer {layer}" for layer in (min(known), max(known), worst)]
    return f"Error of the hidden state: {said[0]}, {said[1]}; at most {said[2]}."


def _timed(cell: Cell) -> list[str]:
    sizes = [f"{cell.batch}", f"{cell.prompt}", f"{cell.ms:.1f}", f"{cell.dense_ms:.1f}"]
    return [cell.phase, *sizes, f"{cell.speedup:.2f}x", f"{cell.low:.2f} to {cell.high:.2f}"]


def _in_order(row: Row) -> list[str]:
    """The metrics as the table of metrics has them, per-task ones behind the mean, intervals and errors left out."""
    named = [name for name in row.metrics if not name.endswith(ASIDE)]
    order = {name: place for place, name in enumerate(METRICS)}

    def place(name: str) -> tuple[int, str]:
        base = max((known for known in order if name == known or name.startswith(f"{known}_")), key=len, default="")
        return order.get(base, len(order)), name

    return sorted((name for name in named if _is_known(name)), key=place)


def _is_known(name: str) -> bool:
    try:
        return bool(metric(name))
    except KeyError:
        return False


def _remark(row: Row, name: str) -> str:
    if row.value(name) is None:
        return row.reasons.get(name, "")
    ends = interval(row, name)
    return "" if ends is None else f"95%: {span(name, *ends)}"


def _cell(text: str, place: int, width: int) -> str:
    return f"{text:<{width}}" if place == 0 else f"{text:>{width}}"
