"""The ladder as a figure: a bar of bytes for every rung, what is left of the original beside it, and the goals below.

A simulated result's bar is hollow, a goal's is a dotted outline: its size is arithmetic. Data first, then plotly.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from engine import quantities
from engine.analysis.ladder import BROKEN, FP32, Goal, Rung
from engine.plots import horizontal, palette
from engine.plots.axes import SMALL, TICK
from engine.plots.marks import safe
from engine.plots.palette import THEMES, Theme, ThemeName
from engine.plots.placement import wrap

_LINE, _COMPACT_LINE, _TOP = 46, 54, 30  # pixels
_BARS, _KEPT = (0.0, 0.68), (0.74, 1.0)  # of the width: the bytes, and the next words
_ORIGINAL = 0.5  # of the text colour


class Line(NamedTuple):
    """One line: a rung, or a goal, which has no row; key: what chooses it; same: percent, with its 95% interval."""

    key: str
    name: str
    megabytes: float
    ratio: float
    rung: Rung | None
    same: float | None
    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """What stands at the end of its bar."""
        size = quantities.byte_count(1e6 * self.megabytes)
        return size if self.rung is None or self.ratio == 1 else f"{size} · {quantities.times(self.ratio)}"


def key_of(goal: Goal) -> str:
    """What the address and a click name a goal by."""
    return f"{goal.ratio:g}x"


def ladder_data(ladder: Sequence[Rung], left: Sequence[Goal]) -> list[Line]:
    """The rungs, numbered from 1, and the goals below them."""
    lines = [_line(number, rung) for number, rung in enumerate(ladder, 1)]
    goals = [
        Line(key_of(goal), f"{goal.ratio:g} times smaller", goal.bytes / 1e6, goal.ratio, None, None, None, None)
        for goal in left
    ]
    return [*lines, *goals]


def ladder_figure(
    ladder: Sequence[Rung], left: Sequence[Goal], chosen: str, theme: ThemeName = "light", *, compact: bool = False
) -> go.Figure:
    """The lines downwards, the chosen one on a band. compact: for about 390 px, with the next words as numbers."""
    lines, colours = ladder_data(ladder, left), THEMES[theme]
    height = len(lines) * (_COMPACT_LINE if compact else _LINE) + 56 + _TOP
    figure = go.Figure(layout=horizontal.layout(height, "Weights (MB)", colours, compact, _TOP))
    _draw_band(figure, lines, chosen, colours)
    figure.add_trace(_bars(lines, colours))
    _draw_outlines(figure, lines, colours)
    _write_texts(figure, lines, colours, compact)
    figure.update_xaxes(range=[0, lines[0].megabytes * (1.5 if compact else 1.13)])
    figure.update_yaxes(
        tickvals=list(range(len(lines))), ticktext=[_name(line, compact) for line in lines],
        range=[len(lines) - 0.5, -0.5],
    )  # fmt: skip
    figure.update_layout(bargap=0.42)
    if not compact and any(line.same is not None for line in lines):
        _draw_kept(figure, lines, colours)
    figure.update_traces(unselected={"marker": {"opacity": 1}})  # a click dims nothing
    return figure


def _line(number: int, rung: Rung) -> Line:
    row, dense = rung.row, rung.standing == "original"
    same, low, high = (row.value(f"top1_agreement{end}") for end in ("", "_low", "_high"))
    if dense:
        same, low, high = 1.0, None, None
    label = f"{number} · {rung.name}"
    size = (row.value("weight_bytes") or 0.0) / 1e6
    return Line(row.trial_id, label, size, rung.ratio, rung, *(_percent(share) for share in (same, low, high)))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _name(line: Line, compact: bool) -> str:
    return "<br>".join(map(safe, wrap(line.name, 15 if compact else 30)))


def _draw_band(figure: go.Figure, lines: Sequence[Line], chosen: str, colours: Theme) -> None:
    """What marks the chosen line: drawn by us, since a selection can't be set from code."""
    for place, line in enumerate(lines):
        if line.key == chosen:
            ends = {"x0": 0, "x1": 1, "y0": place - 0.47, "y1": place + 0.47}
            look = {"fillcolor": colours.band, "line": {"width": 0}, "layer": "below"}
            figure.add_shape(type="rect", xref="paper", **ends, **look)


def _bars(lines: Sequence[Line], colours: Theme) -> go.Bar:
    looks = [_look(line, colours) for line in lines]
    return go.Bar(
        orientation="h",
        y=list(range(len(lines))),
        x=[line.megabytes for line in lines],
        name="Weights",
        marker={"color": [fill for fill, _ in looks], "line": {"width": 2, "color": [edge for _, edge in looks]}},
        customdata=[line.key for line in lines],
        hovertext=[_hover(line) for line in lines],
        hoverinfo="text",
    )


