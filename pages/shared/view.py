"""The state of a view, kept in the URL, so that a copied address shows the same picture on a fresh server.

A page lists its values with their defaults. `restore` fills the session's keys before the widgets are drawn, `keep`
writes what differs from the defaults to the address afterwards, and `query` writes all of it, for "Copy link".

The address wins where it changed under us (a link, the back button); otherwise the last state of the view does, also
after a visit to another page, when Streamlit has forgotten the widgets. A shared value is one for all pages of the
session, so a link that doesn't name it leaves it as it is.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

Range = tuple[float, float]  # both ends included
State = str | float | bool | list[str] | Range
ANY_RANGE: Range = (float("-inf"), float("inf"))
SHARED = "session"  # stands for the page in the keys of shared values
AGAIN_S = 10.0  # in which a value is said again that we have a widget hold
LATE_S = 5.0  # in which a browser has heard of a new address
_SAID = "view|said"  # widget -> the value it holds, and until when that is said again
_NOTHING = object()


@dataclass(frozen=True)
class Value:
    """One value of a view: what it is when the address says nothing, and what it may be.

    allowed: the words a text or a list may hold, empty for any; low and high: the bounds of a number; shared: whether
    it is one for all pages.
    """

    default: State
    allowed: Sequence[str] = ()
    low: float = float("-inf")
    high: float = float("inf")
    shared: bool = False

    def read(self, text: str) -> State:
        """The value a text of the address writes, of a list what is allowed; the default where nothing of it is."""
        if isinstance(self.default, bool):
            return {"yes": True, "no": False}.get(text, self.default)
        if isinstance(self.default, list):
            parts = [part for part in text.split(",") if part]
            known = [part for part in parts if part in self.allowed]
            return known if known or not parts else list(self.default)
        if isinstance(self.default, tuple):
            return self._range(text)
        if isinstance(self.default, float):
            return self._number(text)
        return text if not self.allowed or text in self.allowed else self.default

    def write(self, value: State) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.10g}"
        if isinstance(value, tuple):
            return "..".join(f"{end:.10g}" for end in value)
        return ",".join(value) if isinstance(value, list) else value

    def valid(self, value: object) -> bool:
        """Whether a value kept from before is still one that the page offers."""
        if isinstance(value, list):
            return isinstance(self.default, list) and all(part in self.allowed for part in value)
        if isinstance(value, tuple):
            return isinstance(self.default, tuple)
        if isinstance(value, str):
            return isinstance(self.default, str) and (not self.allowed or value in self.allowed)
        if isinstance(value, float) and not isinstance(self.default, bool):
            return isinstance(self.default, float) and self.low <= value <= self.high
        return isinstance(value, bool) and isinstance(self.default, bool)

    def _range(self, text: str) -> Range:
        """Both ends of "90..200"; the default where these are not two numbers, the smaller first."""
        try:
            low, high = (float(end) for end in text.split(".."))
        except ValueError:
            return self.default  # type: ignore[return-value]
        return (low, high) if low <= high else self.default  # type: ignore[return-value]

    def _number(self, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            return float(self.default)  # type: ignore[arg-type]
        return float(min(max(number, self.low), self.high)) if number == number else float(self.default)  # type: ignore[arg-type]


def restore(page: str, values: Mapping[str, Value]) -> dict[str, State]:
    """Fill `st.session_state[key(page, name)]` for every value, from the address or from the last visit."""
    state = {name: find(page, name, value) for name, value in values.items()}
    for name, value in values.items():
        show(_where(page, name, value), state[name])
    if _changed(page):
        st.session_state[_link(page)] = st.query_params.to_dict()
    elif state != st.session_state.get(_last(page), state):
        st.session_state[_link(page)] = {}
    st.session_state[_written(page)] = st.query_params.to_dict()
    return state


def begin(widget: str, value: object) -> None:
    """Have a widget that no address names begin at a value; its key is `widget`."""
    show(widget, st.session_state.get(widget, value))


def show(widget: str, value: object) -> None:
    """Have a widget hold a value, unless the reader has chosen it there; its key is `widget`.

    What we chose is said again for a while: a run that is cut short, as the first on a phone is, may not reach the
    browser. Nothing else is, for the browser takes what it is told over what the reader has chosen there meanwhile.
    """
    said: dict[str, tuple[object, float]] = st.session_state.setdefault(_SAID, {})
    now = time.monotonic()
    told, until = said.get(widget, (value, now + AGAIN_S))
    if st.session_state.get(widget, _NOTHING) != value:
        until = now + AGAIN_S
    elif told != value:
        until = now
    said[widget] = value, until
    if now < until:
        st.session_state[widget] = value


def find(page: str, name: str, value: Value) -> State:
    """What `restore` makes of a value, for others whose defaults follow from it."""
    address = st.query_params.to_dict()
    if _changed(page) and (name in address or not value.shared):
        return value.read(address[name]) if name in address else value.default
    kept = st.session_state.get(_where(page, name, value), st.session_state.get(_last(page), {}).get(name))
    return kept if value.valid(kept) else value.default


def unread(page: str, name: str, value: Value) -> list[str]:
    """The words with which a link names what a value can't be; none once the reader has chosen anything in the view.

    To be asked after `restore` where the page has a view. The address is no measure by then: `keep` writes it anew, and
    the first run on a phone is cut short by a second.
    """
    text = st.session_state.get(_link(page), st.query_params.to_dict()).get(name, "")
    parts = text.split(",") if isinstance(value.default, list) else [text]
    return [part for part in parts if part and part not in value.allowed]


def keep(page: str, values: Mapping[str, Value]) -> dict[str, State]:
    """Write the state of the widgets to the address, defaults left out, and remember it; returns the state."""
    state = {name: st.session_state.get(_where(page, name, value), value.default) for name, value in values.items()}
    address = {name: value.write(state[name]) for name, value in values.items() if state[name] != value.default}
    st.session_state[_last(page)] = state
    if st.session_state.pop(_held(page), False):
        return state
    if address != st.query_params.to_dict():
        _note(page, st.query_params.to_dict(), address)
        st.query_params.from_dict(address)
    st.session_state[_written(page)] = address
    return state


def hold(page: str) -> None:
    """Leave the address as it is in the next run: every change of it is a step of the browser's history."""
    st.session_state[_held(page)] = True


