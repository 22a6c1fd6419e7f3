"""What the picture of a Pareto front is made of: a comparison's real results, ready to be drawn in the browser.

Everything is sent once. Places are shares of the plot, [0, 1] from the left and from the bottom, so that the browser
can redraw while a threshold is dragged and needs no axes, no logarithms and no rules: which results may be picked
and what stands on the front is decided here.
"""

import math
from collections.abc import Sequence
from typing import Any

from engine import quantities
from engine.analysis import front, words
from engine.analysis.front import find_front
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import axis_name, log_ticks
from engine.plots.marks import FrontData, Mark, front_data
from engine.spec import parse

MOST = 300  # results that are drawn: the front, and as many others as there is room for
RATIOS = (100, 50, 20, 10, 5, 3, 2, 1.5, 1)


def front_lesson(rows: Sequence[Row], y: str = "accuracy", comparison: str | None = None) -> dict[str, Any]:
    """The lesson's content as JSON holds it: points, ticks, the front's step line, reference heights and the knee.

    y: a metric that is better when higher, in percent. Every point says where it stands, what it is called, whether it
    is on the front, whether it is simulated and whether it may be picked: neither simulated nor flattered results are.
    """
    data = front_data(find_front([row for row in rows if row.state == "done"], "weight_bytes", y, comparison))
    shown = _shown(data.marks)
    labels = words.distinct_labels([mark.row for mark in shown])
    knee = data.front.knee
    return {
        "points": [_point(mark, data, labels[mark.row.trial_id]) for mark in shown],
        "count": {"all": len(data.marks), "front": len(data.front.best)},
        "step": [_place(x, height, data) for x, height in data.step],
        "ticks": {"x": _x_ticks(data), "ratio": _ratio_ticks(data), "y": _y_ticks(data)},
        "quality": {"label": axis_name(data.front.y), "low": data.y_range[0], "high": data.y_range[1]},
        "lines": _lines(data),
        "knee": {"id": knee.row.trial_id if knee else None, "says": words.knee(data.front) or words.NO_KNEE},
    }


def _shown(marks: Sequence[Mark]) -> list[Mark]:
    """All of them; of too many the front, and the others in even steps."""
    others = [mark for mark in marks if mark.kind != "front"]
    step = max(1, math.ceil(len(others) / max(1, MOST - (len(marks) - len(others)))))
    return [*others[::step], *(mark for mark in marks if mark.kind == "front")]


def _point(mark: Mark, data: FrontData, label: str) -> dict[str, Any]:
    row, (x, y) = mark.row, _place(mark.x, mark.y, data)
    ratio = row.value("compression_ratio")
    return {
        "id": row.trial_id,
        "x": x,
        "y": y,
        "label": label,
        "size": quantities.format_value("weight_bytes", row.value("weight_bytes")),
        "ratio": f"{quantities.times(ratio)} smaller than bf16" if ratio and ratio >= 1.005 else "",
        "quality": quantities.format_value(data.front.y.name, row.value(data.front.y.name)),
        "symbol": palette.family(row.family).symbol,
        "colour": palette.family(row.family).colour or palette.INK,
        "ring": _ring(row),
        "front": mark.kind == "front",
        "simulated": row.simulated,
        "pick": front.may_be_picked(row),
    }


def _ring(row: Row) -> str:
    """The hue of a combination's first step, which rings it; empty of all others."""
    return palette.family(parse(row.recipe).steps[0].family).colour if row.family == "combined" else ""


def _place(x: float, y: float, data: FrontData) -> tuple[float, float]:
    low, high = data.x_range
    bottom, top = data.y_range
    return math.log(x / low) / math.log(high / low), (y - bottom) / (top - bottom)


def _x_ticks(data: FrontData) -> list[tuple[float, str]]:
    return [(_place(tick, 0, data)[0], f"{tick:,g}") for tick in log_ticks(*data.x_range, 7)]


def _ratio_ticks(data: FrontData) -> list[tuple[float, str]]:
    low, high = data.x_range
    whole = data.whole
    return [(_place(whole / r, 0, data)[0], f"{r:g}x") for r in RATIOS if low <= whole / r <= high] if whole else []


def _y_ticks(data: FrontData) -> list[tuple[float, str]]:
    bottom, top = data.y_range
    step = next((s for s in (1, 2, 5, 10, 20) if (top - bottom) / s <= 6), 25)
    first, last = math.ceil(bottom / step), math.floor(top / step)
    return [(_place(data.x_range[0], n * step, data)[1], f"{n * step}%") for n in range(first, last + 1)]


def _lines(data: FrontData) -> list[dict[str, Any]]:
    """The heights of the original and of guessing."""
    known = (("original", data.original), ("guessing", data.guessing))
    return [{"name": n, "y": _place(data.x_range[0], h, data)[1]} for n, h in known if h is not None]
