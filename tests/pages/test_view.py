"""The codec of a view's address, and what widgets are told to hold."""

from types import SimpleNamespace

import pytest

from pages.shared import view
from pages.shared.view import ANY_RANGE, Value, query


@pytest.mark.parametrize(
    ("value", "text", "state"),
    [
        (Value("a", allowed=("a", "b")), "b", "b"),
        (Value("a", allowed=("a", "b")), "c", "a"),
        (Value(""), "anything at all", "anything at all"),
        (Value(True), "no", False),
        (Value(False), "maybe", False),
        (Value([], allowed=("a", "b")), "b,a", ["b", "a"]),
        (Value([], allowed=("a", "b")), "b,soup", ["b"]),
        (Value(["a"], allowed=("a", "b")), "soup,salt", ["a"]),
        (Value(["a"], allowed=("a", "b")), "", []),
        (Value(5.0, low=1.0, high=9.0), "7.5", 7.5),
        (Value(5.0, low=1.0, high=9.0), "700", 9.0),
        (Value(5.0, low=1.0, high=9.0), "nan", 5.0),
        (Value(5.0, low=1.0, high=9.0), "many", 5.0),
        (Value(ANY_RANGE), "90..200.5", (90.0, 200.5)),
        (Value(ANY_RANGE), "-inf..200", (float("-inf"), 200.0)),
        (Value(ANY_RANGE), "200..90", ANY_RANGE),
        (Value(ANY_RANGE), "nan..3", ANY_RANGE),
        (Value(ANY_RANGE), "12", ANY_RANGE),
    ],
)
def test_an_address_is_read_as_far_as_it_is_allowed(value, text, state):
    assert value.read(text) == state


def test_a_copied_link_holds_the_defaults_too():
    values = {"x": Value("size"), "all": Value(True), "named": Value([], allowed=("a b",))}
    assert query(values, {"x": "size", "all": True, "named": ["a b"]}) == "x=size&all=yes&named=a+b"


def test_what_is_written_reads_back():
    value = Value(5.0, low=0.0, high=1e9)
    assert value.read(value.write(123.25)) == 123.25
    span = Value(ANY_RANGE)
    assert span.read(span.write((-1.5, float("inf")))) == (-1.5, float("inf"))


class Told(dict[str, object]):
    """A session's state that notes what a widget is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    def __setitem__(self, name: str, value: object) -> None:
        super().__setitem__(name, value)
        self.told.append(value)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Told:
    held = Told()
    monkeypatch.setattr("streamlit.session_state", held)
    return held


def test_a_widget_is_told_for_a_while_what_it_is_to_hold(state, monkeypatch):
    view.show("limit", 3)
    view.show("limit", 3)
    assert state.told == [3, 3]
    later = view.time.monotonic() + view.AGAIN_S
    monkeypatch.setattr("time.monotonic", lambda: later)
    view.show("limit", 3)
    assert state.told == [3, 3]
    view.show("limit", 4)
    assert state.told == [3, 3, 4]


def test_what_the_reader_chose_is_never_said_back(state):
    view.show("limit", 3)
    state.update(limit=2)  # by the browser
    view.show("limit", 2)
    view.show("limit", 2)
    state.update(limit=3)
    view.show("limit", 3)
    assert state.told == [3]
    view.show("limit", 5)
    view.show("limit", 5)
    assert state.told == [3, 5, 5]


def test_a_widget_that_a_page_left_is_told_anew(state):
    view.show("limit", 3)
    state.update(limit=2)
    view.show("limit", 2)
    del state["limit"]  # as Streamlit forgets a widget that is not drawn
    view.show("limit", 2)
    assert state.told == [3, 2]


class Address(dict[str, str]):
    """The browser's address as pages read and write it."""

    def to_dict(self) -> dict[str, str]:
        return dict(self)

    def from_dict(self, query: dict[str, str]) -> None:
        self.clear()
        self.update(query)


VALUES = {"limit": Value(3.0), "kind": Value("a", allowed=("a", "b"))}


@pytest.fixture
def address(state: Told, monkeypatch: pytest.MonkeyPatch) -> Address:
    """Of a page on which the reader has set the limit to 4, and then to 5."""
    held = Address()
    monkeypatch.setattr("streamlit.query_params", held)
    for limit in (3.0, 4.0, 5.0):
        state["p:limit"] = limit
        run()
    assert held == {"limit": "5"}
    return held


def run() -> dict[str, object]:
    view.restore("p", VALUES)
    return view.keep("p", VALUES)


def test_an_address_that_was_left_just_now_undoes_nothing(state, address):
    address.from_dict({"limit": "4"})  # the reader chose before the browser had heard of 5
    state["p:kind"] = "b"
    assert run() == {"limit": 5.0, "kind": "b"}
    assert address == {"limit": "5", "kind": "b"}


def test_each_address_of_a_quick_series_undoes_nothing(state, address):
    for late, limit in (("4", 6.0), ("5", 7.0), ("6", 8.0)):
        address.from_dict({"limit": late})
        state["p:limit"] = limit
        assert run()["limit"] == limit


def test_an_address_that_is_opened_is_followed(address):
    address.from_dict({"limit": "7"})
    assert run()["limit"] == 7.0


def test_an_address_that_was_left_a_while_ago_is_followed(address, monkeypatch):
    later = view.time.monotonic() + view.LATE_S
    monkeypatch.setattr("time.monotonic", lambda: later)
    address.from_dict({"limit": "4"})
    assert run()["limit"] == 4.0


def test_the_browsers_back_button_is_followed_at_once(address, monkeypatch):
    back = SimpleNamespace(is_history_navigation=True)
    monkeypatch.setattr("pages.shared.view.get_script_run_ctx", lambda **_: back)
    address.from_dict({"limit": "4"})
    assert run()["limit"] == 4.0
