"""What a front shows and where, in the axes' units: the first of the two steps to a figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from engine import front, words
from engine.front import Front, find_front
from engine.metrics import Metric
from engine.plots.placement import wrap
from engine.row import Row

FRONT_SIZE, DOMINATED_SIZE, DENSE_SIZE = 12, 8, 17  # pixels


@dataclass(frozen=True)
class Mark:
    """One point as it is drawn; x and y, low and high are in the axes' units (MB, %, x)."""

    row: Row
    kind: str  # front, dominated, failed
    x: float
    y: float
    low: float | None
    high: float | None
    clipped: bool  # its true y lies beyond the axis
    hover: str  # four lines of escaped HTML

    @property
    def size(self) -> int:
        return DENSE_SIZE if front.is_dense(self.row) else FRONT_SIZE if self.kind == "front" else DOMINATED_SIZE


@dataclass(frozen=True)
class FrontData:
    """Everything of the figure that doesn't depend on theme or size."""

    front: Front
    marks: tuple[Mark, ...]
    step: tuple[tuple[float, float], ...]  # corners of the front's line, by x upwards
    original: float | None  # the dense model's height
    guessing: float | None
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    whole: float | None  # dense in bf16, on the x axis: where 1x stands


def front_data(
    rows: Sequence[Row], x: str = "weight_bytes", y: str = "accuracy", comparison: str | None = None
) -> FrontData:
    """What the front of `rows` shows: marks, step line, reference lines and ranges.

    Keep the dense row among filtered rows: the reference lines and the upper axis come from it. Raises InputError for
    a metric that can't be an axis.
    """
    found = find_front(rows, x, y, comparison)
    measured = [_mark(row, found) for row in found.points]
    original, guessing = _reference_heights(found)
    x_range, y_range = _x_range(measured, found.x), _y_range(measured, original, guessing, found.y)
    shown = found.comparison.id if found.comparison else None
    failed = [row for row in rows if row.state == "failed" and shown in (None, row.comparison_id)]
    crosses = [_failed_mark(row, n, found, x_range, y_range) for n, row in enumerate(failed)]
    return FrontData(
        front=found,
        marks=(*measured, *crosses),
        step=_step(measured, found, x_range, y_range),
        original=original,
        guessing=guessing,
        x_range=x_range,
        y_range=y_range,
        whole=_whole(found) if x == "weight_bytes" else None,
    )


def unit(metric: Metric) -> float:
    """What stored values are multiplied by to be in the axis's unit."""
    return {"MB": 1e-6, "M": 1e-6, "%": 100.0, "points": 100.0}.get(metric.unit, 1.0)


def _mark(row: Row, found: Front) -> Mark:
    x, y = (row.value(m.name) or 0.0 for m in (found.x, found.y))
    limit = words.PERPLEXITY_LIMIT if found.y.name == "perplexity" else math.inf
    span = front.whiskers(row, found.dense, found.y.name)
    scale = unit(found.y)
    on = row.trial_id in found.best_ids
    return Mark(
        row=row,
        kind="front" if on else "dominated",
        x=x * unit(found.x),
        y=min(y, limit) * scale,
        low=None if span is None else min(span.low, y) * scale,
        high=None if span is None else max(span.high, y) * scale,
        clipped=y > limit,
        hover=_hover(row, found, on),
    )


def _failed_mark(row: Row, n: int, found: Front, x_range: tuple[float, float], y_range: tuple[float, float]) -> Mark:
    """A cross on the baseline: at its x where that was measured before it failed, else in a row from the right."""
    value = row.value(found.x.name)
    known = value is not None and x_range[0] <= value * unit(found.x) <= x_range[1]
    place = 0.97 - 0.03 * (n % 20)
    x = (value or 0.0) * unit(found.x) if known else _between(*x_range, place, found.x.scale == "log")
    base = y_range[0]
    state = "Failed" if known else "Failed before it was measured"
    hover = "<br>".join([f"<b>{safe(row.label)}</b>", state, *(safe(line) for line in wrap(row.reason, 60, 2))])
    return Mark(row, "failed", x, base, None, None, False, hover)


