"""The layout that figures with one line a result or a task share: names on the left, numbers along the bottom."""

from typing import Any

from engine.plots import palette
from engine.plots.axes import AXIS_TITLE, TICK
from engine.plots.palette import Theme


def layout(height: int, title: str, colours: Theme, compact: bool, top: int = 12) -> dict[str, Any]:
    """height in pixels; title: of the numbers; top: the margin above, where a legend may stand."""
    axis = {"tickfont": {"size": TICK, "color": colours.text}, "zeroline": False, "fixedrange": True}
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": 8, "r": 14, "t": top, "b": 56},
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
