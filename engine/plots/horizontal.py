"""The layout that figures with one line a result or a task share: names on the left, numbers along the bottom."""

from typing import Any

from engine.plots.axes import AXIS_TITLE, TICK, frame
from engine.plots.palette import Theme


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
