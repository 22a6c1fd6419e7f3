"""The Map tab: recipes as a tree from the original; a click opens the result."""

from collections.abc import Collection, Sequence

import plotly.graph_objects as go
import streamlit as st

from engine.outcome.row import Row
from engine.plots.palette import ThemeName
from engine.plots.recipe_map import map_figure
from pages.shared import chart, frame, markup, stored

_ALT = "Tree of {count} recipes from the original model; each edge is one step"


def draw(rows: Sequence[Row], quality: str, highlighted: Collection[str]) -> None:
    """The tree of these rows, its nodes shaded by `quality`."""
    figure = _figure(rows, stored.stamp(rows), quality, tuple(highlighted), frame.theme(), frame.narrow())
    alt = _ALT.format(count=sum(row.state == "done" for row in rows))
    markup.soft("Every line is one step, named where it ends. Click a result to open it, or use the table below.")
    chart.draw_opening(figure, rows, key="explore:map", name="map", alt=alt)


@st.cache_resource(show_spinner=False, max_entries=8)
def _figure(
    _rows: Sequence[Row], key: int, quality: str, highlighted: tuple[str, ...], theme: ThemeName, compact: bool
) -> go.Figure:
    return map_figure(_rows, quality, highlighted, theme, compact=compact)
