"""A figure for a room: the same figure with every length in pixels larger, type, points, lines and margins alike.

Labels are placed for the smaller figure, so what stands apart there stands apart when all of it grows.
"""

from typing import Any

import plotly.graph_objects as go

STAGE = 1.65  # ticks of 13 pixels become 21, labels and titles 21 to 23
_LENGTHS = frozenset(
    {"size", "width", "thickness", "xshift", "yshift", "ax", "ay", "standoff", "title_standoff", "ticklen", "height"}
    | {"arrowwidth", "borderpad", "line_width", "ticklabelstandoff"}
)
_MARGINS = ("l", "r", "t", "b")
_LEFT = frozenset({"template", "domain", "customdata", "hovertext"})  # what holds no lengths of ours


def enlarged(figure: go.Figure, by: float = STAGE) -> go.Figure:
    """A copy of the figure with every length in pixels times `by`; data and ranges are as they were."""
    content = figure.to_dict()
    layout = _grown(content["layout"], by)
    margin = content["layout"].get("margin", {})
    layout["margin"] = {**margin, **{side: round(margin[side] * by) for side in _MARGINS if side in margin}}
    return go.Figure({"data": [_grown(trace, by) for trace in content["data"]], "layout": layout})


def _grown(value: Any, by: float, name: str = "") -> Any:
    if name in _LEFT:
        return value
    if isinstance(value, dict):
        return {key: _grown(part, by, key) for key, part in value.items()}
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return [_grown(part, by) for part in value]
    if name not in _LENGTHS:
        return value
    if isinstance(value, list | tuple):
        return [part * by for part in value]
    return value * by if isinstance(value, int | float) else value
