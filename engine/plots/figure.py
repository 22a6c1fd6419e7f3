"""The front as a plotly figure: the second step.

Every point carries its trial's id as `customdata`. All text that comes from users or models is escaped, since plotly
reads a subset of HTML. There is no legend: families are told by colour and shape, and pages show them as pills.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from engine.analysis.front import Front
from engine.outcome.row import Row
from engine.plots import palette
from engine.plots.axes import LABEL, SMALL, Canvas, layout
from engine.plots.labels import BETTER, LineLabel, better_corner, place_labels
from engine.plots.marks import PLAIN, Extras, FrontData, Mark, front_data, safe, unit
from engine.plots.palette import THEMES, Theme, ThemeName, mixed
from engine.plots.placement import Placed
from engine.plots.published_marks import SIZE, PaperMark, paper_traces
from engine.spec import parse

_ASIDE = 0.5  # pixels


def front_figure(
    front: Front,
    highlighted: Collection[str] = (),
    theme: ThemeName = "light",
    *,
    compact: bool = False,
    width: int | None = None,
    height: int | None = None,
    extras: Extras = PLAIN,
) -> go.Figure:
    """A front as a figure that fills its container's width.

    highlighted: trial ids that are ringed. compact: for about 390 px, with fewer labels. width: the narrowest the
    figure will be shown, in pixels (360 when compact, else 720): labels are placed for it, and stay apart where it is
    wider.
    """
    data = front_data(front, extras)
    colours = THEMES[theme]
    canvas = Canvas(width or (360 if compact else 720), height or (440 if compact else 520), compact, data)
    figure = go.Figure(layout=layout(data, canvas, colours))
    figure.add_traces(_traces(data, frozenset(highlighted), colours))
    _draw_references(figure, data, canvas, colours)
    names, labels = place_labels(data, canvas, frozenset(highlighted))
    for name in names:
        _draw_name(figure, name, data, colours)
    for label in labels:
        _draw_label(figure, label, data, colours)
    return figure


def _traces(data: FrontData, highlighted: frozenset[str], colours: Theme) -> list[go.Scatter]:
    measured = [m for m in data.marks if m.kind != "failed"]
    shaded = bool(data.third and data.third.shown_by == "shade")
    layers = [_step_trace(data, colours)]
    for kind in ("dominated", "front"):
        groups: dict[tuple[str, bool], list[Mark]] = {}
        for mark in measured:
            if mark.kind == kind:
                groups.setdefault((mark.row.family, mark.row.simulated), []).append(mark)
        layers += [_points(name, simulated, marks, colours, shaded) for (name, simulated), marks in groups.items()]
    layers += paper_traces(data.papers, colours)
    failed = [m for m in data.marks if m.kind == "failed"]
    if failed:
        cross = {"symbol": "x-thin", "size": 11, "line": {"width": 2.5, "color": colours.text}}
        layers.append(_scatter(failed, "failed", marker=cross))
    ringed = [m for m in measured if m.row.trial_id in highlighted]
    if ringed:
        across = [mark.ring for mark in ringed]
        ring = {"symbol": "circle-open", "size": across, "color": colours.text, "line": {"width": 2.5}}
        layers.append(_scatter(ringed, "highlight", marker=ring, hoverinfo="skip"))
    if data.whole:
        layers.append(go.Scatter(x=[None], y=[None], xaxis="x2", hoverinfo="skip", name="ratio"))
    return layers


def _step_trace(data: FrontData, colours: Theme) -> go.Scatter:
    xs, ys = zip(*data.step, strict=True) if data.step else ((), ())
    line = {"color": colours.text, "width": 2}
    return go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", name="front")


def _points(family: str, simulated: bool, marks: Sequence[Mark], colours: Theme, shaded: bool) -> go.Scatter:
    """One family's marks of one kind: filled on the front, hollow when dominated, an open dot when simulated.

    shaded: their fill is the third metric's, and the family's hue their outline only.
    """
    look, hue, on = palette.family(family), palette.colour(family, colours), marks[0].kind == "front"
    sizes = [mark.size for mark in marks]
    marker: dict[str, Any] = {"symbol": look.symbol, "size": sizes if len(set(sizes)) > 1 else sizes[0], "opacity": 1}
    if shaded:
        symbol = f"{look.symbol}-dot" if simulated else look.symbol
        fills = [_shade(mark, colours) for mark in marks]
        marker |= {"symbol": symbol, "color": fills, "line": {"width": 2.5 if on else 1.75, "color": hue}}
    elif simulated:
        marker |= {"symbol": f"{look.symbol}-open-dot", "color": hue, "line": {"width": 2}}
    elif on:
        edge = (
            {"width": 3, "color": [_ring(mark.row, colours) for mark in marks]}
            if family == "combined"
            else {"width": 1, "color": colours.background}
        )
        marker |= {"color": hue, "line": edge}
    else:
        marker |= {"color": colours.background, "line": {"width": 1.75, "color": hue}}
    return _scatter(marks, f"{family} {marks[0].kind}", marker=marker, error_y=_whiskers(marks, hue) if on else None)


def _shade(mark: Mark, colours: Theme) -> str:
    """The text colour, the stronger the larger the third metric; the background where it was not measured."""
    return (
        colours.background if mark.share is None else mixed(colours.text, colours.background, 0.1 + 0.75 * mark.share)
    )


def _ring(row: Row, colours: Theme) -> str:
    """A combination is ringed in the hue of its first step."""
    steps = parse(row.recipe).steps
    return palette.colour(steps[0].family, colours) if steps else colours.text


def _whiskers(marks: Sequence[Mark], hue: str) -> dict[str, Any] | None:
    if all(mark.low is None for mark in marks):
        return None
    up = [0 if m.high is None else m.high - m.y for m in marks]
    down = [0 if m.low is None else m.y - m.low for m in marks]
    return {"type": "data", "array": up, "arrayminus": down, "color": hue, "thickness": 1.5, "width": 4}


def _scatter(marks: Sequence[Mark], name: str, **look: Any) -> go.Scatter:
    drawn = {"hovertext": [m.hover for m in marks], "hoverinfo": "text", **look}
    return go.Scatter(
        x=np.array([m.x for m in marks]),
        y=np.array([m.y for m in marks]),
        mode="markers",
        name=name,
        customdata=[m.row.trial_id for m in marks],
        cliponaxis=False,  # a mark that stands on an axis is drawn whole
        **drawn,
    )


def _draw_references(figure: go.Figure, data: FrontData, canvas: Canvas, colours: Theme) -> None:
    """The dashed and dotted lines, the band of an uncertain knee, the corner's arrow, the subtitle."""
    for height, dash in ((data.original, "dash"), (data.guessing, "dot")):
        if height is not None:
            line = {"color": colours.quiet, "width": 1.5, "dash": dash}
            figure.add_shape(type="line", xref="paper", x0=0, x1=1, y0=height, y1=height, line=line, layer="below")
    knee, scale = data.front.knee, unit(data.front.x)
    if knee and knee.is_range:
        ends = [(row.value(data.front.x.name) or 0.0) * scale for row in (knee.low, knee.high)]
        figure.add_vrect(*ends, fillcolor=colours.band, line_width=0, layer="below")
    right, top = better_corner(data.front)
    figure.add_annotation(
        text=BETTER[right, top],
        font={"size": LABEL, "color": colours.quiet, "weight": 600},
        showarrow=False,
        **{"xref": "paper", "yref": "paper", "x": float(right), "y": float(top)},
        **{"xanchor": "right" if right else "left", "yanchor": "top" if top else "bottom"},
    )
    if canvas.subtitle:
        figure.add_annotation(
            text="<br>".join(safe(line) for line in canvas.subtitle),
            font={"size": SMALL, "color": colours.quiet},
            align="left",
            showarrow=False,
            **{"xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"},
            **{"xshift": 12 - canvas.margin["l"], "yshift": 50 if data.whole else 8},
        )
    clipped = [(m.x, m.y) for m in data.marks if m.clipped] + [(m.x, m.y) for m in data.papers if m.clipped]
    for x, y in clipped:
        where = _at(data, x, y)
        font = {"size": 16, "color": colours.text}
        figure.add_annotation(**where, text="↑", showarrow=False, yshift=14, font=font)


