"""Sensitivity as a heat-map: layers by ways to compress one alone. Data first, then plotly.

Each family's cells have its hue, the stronger the more the loss rises, on one logarithmic scale for all. Nothing is
told by colour alone: a cell says its number on hover, the worst of a way has it written on it unless ringed, and a
table has all. What a mixture chose for a layer is ringed.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from engine.outcome.sensitivity import Kind, Sensitivity, Way
from engine.plots import palette
from engine.plots.axes import AXIS_TITLE, LAYERS, SMALL, TICK, frame
from engine.plots.palette import FAMILIES, THEMES, Theme, ThemeName
from engine.quantities import nats

LOWEST = 1e-4  # nats a token, and all below it: as pale as a cell gets
HUES: dict[Kind, str] = {"bits": "quantize", "sparsity": "prune", "slice": "slice"}
_PALEST = 0.06  # of a hue
_OVERFLOWED = "×"
_ROW, _CELL = 26, 17  # pixels


class Line(NamedTuple):
    """One way: its name, its strengths in [0, 1] by layer, None where numbers overflowed, and where it does most."""

    name: str
    kind: Kind
    strengths: tuple[float | None, ...]
    hovers: tuple[str, ...]
    worst: int | None
    written: str  # on the worst


def heat_data(found: Sensitivity) -> list[Line]:
    """The ways in the order they were measured."""
    known = [loss for way in found.ways for loss in way.loss if loss is not None]
    ends = math.log10(LOWEST), math.log10(max([*known, 10 * LOWEST]))
    return [_line(way, ends) for way in found.ways]


def heat_figure(
    found: Sensitivity, chosen: Sequence[int] = (), theme: ThemeName = "light", *, compact: bool = False
) -> go.Figure:
    """Layers across and ways down; compact, for about 390 px, the other way round.

    chosen: the bits of each layer in a mixture, which are ringed.
    """
    lines, colours = heat_data(found), THEMES[theme]
    places = _places(lines)
    figure = _empty(found, lines, places, colours, compact)
    ringed = _ringed(found, lines, places, chosen)
    for line, place in zip(lines, places, strict=True):
        figure.add_trace(_cells(line, place, colours, compact))
        for layer, text in _written(line):
            if (layer, place) not in ringed:
                ink = palette.ink(_hue(line.kind, line.strengths[layer] or 0.0, colours))
                font = {"size": SMALL, "color": ink}
                figure.add_annotation(**_at(layer, place, compact), text=text, showarrow=False, font=font)
    figure.add_trace(_rings([_at(*mark, compact) for mark in ringed], colours))
    return figure


def _empty(
    found: Sensitivity, lines: Sequence[Line], places: Sequence[float], colours: Theme, compact: bool
) -> go.Figure:
    """The figure before anything is drawn: its size and its axes, the ways at their places."""
    ways = {"tickvals": places, "ticktext": [line.name for line in lines], "tickfont": {"size": TICK}}
    layers = {"title": {"text": LAYERS, "font": {"size": AXIS_TITLE}}, "tickfont": {"size": TICK}}
    ends = [-0.5, found.blocks - 0.5]
    if compact:
        height = found.blocks * _CELL + 130
        figure = go.Figure(layout=frame(height, {"l": 46, "r": 8, "t": 74, "b": 10}, colours))
        figure.update_xaxes(**ways, side="top", tickangle=-90, fixedrange=True)
        figure.update_yaxes(**layers, range=ends[::-1], fixedrange=True)
    else:
        height = len(lines) * _ROW + 110
        figure = go.Figure(layout=frame(height, {"l": 84, "r": 8, "t": 10, "b": 50}, colours))
        figure.update_xaxes(**layers, range=ends, dtick=1 if found.blocks <= 40 else 5)
        figure.update_yaxes(**ways, autorange="reversed")
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(showgrid=False, zeroline=False)
    return figure


def _line(way: Way, ends: tuple[float, float]) -> Line:
    low, high = ends
    strengths = tuple(
        None if loss is None else min(max((math.log10(max(loss, LOWEST)) - low) / (high - low), 0.0), 1.0)
        for loss in way.loss
    )
    hovers = tuple(
        f"<b>Layer {layer}, {way.label}</b><br>"
        + ("its numbers overflow" if loss is None else f"divergence {nats(loss)} nats a token")
        for layer, loss in enumerate(way.loss)
    )
    worst = max(
        (n for n, loss in enumerate(way.loss) if loss is not None), key=lambda n: way.loss[n] or 0.0, default=None
    )
    return Line(way.label, way.kind, strengths, hovers, worst, "" if worst is None else _short(way.loss[worst] or 0.0))


def _short(loss: float) -> str:
    """A loss in as few characters as a cell holds: 0.12, 1.3; empty of less than a hundredth."""
    return "" if loss < 0.005 else f"{loss:.2f}" if loss < 0.995 else f"{loss:.1f}"


def _places(lines: Sequence[Line]) -> list[float]:
    """Where each way stands, with a gap before another family."""
    places, at = [], 0.0
    for number, line in enumerate(lines):
        if number and line.kind != lines[number - 1].kind:
            at += 0.4
        places.append(at)
        at += 1
    return places


def _hue(kind: Kind, strength: float, colours: Theme) -> str:
    share = _PALEST + (1 - _PALEST) * strength
    return palette.mixed(FAMILIES[HUES[kind]].colour, colours.background, share)


def _cells(line: Line, place: float, colours: Theme, compact: bool) -> go.Heatmap:
    layers = list(range(len(line.strengths)))
    values, hovers, names = list(line.strengths), list(line.hovers), [str(layer) for layer in layers]
    across: dict[str, Any] = {
        "x": layers,
        "y": [place],
        "dy": 1,
        "z": [values],
        "hovertext": [hovers],
        "customdata": [names],
    }
    down: dict[str, Any] = {
        "x": [place],
        "dx": 1,
        "y": layers,
        "z": [[value] for value in values],
        "hovertext": [[hover] for hover in hovers],
        "customdata": [[name] for name in names],
    }
    scale = [[share, _hue(line.kind, share, colours)] for share in (0.0, 0.5, 1.0)]
    return go.Heatmap(
        **(down if compact else across),
        zmin=0,
        zmax=1,
        colorscale=scale,
        showscale=False,
        xgap=1,
        ygap=1,
        hoverinfo="text",
        name=line.name,
    )


def _written(line: Line) -> list[tuple[int, str]]:
    """(layer, what is written on its cell): on the worst its loss, a cross where numbers overflowed."""
    crosses = [(layer, _OVERFLOWED) for layer, strength in enumerate(line.strengths) if strength is None]
    return [*crosses, *([(line.worst, line.written)] if line.worst is not None and line.written else [])]


def _at(layer: int, place: float, compact: bool) -> dict[str, float]:
    return {"x": place, "y": layer} if compact else {"x": layer, "y": place}


def _ringed(
    found: Sensitivity, lines: Sequence[Line], places: Sequence[float], chosen: Sequence[int]
) -> list[tuple[int, float]]:
    """(layer, place) of the width that a mixture chose for each layer, but for those that are left as they are."""
    rows = {line.name: place for line, place in zip(lines, places, strict=True)}
    names = {bits: way.label for bits, way in found.bits.items()}
    return [(layer, rows[names[bits]]) for layer, bits in enumerate(chosen) if bits in names]


def _rings(spots: Sequence[dict[str, float]], colours: Theme) -> go.Scatter:
    return go.Scatter(
        x=[spot["x"] for spot in spots],
        y=[spot["y"] for spot in spots],
        mode="markers",
        marker={"symbol": "circle-open", "size": 11, "color": colours.text, "line": {"width": 2}},
        hoverinfo="skip",
        name="chosen",
    )
