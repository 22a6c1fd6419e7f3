"""A picture whose controls work in the browser: data is sent once, redrawn there while dragging, and settled here.

    GRID = component("quantize_grid", "quantize/numbers.js", "quantize/grid.js")
    draw(GRID, PAGE, "grid", {"bits": Value(4.0, low=2, high=8)}, {"rows": …})

A picture is CSS and JavaScript beside this file. Its last part exports a default function, which hands what Streamlit
gives it to `open` of shared/picture.js; parts are joined in order, so that those before it are plain functions. Every
picture can be saved as PNG by its reader.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from pages.shared import view
from pages.shared.view import State, Value

_HERE = Path(__file__).parent
Component = Callable[..., Any]


def component(name: str, *parts: str, shows_markup: bool = False) -> Component:
    """The component of a picture from its JavaScript parts and the CSS that lies beside the last of them, if any.

    shows_markup: it is sent pieces that `markup` made, so the page's style must reach into it.
    """
    style = (_HERE / parts[-1]).with_suffix(".css")
    css = [_HERE / "shared/picture.css", *([style] if style.is_file() else [])]
    return st.components.v2.component(
        f"kneepoint_{name}",
        html=f'<div class="kp-picture" data-name="{name.replace("_", "-")}"></div>',
        css="\n".join(path.read_text(encoding="utf-8") for path in css),
        js=script("shared/picture.js", "shared/save.js", *parts),
        isolate_styles=not shows_markup,
    )


def script(*parts: str) -> str:
    """JavaScript files of this folder as one module."""
    return "\n".join((_HERE / part).read_text(encoding="utf-8") for part in parts)


def draw(drawn: Component, page: str, name: str, values: Mapping[str, Value], data: Mapping[str, Any]) -> None:
    """Draw a picture whose controls are a page's values, which `view.restore` has filled.

    While a control moves, nothing is sent. Once it rests, or the reader lets go, the values are in the session and the
    page, or the fragment that this is called in, runs again; the address waits until the reader lets go. The picture
    starts anew only where its values came from elsewhere, or it is sent other data.
    """
    now = {one: st.session_state[view.key(page, one)] for one in values}
    kept = st.session_state.setdefault(f"{page}|picture:{name}", {"turn": 0, "start": now, "seen": now, "data": data})
    if kept["seen"] != now or kept["data"] != data:
        kept.update(turn=kept["turn"] + 1, start=now, seen=now, data=data)
    key = f"{page}:{name}:{kept['turn']}"
    content = {**data, "setting": kept["start"]}

    def moved() -> None:
        told = st.session_state[key].get("setting") or {}
        if told.get("resting"):
            view.hold(page)
        now = {one: _settled(value, told.get(one)) for one, value in values.items()}
        kept["seen"] = now
        st.session_state.update({view.key(page, one): state for one, state in now.items()})

    # In a mapping Streamlit looks for dataframes on every run; a list it sends as it is.
    drawn(key=key, data=[content], on_setting_change=moved, height="content")


def _settled(value: Value, told: object) -> State:
    """What a picture says of a value, as the page holds it; the default where it says nothing that is allowed."""
    if isinstance(value.default, float) and isinstance(told, int | float) and not isinstance(told, bool):
        told = float(told)
    return told if value.valid(told) else value.default  # type: ignore[return-value]