def _draw_name(figure: go.Figure, name: LineLabel, data: FrontData, colours: Theme) -> None:
    at = {"xref": "paper", "x": name.x, "y": _at(data, 1.0, name.height)["y"]}
    end = {0.0: "left", 1.0: "right"}.get(name.x, "center")
    side = {"yanchor": "bottom", "yshift": name.gap} if name.above else {"yanchor": "top", "yshift": -name.gap}
    # A halo, where no place is free over the whiskers of a narrow front.
    halo = ", ".join([f"0 0 3px {colours.background}"] * 4)
    font = {"size": LABEL, "color": colours.quiet, "shadow": halo}
    figure.add_annotation(text=name.text, showarrow=False, font=font, xanchor=end, **at, **side)


def _draw_label(figure: go.Figure, label: Placed, data: FrontData, colours: Theme) -> None:
    """A label at its box, with a thin line from its point where it lies apart."""
    wanted, box = label.wanted, label.box
    paper = next((m for m in data.papers if m.key == wanted.key), None)
    mark = paper or next(m for m in data.marks if m.row.trial_id == wanted.key)
    size = SIZE if isinstance(mark, PaperMark) else mark.size
    text = "<br>".join(safe(line) for line in wanted.lines)
    font = {"size": SMALL, "color": colours.quiet} if paper else {"size": LABEL, "color": colours.text, "weight": 600}
    look: dict[str, Any] = {"text": text, "font": font, "borderpad": 0}
    x_anchor, dx = _side(box.left - wanted.x, box.right - wanted.x, ("left", "center", "right"))
    y_anchor, dy = _side(box.bottom - wanted.y, box.top - wanted.y, ("bottom", "middle", "top"))
    look |= {"align": "left" if x_anchor == "left" else x_anchor, "xanchor": x_anchor, "yanchor": y_anchor}
    if label.led:
        arrow = {"arrowhead": 0, "arrowwidth": 1, "arrowcolor": colours.quiet, "standoff": size / 2 + 1}
        # Off the diagonal: plotly draws no line to a text whose corner lies exactly at the lower right of the point.
        figure.add_annotation(**_at(data, mark.x, mark.y), **look, **arrow, showarrow=True, ax=dx + _ASIDE, ay=-dy)
    else:
        figure.add_annotation(**_at(data, mark.x, mark.y), **look, showarrow=False, xshift=dx, yshift=dy)


def _side(near: float, far: float, names: tuple[str, str, str]) -> tuple[str, float]:
    """Which edge of a label faces its point, from the offsets of both its edges, and that edge's offset."""
    if near >= 0:
        return names[0], near
    if far <= 0:
        return names[2], far
    return names[1], (near + far) / 2


def _at(data: FrontData, x: float, y: float) -> dict[str, float]:
    """A point as annotations want it: its logarithm on a logarithmic axis."""
    return {
        "x": math.log10(x) if data.front.x.scale == "log" else x,
        "y": math.log10(y) if data.front.y.scale == "log" else y,
    }
