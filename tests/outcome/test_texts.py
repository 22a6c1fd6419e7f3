"""What tokens add to a text, and texts that are not as they should be."""

import pytest

from engine.outcome.texts import Text

BASE = Text("Once", " upon a time", (1, 2, 3), (5, 7, 12))


def test_the_pieces_of_a_text_are_what_each_token_adds() -> None:
    assert BASE.pieces == (" upon", " a", " time")
    assert Text("", "aéb", (1, 2, 3, 4), (1, 1, 2, 3)).pieces == ("a", "", "é", "b")  # the second only begins the é
    assert Text("", "", (), ()).pieces == ()


def test_a_text_comes_back_from_its_dict() -> None:
    assert Text.from_dict(BASE.to_dict()) == BASE


@pytest.mark.parametrize(
    "changes",
    [{"ends": [5, 4, 12]}, {"ends": [5, 7, 13]}, {"ends": [-1, 7, 12]}, {"ends": [12]}, {"prompt": 3}, {"text": 3}],
)
def test_what_is_no_text_is_refused(changes: dict) -> None:
    with pytest.raises((TypeError, ValueError), match="must be"):
        Text.from_dict({**BASE.to_dict(), **changes})
