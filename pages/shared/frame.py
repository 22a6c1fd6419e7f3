"""The frame around every page: what the sidebar lists, the style, and the guard for deep links.

Streamlit discovers `pages/` by itself until some session has called `st.navigation`. A deep link that is the first
request to a fresh server therefore runs a page without its frame; `guard`, the first line of every page, notices and
runs the app again, this time through app.py, with the address untouched.

With the frame goes the request that the browser meanwhile reads the script that charts are drawn with, its largest by
far.
"""

from pathlib import Path
from typing import Literal

import streamlit as st
from streamlit.navigation.page import Page

from pages.shared import stale, stored

_HERE = Path(__file__).parent
_FRAMED = "frame:drawn"
_WINDOW = "frame:window"
_UNWATCHED = ("runs", "new_sweep")  # the one draws itself again, the other shows no results
ICON = str(_HERE / "icon.svg")


def sections() -> dict[str, list[Page]]:
    """The pages by section, in the order of the sidebar; Result is reached by links alone.

    They have no icons: Streamlit lets the browser fetch a page's icon from another site, as its tab's.
    """
    return {
        "": [st.Page("pages/start.py", title="Start", default=True)],
        "Understand": [
            st.Page("pages/trade_offs.py", title="Trade-offs", url_path="trade_offs"),
            st.Page("pages/quantize.py", title="Quantize", url_path="quantize"),
            st.Page("pages/prune.py", title="Prune", url_path="prune"),
            st.Page("pages/slice.py", title="Slice", url_path="slice"),
            st.Page("pages/distil.py", title="Distil", url_path="distil"),
            st.Page("pages/ten_times.py", title="Ten times smaller", url_path="ten_times"),
        ],
        "Measure": [
            st.Page("pages/new_sweep.py", title="New sweep", url_path="new_sweep"),
            st.Page("pages/runs.py", title="Runs", url_path="runs"),
        ],
        "Decide": [
            st.Page("pages/explore.py", title="Explore", url_path="explore"),
            st.Page("pages/compare.py", title="Compare", url_path="compare"),
            st.Page("pages/present.py", title="Present", url_path="present"),
            st.Page("pages/result.py", title="Result", url_path="result", visibility="hidden"),
        ],
    }


def dress(page: Page) -> None:
    """Put the style and the name on a page, and note that this session has its frame; trials left waiting go on."""
    st.session_state[_FRAMED] = True
    st.html(_HERE / "style.css")
    _window(
        key=_WINDOW,
        data={"plotScript": PLOT_SCRIPT},
        default={"width": "wide"},
        on_width_change=lambda: None,
        height="content",
    )
    ink = "#f2f3f5" if theme() == "dark" else "#1a1c23"
    st.logo((_HERE / "logo.svg").read_text().replace("currentColor", ink), size="large")

    stored.resume()
    stored.say_read_only()
    if page.url_path not in _UNWATCHED:
        stale.watch()


def guard() -> None:
    """Run the app again through app.py when this page was started without it."""
    if _FRAMED in st.session_state:
        return
    st.session_state[_FRAMED] = True
    st.navigation(sections(), position="hidden")
    st.rerun()


def theme() -> Literal["light", "dark"]:
    """The reader's theme."""
    return "dark" if st.context.theme.type == "dark" else "light"


def narrow() -> bool:
    """Whether the window leaves a page little more room than a phone's; False until the browser has said so."""
    return _width() == "narrow"


def snug() -> bool:
    """Whether a page beside the sidebar has less room than on a laptop, and is not narrow either."""
    return _width() == "snug"


def _width() -> str:
    return str(st.session_state.get(_WINDOW, {}).get("width", "wide"))


def _plot_script() -> str:
    """Where a server has the script that Streamlit draws charts with; empty where this release has it elsewhere."""
    static = Path(st.__file__).parent / "static"
    found = next(static.glob("static/js/PlotlyChart.*.js"), None)
    return found.relative_to(static).as_posix() if found else ""


PLOT_SCRIPT = _plot_script()
_JS = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("focus.js", "window.js"))
_window = st.components.v2.component("kneepoint_window", html="<span hidden></span>", js=_JS)
