"""The compare tray: two to four results, the same on all pages of a session, and in the address as ?trials=a,b,c.

A page shows it with `draw`, and keeps it in its address by naming `trials: VALUE` among the values of its view. A
recorded result stands in it as recorded-<id>, which is found on every machine.
"""

import re
from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.analysis import words
from engine.outcome.row import Row
from engine.plots.palette import family
from pages.shared import markup, stored, view
from pages.shared.view import Value

NAME = "trials"  # in the address
VALUE = Value("", shared=True)
MOST = 4
_KEY = view.key(view.SHARED, NAME)
_RECORDED = "recorded-"
_OUT = "Take it out of the tray"
_TOKEN = re.compile(r"(recorded-)?[0-9a-z]{1,32}")


def token(row: Row) -> str:
    """What a result is called in the tray."""
    return f"{_RECORDED if row.recorded else ''}{row.trial_id}"


def find(name: str) -> Row | None:
    """The result of a token: the user's own, or the recorded one where that is asked for or the only one."""
    return stored.find(name.removeprefix(_RECORDED), "recorded" if name.startswith(_RECORDED) else None)


def tokens() -> list[str]:
    """What is in the tray, in order."""
    return read(str(st.session_state.get(_KEY, "")))


def read(text: str) -> list[str]:
    """The tokens of `VALUE`; what an address invented that can't be a result is left out."""
    return list(dict.fromkeys(name for name in text.split(",") if _TOKEN.fullmatch(name)))[:MOST]


def keep(names: Sequence[str]) -> None:
    """Make these the tray."""
    st.session_state[_KEY] = ",".join(names)


def add(name: str) -> None:
    keep([*tokens(), name])


def remove(name: str) -> None:
    keep([other for other in tokens() if other != name])


def move(name: str, places: int) -> None:
    """Move a result to the right, or to the left by a negative number of places; it stops at the ends."""
    others = [other for other in tokens() if other != name]
    others.insert(max(0, tokens().index(name) + places), name)
    keep(others)


def query() -> dict[str, str]:
    """What a link to Compare carries."""
    return {NAME: ",".join(tokens())}


def draw(row: Row) -> None:
    """The button that puts a finished result into the tray or takes it out, and what is in the tray."""
    draw_button(row)
    draw_held()


def draw_button(row: Row) -> None:
    """The button that puts a finished result into the tray or takes it out; it keeps the keyboard's focus.

    Streamlit makes a button anew, without the focus, where it gets its first explanation or loses it.
    """
    if row.state != "done":
        return
    name = token(row)
    held, full = name in tokens(), len(tokens()) >= MOST
    label, sign, change, why = "Add to compare", "add", add, "See it beside other results"
    if held:
        label, sign, change, why = "Remove from compare", "remove", remove, _OUT
    elif full:
        why = f"The tray holds {MOST} results; take one out first."
    st.button(
        label, key="tray:toggle", icon=f":material/{sign}:", on_click=partial(change, name),
        disabled=full and not held, help=why,
    )  # fmt: skip


def draw_held() -> None:
    """What is in the tray; nothing while it is empty."""
    chosen = {name: found for name in tokens() if (found := find(name))}
    if not chosen:
        return
    labels = words.distinct_labels(list(chosen.values()))
    with st.container(border=True, key="tray", gap="small"):
        markup.soft("To compare")
        with st.container(horizontal=True, gap="small"):
            for name, found in chosen.items():
                label = f"{family(found.family).glyph} {labels[found.trial_id]}"
                st.button(
                    markup.plain(label), key=f"tray:{name}", icon=":material/close:", icon_position="right",
                    on_click=partial(remove, name), help=_OUT,
                )  # fmt: skip
        st.page_link("pages/compare.py", label=_invitation(len(chosen)), query_params=query())


def _invitation(count: int) -> str:
    return "Open Compare" if count == 1 else f"Compare these {count}"
