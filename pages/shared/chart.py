"""The front as a chart on a page."""

from collections.abc import Callable, Collection, Sequence

import plotly.graph_objects as go
import streamlit as st

from engine.metrics import METRICS
from engine.plots import PLAIN, Extras, front_figure
from engine.plots.palette import ThemeName
from engine.row import Row
from pages.shared import frame, stored

_CONFIG: dict[str, object] = {
    "displaylogo": False,
    "displayModeBar": False,
    "scrollZoom": False,
    "doubleClick": "reset",
}
_ALT = "Pareto front: {y} over {x} of {count} results"


def draw_front(
    rows: Sequence[Row],
    x: str,
    y: str,
    *,
    key: str,
    comparison: str | None = None,
    highlighted: Collection[str] = (),
    on_point: Callable[[str], None] | None = None,
    extras: Extras = PLAIN,
    width: int | None = None,
) -> None:
    """Draw the front of `rows`; `on_point` is called with the trial id of a point that is clicked.

    The ring around a chosen point is drawn from `highlighted`: a selection can't be set from code. width: the narrowest
    that a window which is no phone's shows it, in pixels, unless it is that of a whole page.
    """
    theme: ThemeName = "dark" if frame.dark() else "light"
    figure = _figure(
        rows, stored.stamp(rows), x, y, tuple(highlighted), theme, frame.narrow(), comparison, extras, width
    )
    alt = _ALT.format(x=METRICS[x].label, y=METRICS[y].label, count=len(rows))
    draw(figure, key=key, alt=alt, on_point=on_point)


def draw(figure: go.Figure, *, key: str, alt: str, on_point: Callable[[str], None] | None = None) -> None:
    """Draw a figure in its own theme; `on_point` is called with the customdata of a point that is clicked."""
    if on_point is None:
        st.plotly_chart(figure, key=key, theme=None, config=_CONFIG, alt=alt)
        return

    def clicked() -> None:
        points = st.session_state[key].selection.points
        trial = points[0].get("customdata") if points else None
        if trial:
            on_point(trial[0] if isinstance(trial, list | tuple) else str(trial))

    st.plotly_chart(figure, key=key, theme=None, on_select=clicked, selection_mode="points", config=_CONFIG, alt=alt)


@st.cache_resource(show_spinner=False, max_entries=32)
def _figure(
    _rows: Sequence[Row],
    key: int,
    x: str,
    y: str,
    highlighted: tuple[str, ...],
    theme: ThemeName,
    compact: bool,
    comparison: str | None,
    extras: Extras,
    width: int | None,
) -> go.Figure:
    figure = front_figure(
        _rows, x, y, highlighted, theme, compact=compact, comparison=comparison, extras=extras,
        width=None if compact else width,
    )  # fmt: skip
    figure.update_traces(unselected={"marker": {"opacity": 1}}, selector={"mode": "markers"})  # a click dims nothing
    return figure
