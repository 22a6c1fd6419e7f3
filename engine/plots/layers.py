"""Errors by layer of results side by side: a line over the layers, and the linears in a table. Data first, then plotly.

A line has its family's hue and mark, a second result of a family another dash, and every line its letter at its end.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import log10
from statistics import fmean
from typing import NamedTuple

import plotly.graph_objects as go

from engine.outcome.layer_errors import LayerErrors, LinearErrors, Shape
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import AXIS_TITLE, LAYERS, TICK, frame, log_ticks
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName

DASHES = ("solid", "dash", "dot", "dashdot")  # of a family's first result, its second, …
_LEAST = 0.01  # percent: what is below is drawn there
_NAMES = {
    "self_attn.q_proj": "Attention: queries",
    "self_attn.k_proj": "Attention: keys",
    "self_attn.v_proj": "Attention: values",
    "self_attn.o_proj": "Attention: output",
    "mlp.gate_proj": "MLP: gate",
    "mlp.up_proj": "MLP: up",
    "mlp.down_proj": "MLP: down",
}

Cell = tuple[str, str]  # what became of one kind of linear: short, and in a sentence
Found = Mapping[str, tuple[Row, LayerErrors]]  # by letter


class Point(NamedTuple):
    """The error of the state after one layer, counted from 0, in percent."""

    layer: int
    percent: float
    removed: bool


def point_data(errors: LayerErrors) -> list[Point]:
    """The layers whose error is known, in order."""
    known = ((place, error) for place, error in enumerate(errors.blocks) if error is not None)
    return [Point(place, 100 * error, place in errors.removed) for place, error in known]


def linear_data(found: Found) -> list[tuple[str, list[Cell]]]:
    """A line for every kind of linear: its name, and a cell for every result."""
    names = dict.fromkeys(linear.name for _, errors in found.values() for linear in errors.linears)
    return [
        (
            _NAMES.get(name, name),
            [_cell(next((one for one in e.linears if one.name == name), None), e) for _, e in found.values()],
        )
        for name in names
    ]


def layer_figure(found: Found, theme: ThemeName = "light", *, compact: bool = False) -> go.Figure:
    """A line a result over the dense model's layers, on a logarithmic axis. compact: for about 390 px."""
    colours, lines = THEMES[theme], {letter: point_data(errors) for letter, (_, errors) in found.items()}
    count = max((len(errors.blocks) for _, errors in found.values()), default=1)
    shown = [max(point.percent, _LEAST) for points in lines.values() for point in points]
    low, high = min(shown, default=1.0) / 1.3, max(shown, default=100.0) * 1.3
    figure = go.Figure(layout=_layout(count, low, high, colours, compact))
    seen: Counter[str] = Counter()
    for letter, (row, _) in found.items():
        figure.add_trace(_line(letter, row, lines[letter], DASHES[seen[row.family]], colours))
        seen[row.family] += 1
    return figure


def csv_data(found: Found) -> tuple[list[str], list[list[str | int | float]]]:
    """Heads and rows of everything that was found: a line a result and layer, or a result, layer and linear."""
    heads = ["result", "trial", "recipe", "layer", "linear", "relative_error", "rows", "columns", "removed"]
    rows: list[list[str | int | float]] = []
    for letter, (row, errors) in found.items():
        name: list[str | int | float] = [letter, row.trial_id, row.recipe]
        for place, error in enumerate(errors.blocks):
            rows.append([*name, place, "", "" if error is None else error, "", "", int(place in errors.removed)])
            for linear in errors.linears:
                value, shape = linear.errors[place], linear.shapes[place] or ("", "")
                rows.append(
                    [
                        *name,
                        place,
                        linear.name,
                        "" if value is None else value,
                        *shape,
                        int(not linear.shapes[place]),
                    ]
                )
    return heads, rows


def _cell(linear: LinearErrors | None, errors: LayerErrors) -> Cell:
    if linear is None:
        return "", "This model has no such linear."
    known = [100 * error for error in linear.errors if error is not None]
    cut = [shape for shape in linear.shapes if shape is not None and shape != linear.shape]
    if cut:
        widest, narrowest = max(cut), min(cut)
        span = _size(widest) if widest == narrowest else f"{_size(narrowest)} to {_size(widest)}"
        return _change(linear.shape, widest), f"Rows x columns: {_size(linear.shape)} before, {span} now."
    if not known:
        why = errors.not_compared or "their numbers overflow, or the model's files call them otherwise"
        return "not compared", f"No weights are compared: {why}."
    least, most = _percent(min(known)), _percent(max(known))
    span = "" if least == most else f" ({least} to {most})"
    return f"{_percent(fmean(known))}{span}", f"Mean of {len(known)} layers, and from the least to the largest."


def _change(before: Shape, after: Shape) -> str:
    """ "1,536 → 1,152 rows": what a cut took, of the sides that it took something from."""
    sides = [
        f"{old:,} → {new:,} {name}"
        for old, new, name in zip(before, after, ("rows", "columns"), strict=True)
        if old != new
    ]
    return ", ".join(sides)


def _size(shape: Shape) -> str:
    return f"{shape[0]:,} x {shape[1]:,}"


def _percent(value: float) -> str:
    return f"{value:.{0 if value >= 10 else 1 if value >= 1 else 2}f}%" if value else "0%"


def _layout(layers: int, low: float, high: float, colours: Theme, compact: bool) -> dict[str, object]:
    ticks = log_ticks(low, high, 6)
    axis = {"tickfont": {"size": TICK, "color": colours.text}, "zeroline": False, "fixedrange": True}
    axis |= {"gridcolor": colours.grid, "showgrid": True}
    font = {"size": AXIS_TITLE, "color": colours.text}
    return {
        **frame(330 if compact else 380, {"l": 8, "r": 26, "t": 34, "b": 52}, colours),
        "xaxis": {
            **axis, "range": [-0.6, layers - 0.4], "showgrid": False, "nticks": 6 if compact else 12,
            "title": {"text": LAYERS, "font": font},
        },
        "yaxis": {
            **axis, "type": "log", "automargin": True, "autorange": False, "range": [log10(low), log10(high)],
            "tickvals": ticks, "ticktext": [f"{tick:,.4g}%" for tick in ticks],
        },
        "annotations": [
            {
                "text": "Error of the hidden state after each layer", "x": 0, "xref": "paper", "xanchor": "left",
                "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 6, "showarrow": False, "font": font,
            }
        ],
    }  # fmt: skip


def _line(letter: str, row: Row, points: Sequence[Point], dash: str, colours: Theme) -> go.Scatter:
    look, hue = palette.family(row.family), palette.colour(row.family, colours)
    symbols = [f"{look.symbol}-open" if point.removed else look.symbol for point in points]
    return go.Scatter(
        x=[point.layer for point in points],
        y=[max(point.percent, _LEAST) for point in points],
        mode="lines+markers+text",
        name=letter,
        text=[letter if point is points[-1] else "" for point in points],
        textposition="middle right",
        textfont={"size": TICK, "color": colours.text, "weight": 700},
        line={"color": hue, "width": 2, "dash": dash},
        marker={"symbol": symbols, "size": 8, "color": hue, "line": {"width": 1.5, "color": hue}},
        cliponaxis=False,
        customdata=[row.trial_id] * len(points),
        hovertext=[
            f"<b>{letter}: {safe(row.label)}</b><br>after layer {point.layer}: {_percent(point.percent)}"
            + ("<br>this layer was removed" if point.removed else "")
            for point in points
        ],
        hoverinfo="text",
    )
