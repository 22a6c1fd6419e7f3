"""The front as a chart on a page."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from engine.analysis.front import Front
from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import PLAIN, Extras, front_figure, palette
from engine.plots.axes import axis_name
from engine.plots.enlarge import STAGE, enlarged
from engine.plots.palette import ThemeName
from pages.shared import frame, markup, stored

_STAGE_HEIGHT = 700  # pixels
_STAGE_WIDTH, _STAGE_SNUG = 820, 637  # pixels that the narrowest window that is wide leaves, and a snug one
_ALT = "Pareto front: {y} over {x} of {count} results"
_OPENED = "chart|opened"  # the trial whose point was clicked, until its page opens


def config(name: str) -> dict[str, object]:
    """How plotly behaves on every page: one button, which takes the chart along as kneepoint-<name>.png."""
    picture = {"format": "png", "filename": f"kneepoint-{name}", "scale": 2}
    return {
        "displaylogo": False,
        "scrollZoom": False,
        "doubleClick": "reset",
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": picture,
    }


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
    stage: bool = False,
) -> None:
    """Draw the front of `rows`; `on_point` is called with the trial id of a point that is clicked, else its page opens.

    The ring around a chosen point is drawn from `highlighted`: a selection can't be set from code. width: the narrowest
    that a window which is no phone's shows it, in pixels, unless it is that of a whole page. stage: with type to be
    read across a room, where the window is wide enough for it.
    """
    compact, large = frame.narrow() or (stage and frame.snug()), stage and not frame.narrow()
    size: tuple[int | None, int | None] = (None if compact else width, None)
    if large:
        size = (round((_STAGE_SNUG if frame.snug() else _STAGE_WIDTH) / STAGE), round(_STAGE_HEIGHT / STAGE))
    front = stored.front_of(rows, x, y, comparison)
    figure = _figure(
        front, stored.stamp(rows), x, y, comparison, tuple(highlighted), frame.theme(), compact, extras, size, large
    )
    alt = _ALT.format(x=METRICS[x].label, y=METRICS[y].label, count=len(rows))
    name = f"{x}-{y}".replace("_", "-")
    if on_point is None:
        draw_key(rows, (x, y), "Click a point to open its result.")
        draw_opening(figure, rows, key=key, alt=alt, name=name)
    else:
        draw(figure, key=key, alt=alt, name=name, on_point=on_point)


def draw_key(rows: Sequence[Row], axes: Collection[str], remark: str = "") -> None:
    """Which mark is which family's, for a front without a filter that shows them; its axes, and a remark."""
    looks = palette.key({row.family for row in rows})
    named = [(axis_name(METRICS[name]), METRICS[name].definition) for name in axes]
    markup.key([(look.glyph, look.colour or "currentColor", look.label) for look in looks], remark, named)


def draw_opening(figure: go.Figure, rows: Sequence[Row], *, key: str, alt: str, name: str) -> None:
    """Draw a figure in which a click on the point of one of `rows` opens that result's page."""
    draw(figure, key=key, alt=alt, name=name, on_point=partial(st.session_state.__setitem__, _OPENED))
    trial = st.session_state.pop(_OPENED, "")
    row = next((row for row in rows if row.trial_id == trial), None)
    if row is not None:
        st.switch_page("pages/result.py", query_params=stored.address(row))


def draw(figure: go.Figure, *, key: str, alt: str, name: str, on_point: Callable[[str], None] | None = None) -> None:
    """Draw a figure in its own theme; `on_point` is called with the customdata of a point that is clicked.

    name: of the picture that can be taken along.
    """
    settings = config(name)
    if on_point is None:
        st.plotly_chart(figure, key=key, theme=None, config=settings, alt=alt)
        return

    def clicked() -> None:
        points = st.session_state[key].selection.points
        trial = points[0].get("customdata") if points else None
        if trial:
            on_point(trial[0] if isinstance(trial, list | tuple) else str(trial))

    st.plotly_chart(figure, key=key, theme=None, on_select=clicked, selection_mode="points", config=settings, alt=alt)


@st.cache_resource(show_spinner=False, max_entries=32)
def _figure(
    _front: Front,
    key: int,
    x: str,
    y: str,
    comparison: str | None,
    highlighted: tuple[str, ...],
    theme: ThemeName,
    compact: bool,
    extras: Extras,
    size: tuple[int | None, int | None],
    large: bool,
) -> go.Figure:
    width, height = size
    figure = front_figure(_front, highlighted, theme, compact=compact, extras=extras, width=width, height=height)
    figure = enlarged(figure) if large else figure
    figure.update_traces(unselected={"marker": {"opacity": 1}}, selector={"mode": "markers"})  # a click dims nothing
    return figure