def _look(line: Line, colours: Theme) -> tuple[str, str]:
    """(fill, outline) of a bar: in its family's hue, hollow where it is simulated; a goal's is drawn by a shape."""
    if line.rung is None:
        return colours.background, colours.background
    hue = palette.colour(line.rung.row.family, colours)
    if line.rung.standing == "original":
        return palette.mixed(hue, colours.background, _ORIGINAL), hue
    return (colours.background if line.rung.row.simulated else hue), hue


def _draw_outlines(figure: go.Figure, lines: Sequence[Line], colours: Theme) -> None:
    for place, line in enumerate(lines):
        if line.rung is None:
            ends = {"x0": 0, "x1": line.megabytes, "y0": place - 0.29, "y1": place + 0.29}
            figure.add_shape(type="rect", **ends, line={"width": 1.5, "color": colours.quiet, "dash": "dot"})


def _write_texts(figure: go.Figure, lines: Sequence[Line], colours: Theme, compact: bool) -> None:
    for place, line in enumerate(lines):
        text, reached = line.text, line.rung is not None
        if compact and reached and line.same is not None and line.ratio != 1:
            text += f"<br>{line.same:.0f}% same word"
        if not reached:
            text += "<br>not reached" if compact else " · not reached"
        elif line.rung and line.rung.row.simulated and not compact:
            text += " · simulated"
        look = {"size": TICK, "color": colours.text if reached else colours.quiet, "weight": 600 if reached else 400}
        where = {"x": line.megabytes, "y": place, "xanchor": "left", "xshift": 6, "showarrow": False, "align": "left"}
        figure.add_annotation(text=text, font=look, **where)


def _draw_kept(figure: go.Figure, lines: Sequence[Line], colours: Theme) -> None:
    """How often the next word stays the original's, on an axis of its own at the right."""
    known = [(place, line) for place, line in enumerate(lines) if line.same is not None]
    look = figure.layout.xaxis.to_plotly_json()
    title = {**look["title"], "text": "Same next word (%)"}
    figure.update_xaxes(domain=list(_BARS))
    figure.update_layout(xaxis2={**look, "title": title, "domain": list(_KEPT), "range": [-4, 106], "nticks": 4})
    figure.add_trace(_marks(known, colours))
    stroke = {"width": 1.5, "dash": "dot", "color": colours.quiet}
    broken = 100 * BROKEN
    ends = {"x0": broken, "x1": broken, "y0": 0, "y1": 1}
    figure.add_shape(type="line", xref="x2", yref="paper", **ends, line=stroke, layer="below")
    where = {"x": broken, "xref": "x2", "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    figure.add_annotation(text="below half: broken", font={"size": SMALL, "color": colours.quiet}, **where)


def _marks(known: Sequence[tuple[int, Line]], colours: Theme) -> go.Scatter:
    rows = [line.rung.row for _, line in known if line.rung]
    symbols = [f"{palette.family(row.family).symbol}{'-open-dot' if row.simulated else ''}" for row in rows]
    spans: Mapping[str, Any] = {
        "type": "data",
        "array": [0 if line.high is None else line.high - (line.same or 0) for _, line in known],
        "arrayminus": [0 if line.low is None else (line.same or 0) - line.low for _, line in known],
        "color": colours.text,
        "thickness": 1.5,
        "width": 4,
    }
    return go.Scatter(
        x=[line.same for _, line in known],
        y=[place for place, _ in known],
        xaxis="x2",
        mode="markers",
        name="Same next word",
        marker={
            "symbol": symbols, "size": 13, "color": [palette.colour(row.family, colours) for row in rows],
            "line": {"width": 2},
        },
        error_x=spans if any(line.low is not None for _, line in known) else None,
        customdata=[line.key for _, line in known],
        hovertext=[_hover(line) for _, line in known],
        hoverinfo="text",
    )  # fmt: skip


def _hover(line: Line) -> str:
    ratios = f"{quantities.times(line.ratio)} smaller than bf16, {quantities.times(FP32 * line.ratio)} than fp32"
    if line.rung is None:
        return f"<b>{line.name}</b><br>at most {line.text}<br>nothing measured is this small"
    said = [f"<b>{safe(line.rung.row.label)}</b>", f"{line.text.split(' · ')[0]}, {ratios}"]
    if line.rung.standing == "original":
        said[1] = f"{line.text} in bf16, {quantities.times(FP32)} smaller than fp32"
    elif line.same is not None:
        said.append(f"the next word stays the original's {line.same:.0f}% of the time")
    return "<br>".join([*said, *(["simulated: no kernel here runs it packed"] if line.rung.row.simulated else [])])
