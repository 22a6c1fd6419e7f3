"""The Parallel tab: every result as a line over settings and metrics; the filter above and the table below match it."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
import streamlit as st

from engine.metrics import METRICS
from engine.outcome.row import Row
from engine.plots import parallel
from engine.plots.palette import ThemeName
from pages.shared import chart, frame, markup, stored, view
from pages.shared.view import State, Value

PAGE = "explore"
_ALT = "Parallel coordinates of {count} results over {axes}"
VALUES = {"lines": Value([], allowed=(parallel.FAMILY, *parallel.SETTINGS, *METRICS))}


def draw(rows: Sequence[Row], state: Mapping[str, State]) -> None:
    """The lines of these rows over the axes that are chosen, or over those that tell most where none is."""
    offered = parallel.choices(rows)
    chosen = [name for name in state["lines"] if name in offered] if isinstance(state["lines"], list) else []
    st.session_state[view.key(PAGE, "lines")] = chosen
    names = chosen or proposed(rows, offered, str(state["quality"]))
    st.multiselect(
        "Axes", offered, key=view.key(PAGE, "lines"), format_func=parallel.title, max_selections=parallel.MOST,
        placeholder=", ".join(parallel.title(name) for name in names),
        help="None chosen shows the settings that differ and the main metrics.",
    )  # fmt: skip
    markup.soft(
        "Each line is a result. Drag along an axis to pick lines out for a look; the filter above decides what the "
        "table below holds."
    )
    figure = _figure(rows, stored.stamp(rows), tuple(names), frame.theme(), frame.narrow())
    count = sum(row.state == "done" for row in rows)
    chart.draw(
        figure,
        key="explore:parallel",
        name="parallel",
        alt=_ALT.format(count=count, axes=", ".join(map(parallel.title, names))),
    )


def proposed(rows: Sequence[Row], offered: Sequence[str], quality: str) -> list[str]:
    """The family, up to three settings that differ, and the main metrics; on a phone the metrics only."""
    main = dict.fromkeys(("weight_bytes", quality, "decode_speedup", "perplexity"))
    metrics = [name for name in main if name in offered]
    if frame.narrow():
        return [parallel.FAMILY, *metrics[: parallel.MOST_COMPACT - 1]]
    settings = parallel.settings_of(rows)[: parallel.MOST - 1 - len(metrics)]
    return [parallel.FAMILY, *settings, *metrics]


@st.cache_resource(show_spinner=False, max_entries=8)
def _figure(_rows: Sequence[Row], key: int, names: tuple[str, ...], theme: ThemeName, compact: bool) -> go.Figure:
    return parallel.parallel_figure(_rows, names, theme, compact=compact)
