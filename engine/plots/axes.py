"""The plot area in pixels, its ranges, ticks and titles, and the subtitle above it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.analysis import front, words
from engine.metrics import Metric
from engine.plots import palette
from engine.plots.marks import FrontData
from engine.plots.palette import Theme
from engine.plots.placement import LINE_HEIGHT, Box

TICK, AXIS_TITLE, LABEL, SMALL = 13, 14, 13, 12  # font sizes in pixels
_OF_TEXT = ("perplexity", "perplexity_ratio", "kl_to_dense", "loss_change", "top1_agreement")
LAYERS = "Layer of the original, from 0"  # as recipes and the names of tensors count them


class Canvas:
    """The plot area in pixels: where data lies in it, with the margins that its axes need."""

    def __init__(self, width: int, height: int, compact: bool, data: FrontData) -> None:
        self.height, self.compact, self.data = height, compact, data
        self.subtitle = subtitle(data, width - 24, compact)
        upper = 46 if data.whole else 8
        self.margin = {"l": 58, "r": 14, "t": round(len(self.subtitle) * SMALL * LINE_HEIGHT) + upper + 6, "b": 58}
        self.area = Box(0, 0, width - self.margin["l"] - self.margin["r"], height - self.margin["t"] - self.margin["b"])

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        across = _share(x, self.data.x_range, self.data.front.x.scale == "log")
        up = _share(y, self.data.y_range, self.data.front.y.scale == "log")
        return across * self.area.right, up * self.area.top


def frame(height: int, margin: Mapping[str, int], colours: Theme) -> dict[str, Any]:
    """What every figure's layout has: its size in pixels, colours, type, and the box of its hover."""
    return {
        "height": height,
        "autosize": True,
        "margin": dict(margin),
        "paper_bgcolor": colours.background,
        "plot_bgcolor": colours.background,
        "font": {"family": palette.FONT, "size": TICK, "color": colours.text},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "align": "left",
            "bgcolor": colours.background,
            "bordercolor": colours.quiet,
            "font": {"size": TICK, "color": colours.text},
        },
    }


def layout(data: FrontData, canvas: Canvas, colours: Theme) -> dict[str, Any]:
    found = data.front
    shared = {
        "showgrid": True,
        "gridcolor": colours.grid,
        "zeroline": False,
        "showline": False,
        "tickfont": {"size": TICK, "color": colours.text},
        "fixedrange": canvas.compact,
    }
    settings: dict[str, Any] = {
        **frame(canvas.height, canvas.margin, colours),
        "xaxis": {**shared, **_axis(found.x, data.x_range, 4 if canvas.compact else 8, colours)},
        "yaxis": {**shared, **_axis(found.y, data.y_range, 7, colours), "title_standoff": 6},
    }
    if data.whole:
        settings["xaxis2"] = {**shared, **_ratio_axis(data, canvas.compact, colours)}
    return settings


def axis_name(metric: Metric) -> str:
    """What an axis calls a metric."""
    return {"weight_bytes": "Weights", "accuracy": "Mean accuracy", "accuracy_norm": "Mean accuracy, by length"}.get(
        metric.name, metric.label
    )


def _axis(metric: Metric, ends: tuple[float, float], most: int, colours: Theme) -> dict[str, Any]:
    log = metric.scale == "log"
    name = axis_name(metric)
    unit = {"x": "times the original" if metric.timed else "", "": ""}.get(metric.unit, metric.unit)
    details = ", ".join(part for part in (unit, "log scale" if log else "") if part)
    title = f"{name} ({details})" if details else name
    axis: dict[str, Any] = {
        "type": "log" if log else "linear",
        "range": [math.log10(v) for v in ends] if log else list(ends),
        "title": {"text": title, "font": {"size": AXIS_TITLE, "color": colours.text}},
    }
    if log:
        ticks = log_ticks(*ends, most)
        suffix = "x" if metric.unit == "x" else ""
        axis |= {"tickvals": ticks, "ticktext": [f"{tick:,g}{suffix}" for tick in ticks]}
    else:
        axis |= {"nticks": most, "ticksuffix": "x" if metric.unit == "x" else ""}
    return axis


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers inside a logarithmic range, at most `most` of them and at least three where there are so many.

    Digits such as 1, 2, 5 in each decade; in a range too short for three of those, evenly spaced round numbers.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fitting: list[float] = []
    for digits in _DIGITS:
        ticks = [tick for k in decades for d in digits if low <= (tick := round(d * 10.0**k, 12)) <= high]
        if len(ticks) <= most:
            fitting = ticks
    if len(fitting) >= 3:
        return fitting
    power = 10.0 ** math.floor(math.log10(high - low))
    for step in (power * digit for digit in (0.1, 0.2, 0.5, 1, 2, 5)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [round(n * step, 12) for n in range(first, last + 1)]
    return fitting


_DIGITS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 1.5, 2, 2.5, 3, 4, 5, 7))


def _ratio_axis(data: FrontData, compact: bool, colours: Theme) -> dict[str, Any]:
    whole = data.whole or 1.0
    low, high = data.x_range
    ratios = [r for r in (100, 50, 20, 10, 5, 3, 2, 1.5, 1.2, 1) if low <= whole / r <= high]
    ratios = [r for r in ratios if r != 1.2 or ratios[0] <= 1.5]
    return {
        "type": data.front.x.scale,
        "matches": "x",
        "overlaying": "x",
        "side": "top",
        "showgrid": False,
        "tickvals": [whole / r for r in ratios],
        "ticktext": [f"{r:g}x" for r in ratios],
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": colours.quiet,
        "title": {
            "text": "times smaller than bf16",
            "font": {"size": SMALL if compact else TICK, "color": colours.quiet},
            "standoff": 4,
        },
    }


def subtitle(data: FrontData, width: float, compact: bool) -> tuple[str, ...]:
    """The subtitle: where and how it was measured, and what the marks mean, in lines that fit."""
    found = data.front
    some = found.dense or next(iter(found.points), None)
    if some is None:
        return ()
    kinds = {mark.kind for mark in data.marks}
    if data.third and data.third.shown_by == "shade":
        key = ["larger: on the front"]
    else:
        key = [] if compact else ["filled: on the front"]
        key += ["hollow: dominated"] if "dominated" in kinds else []
    key += ["dot inside: simulated"] if any(m.row.simulated for m in data.marks) else []
    key += ["✕: failed"] if "failed" in kinds else []
    flattered = any(front.flattered(m.row) for m in data.marks)
    key += ["†: own grid" if compact else "†: flattered by the model's own 4-bit grid"] if flattered else []
    key += ["whiskers: 95%, paired"] if any(m.low is not None for m in data.marks) else []
    key += data.third.legend if data.third else []
    key += ["crosses: published, other models and texts"] if data.papers else []
    questions = some.value("questions") if found.y.measure == "accuracy" else None
    characters = int(width / (SMALL * 0.52))
    about = [*words.protocol(some, questions), *(words.text_read(some) if found.y.name in _OF_TEXT else [])]
    return (*_flow(about, characters), *_flow([key[0].capitalize(), *key[1:]] if key else [], characters))


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    low, high = ends
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _flow(parts: Sequence[str], characters: int) -> list[str]:
    """Parts joined by middle dots into lines of at most so many characters, broken between parts only."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= characters:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines
