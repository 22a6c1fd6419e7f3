"""Results on parallel axes: one line a result, across the settings of its recipe and its metrics.

The family is an axis of its own, so that the lines' hues carry nothing alone. A result that lacks a setting or a metric
meets that axis at its lowest tick, set apart from the numbers and named.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis.front import own_value
from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import SMALL, TICK, frame, log_ticks
from engine.plots.marks import unit
from engine.plots.palette import FAMILIES, THEMES, Theme, ThemeName
from engine.spec import parse
from engine.spec.recipe import named_blocks

MOST, MOST_COMPACT = 8, 4  # axes that can be told apart
_ABSENT = 0.12  # of an axis's length: how far below the numbers a missing one lies
SETTINGS = {
    "bits": "Bits",
    "group_size": "Group size",
    "sparsity": "Zeros (share)",
    "count": "Layers removed",
    "fraction": "Cut away (share)",
}
FAMILY = "family"
_SHORT = {"top1_agreement": "Same next word", "decode_speedup": "Speed-up"}  # metrics whose label is too long here


class Axis(NamedTuple):
    """One upright axis: its title, each row's place on it, its ends, and its ticks with their texts."""

    title: str
    places: tuple[float, ...]
    ends: tuple[float, float]
    ticks: tuple[float, ...]
    texts: tuple[str, ...]


def settings_of(rows: Sequence[Row]) -> list[str]:
    """The numeric settings with more than one value among the rows' recipes, in the order they are declared above."""
    found = {name: {setting(row, name) for row in rows} - {None} for name in SETTINGS}
    return [name for name, values in found.items() if len(values) > 1]


def setting(row: Row, name: str) -> float | None:
    """A setting of the row's recipe, of its last step that has it; None where none has, or it differs by layer."""
    having = [step for step in parse(row.recipe).steps if name in {f.name for f in fields(step)}]  # type: ignore[arg-type]
    if any(named_blocks(step) for step in having):
        return None
    values = [value for step in having if isinstance(value := getattr(step, name), int | float)]
    return float(values[-1]) if values else None


def choices(rows: Sequence[Row]) -> list[str]:
    """Every axis that these rows can be laid over: the family, their settings, the metrics they have."""
    metrics = [name for name, m in METRICS.items() if m.better != "none" and any(_known(row, name) for row in rows)]
    return [FAMILY, *settings_of(rows), *metrics]


def title(name: str) -> str:
    return "Family" if name == FAMILY else SETTINGS.get(name) or _SHORT.get(name) or METRICS[name].label


def axes_of(rows: Sequence[Row], names: Sequence[str]) -> list[Axis]:
    """The axes of these names, with the rows' places in the order of the rows."""
    return [_family_axis(rows) if name == FAMILY else _number_axis(rows, name) for name in names]


def parallel_figure(
    rows: Sequence[Row], names: Sequence[str], theme: ThemeName = "light", *, compact: bool = False
) -> go.Figure:
    """One line a finished row over the axes of these names, coloured by family; compact: for about 390 px."""
    done, colours = [row for row in rows if row.state == "done"], THEMES[theme]
    order = _families(done)
    figure = go.Figure(layout=frame(440, {"l": 62, "r": 66, "t": 112 if compact else 76, "b": 20}, colours))
    if not done:
        return figure
    figure.add_trace(
        go.Parcoords(
            dimensions=[_dimension(axis) for axis in axes_of(done, names[: MOST_COMPACT if compact else MOST])],
            line={
                "color": [order.index(row.family) for row in done],
                "colorscale": _scale([palette.colour(name, colours) for name in order]),
                "cmin": -0.5,
                "cmax": len(order) - 0.5,
                "showscale": False,
            },
            labelfont={"size": TICK, "color": colours.text},
            tickfont={"size": SMALL, "color": colours.text},
            rangefont={"size": SMALL, "color": colours.background},
            labelangle=-20 if not compact else -30,
            unselected=_faint(colours),
        )
    )
    return figure


def _faint(colours: Theme) -> dict[str, Any]:
    return {"line": {"color": colours.grid, "opacity": 0.5}}


def _scale(hues: Sequence[str]) -> list[list[float | str]]:
    """A colour scale of equal flat bands."""
    count = len(hues)
    return [[edge / count, hue] for n, hue in enumerate(hues) for edge in (n, n + 1)]


def _dimension(axis: Axis) -> dict[str, Any]:
    return {
        "label": axis.title,
        "values": list(axis.places),
        "range": list(axis.ends),
        "tickvals": list(axis.ticks),
        "ticktext": list(axis.texts),
    }


def _families(rows: Sequence[Row]) -> list[str]:
    there = {row.family for row in rows}
    return [name for name in ("dense", *FAMILIES) if name in there]


def _family_axis(rows: Sequence[Row]) -> Axis:
    order = _families(rows)[::-1]  # the original on top
    texts = tuple(palette.family(name).label for name in order)
    places = tuple(float(order.index(row.family)) for row in rows)
    ticks = tuple(float(n) for n in range(len(order)))
    return Axis("Family", places, (-0.25, len(order) - 0.75), ticks, texts)


def _number_axis(rows: Sequence[Row], name: str) -> Axis:
    """A setting or a metric; metrics whose axis is logarithmic are laid out on their logarithm."""
    is_metric = name in METRICS
    values = [_number(row, name) for row in rows]
    known = [v for v in values if v is not None] or [0.0]
    log = is_metric and METRICS[name].scale == "log" and min(known) > 0
    low, high = min(known), max(known)
    if low == high:
        low, high = (low / 1.1, high * 1.1) if log else (low - 1, high + 1)
    ticks = log_ticks(low, high, 7) if log else _even(low, high)
    if not is_metric:
        ticks = sorted(set(known)) if len(set(known)) <= 8 else ticks
    bottom, top = (math.log10(low), math.log10(high)) if log else (low, high)
    absent = bottom - _ABSENT * (top - bottom)
    places = tuple(absent if v is None else math.log10(v) if log else v for v in values)
    spots = [math.log10(tick) if log else tick for tick in ticks]
    texts = [f"{tick:,.4g}" for tick in ticks]
    if None in values:
        spots, texts, bottom = [absent, *spots], ["none", *texts], absent
    if spots[0] > bottom:  # an axis is drawn between its first tick and its last
        spots, texts = [bottom, *spots], ["", *texts]
    if spots[-1] < top:
        spots, texts = [*spots, top], [*texts, ""]
    return Axis(_headed(name), places, (bottom, top), tuple(spots), tuple(texts))


def _headed(name: str) -> str:
    if name not in METRICS or not METRICS[name].unit:
        return title(name)
    return f"{title(name)} ({METRICS[name].unit})"


def _number(row: Row, name: str) -> float | None:
    if name not in METRICS:
        return setting(row, name)
    if not _known(row, name):
        return None
    value = own_value(row, name) or 0.0
    return min(value, quantities.PERPLEXITY_LIMIT) if name == "perplexity" else value * unit(METRICS[name])


def _known(row: Row, name: str) -> bool:
    value = own_value(row, name)
    return value is not None and math.isfinite(value)


def _even(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers inside a linear range."""
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(s for s in (0.1 * power, 0.2 * power, 0.5 * power, power, 2 * power) if (high - low) / s <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]
