"""The codec of a view's address."""

import pytest

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