def query(values: Mapping[str, Value], state: Mapping[str, State]) -> str:
    """The address's query with every value, defaults too, so that a changed default changes no shared link."""
    return urlencode({name: value.write(state[name]) for name, value in values.items()})


def key(page: str, name: str) -> str:
    """The session key, and so the widget key, of a value."""
    return f"{page}:{name}"


def _where(page: str, name: str, value: Value) -> str:
    return key(SHARED if value.shared else page, name)


def _changed(page: str) -> bool:
    """Whether the address is not what this page last wrote or read: a link was opened, or the history gone through."""
    address = st.query_params.to_dict()
    return bool(address) and address != st.session_state.get(_written(page)) and not _late(page, address)


def _note(page: str, left: dict[str, str], written: dict[str, str]) -> None:
    """Keep in mind, for a while, what the address was and what it is from now on."""
    now = time.monotonic()
    lately = [(address, until) for address, until in st.session_state.get(_lately(page), []) if now < until]
    st.session_state[_lately(page)] = [*lately, (left, now + LATE_S), (written, now + LATE_S)]


def _late(page: str, address: dict[str, str]) -> bool:
    """Whether the address was one just now: the reader acted again before the browser had heard of the next one."""
    run = get_script_run_ctx(suppress_warning=True)
    if run is not None and run.is_history_navigation:
        return False
    return any(address == left and time.monotonic() < until for left, until in st.session_state.get(_lately(page), []))


def _link(page: str) -> str:
    return f"{page}|link"


def _written(page: str) -> str:
    return f"{page}|address"


def _lately(page: str) -> str:
    return f"{page}|lately"


def _held(page: str) -> str:
    return f"{page}|held"


def _last(page: str) -> str:
    return f"{page}|state"
