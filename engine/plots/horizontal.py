"""What figures with one line a result or a task share: names on the left, numbers along the bottom, stacked bars."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from engine.plots import palette
from engine.plots.axes import AXIS_TITLE, SMALL, TICK, frame
from engine.plots.palette import Theme
from engine.plots.placement import text_width


def layout(height: int, title: str, colours: Theme, compact: bool, top: int = 12) -> dict[str, Any]:
    """height in pixels; title: of the numbers; top: the margin above, where a legend may stand."""
    axis = {"tickfont": {"size": TICK, "color": colours.text}, "zeroline": False, "fixedrange": True}
    return {
        **frame(height, {"l": 8, "r": 14, "t": top, "b": 56}, colours),
        "legend": {
            "orientation": "h",
            **{"x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "traceorder": "normal"},
            **{"font": {"size": TICK}, "itemclick": False, "itemdoubleclick": False},
        },
        "xaxis": {
            **axis,
            **{"showgrid": True, "gridcolor": colours.grid, "nticks": 5 if compact else 8},
            "title": {"text": title, "font": {"size": AXIS_TITLE, "color": colours.text}},
        },
        "yaxis": {**axis, "showgrid": False, "automargin": True, "ticks": "", "ticklabelstandoff": 8},
    }


def stack(
    name: str, lines: Sequence[str], sizes: Sequence[float], texts: Sequence[str], fill: str, edge: str
) -> go.Bar:
    """One part of every line's stacked bar, each with its text in it, in the ink that the fill asks for."""
    return go.Bar(
        orientation="h",
        y=list(lines),
        x=list(sizes),
        name=name,
        text=list(texts),
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont={"size": SMALL, "color": palette.ink(fill)},
        marker={"color": fill, "line": {"width": 1, "color": edge}},
        hoverinfo="text",
    )


def fitting(texts: Sequence[str], pixels: float) -> str:
    """The first of the texts that a bar so wide has room for; empty where none fits."""
    return next((text for text in texts if text_width(text, SMALL) + 10 <= pixels), "")


def write_total(figure: go.Figure, line: str, total: float, text: str, colours: Theme) -> None:
    """Write a line's sum at the end of its bar."""
    where = {"x": total, "y": line, "xanchor": "left", "xshift": 6, "showarrow": False}
    figure.add_annotation(text=text, font={"size": TICK, "color": colours.text, "weight": 600}, **where)
