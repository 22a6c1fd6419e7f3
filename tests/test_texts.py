"""Where two texts part, and texts that are not as they should be."""

import pytest

from engine.texts import Agreement, Text, agreement, equal, shared

BASE = Text("Once", " upon a time", (1, 2, 3), (5, 7, 12))


def test_two_texts_share_the_tokens_before_the_first_that_differs() -> None:
    other = BASE._replace(tokens=(1, 9, 3))
    assert (shared(BASE, other), equal(BASE, other)) == (1, False)
    assert (shared(BASE, BASE), equal(BASE, BASE)) == (3, True)
    assert shared(BASE, BASE._replace(tokens=(9, 2, 3))) == 0
    assert (shared(BASE, BASE._replace(tokens=(1, 2))), equal(BASE, BASE._replace(tokens=(1, 2)))) == (2, False)


def test_a_token_stands_between_the_ends_before_and_after_it() -> None:
    assert [BASE.text[slice(*BASE.token(place))] for place in range(4)] == [" upon", " a", " time", ""]


def test_a_token_that_begins_a_character_is_shown_with_those_that_complete_it() -> None:
    text = Text("", "aéb", (1, 2, 3, 4), (1, 1, 2, 3))
    assert [text.text[slice(*text.token(place))] for place in range(4)] == ["a", "é", "é", "b"]


def test_texts_are_compared_by_their_prompts() -> None:
    ours = [BASE, Text("Twice", " x", (1, 2, 9), (1, 1, 2)), Text("Never", "", (), ())]
    theirs = [Text("Twice", " y", (1, 2, 3), (1, 1, 2)), BASE]
    assert agreement(ours, theirs) == Agreement(texts=2, tokens=2.5, whole=1)
    assert agreement(ours, []) is None


def test_a_text_comes_back_from_its_dict() -> None:
    assert Text.from_dict(BASE.to_dict()) == BASE


@pytest.mark.parametrize(
    "changes",
    [{"ends": [5, 4, 12]}, {"ends": [5, 7, 13]}, {"ends": [-1, 7, 12]}, {"ends": [12]}, {"prompt": 3}, {"text": 3}],
)
def test_what_is_no_text_is_refused(changes: dict) -> None:
    with pytest.raises((TypeError, ValueError), match="must be"):
        Text.from_dict({**BASE.to_dict(), **changes})
