"""The codec of a view's address, and what widgets are told to hold."""

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
