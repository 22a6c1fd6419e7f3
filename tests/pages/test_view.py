"""The codec of a view's address."""

import pytest

from pages.shared.view import Value, query


@pytest.mark.parametrize(
    ("value", "text", "state"),
    [
        (Value("a", allowed=("a", "b")), "b", "b"),
        (Value("a", allowed=("a", "b")), "c", "a"),
        (Value(""), "anything at all", "anything at all"),
        (Value(True), "no", False),
        (Value(False), "maybe", False),
        (Value([], allowed=("a", "b")), "b,a", ["b", "a"]),
        (Value([], allowed=("a", "b")), "b,soup", []),
        (Value(5.0, low=1.0, high=9.0), "7.5", 7.5),
        (Value(5.0, low=1.0, high=9.0), "700", 9.0),
        (Value(5.0, low=1.0, high=9.0), "nan", 5.0),
        (Value(5.0, low=1.0, high=9.0), "many", 5.0),
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