def _hover(row: Row, found: Front, on: bool) -> str:
    """Four lines: what it is, its x, its y with what it keeps, and how to take it."""
    x, y = found.x, found.y
    ratio = row.value("compression_ratio")
    across = words.format_value(x.name, row.value(x.name))
    if x.name == "weight_bytes" and ratio is not None:
        across += f" · {words.times(ratio)} smaller than bf16" if ratio >= 1.005 else " · the size of bf16"
    elif x.unit != "MB":
        across = f"{x.label}: {across}"
    up = f"{y.label}: {words.format_value(y.name, row.value(y.name))}"
    if y.name == "accuracy" and words.change(row):
        up += f" · {words.change(row)}"
    status = ["On the front" if on else "Dominated"]
    status += ["the original"] if front.is_dense(row) else []
    status += ["simulated, no kernel"] if row.simulated else []
    status += ["† flattered by the model's own 4-bit grid"] if front.flattered(row) else []
    status += ["recorded"] if row.recorded else []
    return "<br>".join([f"<b>{safe(row.label)}</b>", safe(across), safe(up), safe(" · ".join(status))])


def safe(text: str) -> str:
    """Text that plotly shows as it is: no tags, no templates."""
    return escape(text, quote=False).replace("%{", "%&#123;")


def _reference_heights(found: Front) -> tuple[float | None, float | None]:
    """The heights of "original" and "guessing"; only accuracies have the latter."""
    scale, name = unit(found.y), found.y.name
    dense = found.dense.value(name) if found.dense else None
    if name == "top1_agreement" and found.dense:
        dense = 1.0
    source = next((r for r in (found.dense, *found.points) if r and r.value("accuracy_chance") is not None), None)
    chance = source.value("accuracy_chance") if source and name in ("accuracy", "accuracy_norm") else None
    return (None if dense is None else dense * scale, None if chance is None else chance * scale)


def _x_range(marks: Sequence[Mark], x: Metric) -> tuple[float, float]:
    values = [mark.x for mark in marks] or [1.0, 10.0]
    low, high = min(values), max(values)
    if x.scale == "log":
        span = max(math.log10(high / low), 0.12)
        return low / 10 ** (0.14 * span), high * 10 ** (0.08 * span)
    pad = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return low - pad, high + pad


def _y_range(marks: Sequence[Mark], original: float | None, guessing: float | None, y: Metric) -> tuple[float, float]:
    ends = [v for m in marks for v in ((m.low, m.high, m.y) if m.kind == "front" else (m.y,)) if v is not None]
    values = [*ends, *(v for v in (original, guessing) if v is not None)] or [1.0, 10.0]
    low, high = min(values), max(values)
    if y.scale == "log":
        span = max(math.log10(high / low), 0.1)
        return low / 10 ** (0.12 * span), high * 10 ** (0.12 * span)
    span = max(high - low, 1.0)
    return max(low - 0.1 * span, 0.0 if low >= 0 else -math.inf), high + 0.14 * span


def _between(low: float, high: float, share: float, log: bool) -> float:
    return low * (high / low) ** share if log else low + (high - low) * share


def _step(
    marks: Sequence[Mark], found: Front, x_range: tuple[float, float], y_range: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """Corners of the line that bounds what is reachable: never between points, always along the axes."""
    best = sorted((m.x, m.y) for m in marks if m.kind == "front")
    if not best:
        return ()
    worst = y_range[0] if found.y.better == "higher" else y_range[1]
    if found.x.better == "higher":
        best.reverse()
    edge = x_range[1] if found.x.better == "lower" else x_range[0]
    corners = [(best[0][0], worst), best[0]]
    for (_, height), point in pairwise(best):
        corners += [(point[0], height), point]
    corners.append((edge, best[-1][1]))
    return tuple(corners if found.x.better == "lower" else reversed(corners))


def _whole(found: Front) -> float | None:
    """MB of the dense model in bf16."""
    for row in (found.dense, *found.points):
        ratio, weight = (row.value("compression_ratio"), row.value("weight_bytes")) if row else (None, None)
        if ratio and weight:
            return ratio * weight / 1e6
    dense = found.dense.value("weight_bytes") if found.dense else None
    return None if dense is None else dense / 1e6
