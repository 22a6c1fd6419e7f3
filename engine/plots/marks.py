"""What a front shows and where, in the axes' units: the first of the two steps to a figure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

from engine import quantities
from engine.analysis import front, words
from engine.analysis.front import Front
from engine.metrics import METRICS, SCORES, Metric, Scale
from engine.outcome.row import Row
from engine.plots.placement import wrap
from engine.plots.published_marks import PaperMark, paper_marks
from engine.plots.third import ShownBy, Third, find_third

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
    across: float | None = None  # pixels, where a third metric decides them
    share: float | None = None  # where the third metric lies between its ends, if its shade shows it

    @property
    def size(self) -> float:
        if self.across is not None and self.kind != "failed":
            return self.across
        return DENSE_SIZE if front.is_dense(self.row) else FRONT_SIZE if self.kind == "front" else DOMINATED_SIZE

    @property
    def ring(self) -> float:
        """How wide the ring is that highlights it, in pixels."""
        return max(26.0, self.size + 11)


@dataclass(frozen=True)
class Extras:
    """What a front is drawn with beyond its two metrics.

    x_scale and y_scale: those of the metrics unless given; a logarithm is left where a value has none. third: a metric
    that `shown_by` shows. papers: figures from papers, where the axes are relative to an original.
    """

    x_scale: Scale | None = None
    y_scale: Scale | None = None
    third: str = ""
    shown_by: ShownBy = "size"
    papers: bool = False


PLAIN = Extras()


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
    third: Third | None = None
    papers: tuple[PaperMark, ...] = ()


def front_data(front: Front, extras: Extras = PLAIN) -> FrontData:
    """What a front shows: marks, step line, reference lines and ranges.

    Keep the dense row among filtered rows: the reference lines and the upper axis come from it.
    """
    found = _scaled(front, extras)
    third = find_third(found.points, extras.third, extras.shown_by) if extras.third else None
    papers = paper_marks(front.x.name, front.y.name) if extras.papers else ()
    several = len({row.model for row in found.points}) > 1
    measured = [_mark(row, found, third, several) for row in found.points]
    original, guessing = _reference_heights(found)
    x_range = _x_range([*(mark.x for mark in measured), *(mark.x for mark in papers)], found.x)
    y_range = _y_range(measured, [original, guessing, *(mark.y for mark in papers)], found.y)
    crosses = [_failed_mark(row, n, found, x_range, y_range) for n, row in enumerate(found.failed)]
    return FrontData(
        front=found,
        marks=(*measured, *crosses),
        step=_step(measured, found, x_range, y_range),
        original=original,
        guessing=guessing,
        x_range=x_range,
        y_range=y_range,
        whole=_whole(found) if front.x.name == "weight_bytes" else None,
        third=third,
        papers=papers,
    )


def unit(metric: Metric) -> float:
    """What stored values are multiplied by to be in the axis's unit."""
    return _UNITS.get(metric.unit, 1.0)


_UNITS = {"MB": 1e-6, "M": 1e-6, "%": 100.0, "points": 100.0}


def _scaled(found: Front, extras: Extras) -> Front:
    """The front with its axes scaled as asked; which results stand on it, and its knee, stay the same."""
    x = _with_scale(found.x, extras.x_scale, found.points)
    return replace(found, x=x, y=_with_scale(found.y, extras.y_scale, found.points))


def _with_scale(metric: Metric, scale: Scale | None, points: Sequence[Row]) -> Metric:
    if scale is None or (scale == "log" and any((row.value(metric.name) or 0) <= 0 for row in points)):
        return metric
    return replace(metric, scale=scale)


def _mark(row: Row, found: Front, third: Third | None, several: bool) -> Mark:
    x, y = (row.value(m.name) or 0.0 for m in (found.x, found.y))
    limit = _LIMITS.get(found.y.name, math.inf)
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
        hover=_hover(row, found, on, third, several),
        across=third.across(row) if third else None,
        share=third.share(row) if third and third.shown_by == "shade" else None,
    )


_LIMITS = {"perplexity": quantities.PERPLEXITY_LIMIT, "perplexity_ratio": quantities.PERPLEXITY_RATIO_LIMIT}


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


def _hover(row: Row, found: Front, on: bool, third: Third | None, several: bool) -> str:
    """Four lines: what it is, its x, its y with what it keeps, and how to take it; and of which model, of several."""
    x, y = found.x, found.y
    ratio = row.value("compression_ratio")
    across = quantities.format_value(x.name, row.value(x.name))
    if x.name == "weight_bytes" and ratio is not None:
        across += f" · {quantities.times(ratio)} smaller than bf16" if ratio >= 1.005 else " · the size of bf16"
    elif x.unit != "MB":
        across = f"{x.label}: {across}"
    up = f"{y.label}: {quantities.format_value(y.name, row.value(y.name))}"
    if y.name in SCORES and (change := words.change(row, y.name)):
        up += f" · {change}"
    status = ["On the front" if on else "Dominated"]
    status += ["the original"] if front.is_dense(row) else []
    status += ["simulated, no kernel"] if row.simulated else []
    status += ["† flattered by the model's own 4-bit grid"] if front.flattered(row) else []
    status += ["recorded"] if row.recorded else []
    if third:
        value = quantities.format_value(third.metric, row.value(third.metric))
        up += f" · {METRICS[third.metric].label.lower()}: {value}"
    model = [safe(row.model)] if several else []
    return "<br>".join([f"<b>{safe(row.label)}</b>", *model, safe(across), safe(up), safe(" · ".join(status))])


def safe(text: str) -> str:
    """Text that plotly shows as it is: no tags, no templates."""
    return escape(text, quote=False).replace("%{", "%&#123;")


def _reference_heights(found: Front) -> tuple[float | None, float | None]:
    """The heights of "original" and "guessing"; only accuracies have the latter."""
    scale, name = unit(found.y), found.y.name
    dense = found.dense.value(name) if found.dense else None
    if name in ("top1_agreement", "perplexity_ratio") and found.dense:
        dense = 1.0
    source = next((r for r in (found.dense, *found.points) if r and r.value("accuracy_chance") is not None), None)
    chance = source.value("accuracy_chance") if source and name in SCORES else None
    return (None if dense is None else dense * scale, None if chance is None else chance * scale)


def _x_range(found: Sequence[float], x: Metric) -> tuple[float, float]:
    values = found or [1.0, 10.0]
    low, high = min(values), max(values)
    if x.scale == "log":
        span = max(math.log10(high / low), 0.12)
        return low / 10 ** (0.14 * span), high * 10 ** (0.08 * span)
    pad = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    return low - pad, high + pad


def _y_range(marks: Sequence[Mark], others: Sequence[float | None], y: Metric) -> tuple[float, float]:
    ends = [v for m in marks for v in ((m.low, m.high, m.y) if m.kind == "front" else (m.y,)) if v is not None]
    values = [*ends, *(v for v in others if v is not None)]
    if y.scale == "log":
        values = [v for v in values if v > 0]
    low, high = min(values, default=1.0), max(values, default=10.0)
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
