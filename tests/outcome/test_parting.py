"""Where two texts part: at the first token that differs, also between models with other tokens."""

import pytest

from engine.outcome.parting import Agreement, Parting, agreement, describe, parting
from engine.outcome.texts import Text

BASE = Text("Once", " upon a time", (1, 2, 3), (5, 7, 12))
SKY = ("The", " sky", " is", " blue")


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        (SKY, SKY, None),
        (SKY[:2], SKY, None),  # still being written
        ((), SKY, None),
        (("The", " sea", " is"), SKY, Parting(1, 1)),
        (("The", " sky", " isle"), SKY, Parting(2, 2)),  # " is" begins " isle", and is another token
        (("A", " sky"), SKY, Parting(0, 0)),
        (("The sky", " is", " blue"), SKY, None),  # other tokens, the same text
        (("The sky", " is", " grey"), SKY, Parting(2, 3)),
        (("The", " skies"), ("The sky", " is"), Parting(0, 0)),  # the last place where a token of both begins
        (("The", "", " é"), ("The", "", " è"), Parting(2, 2)),  # a token that adds nothing yet
    ],
)
def test_texts_part_at_the_first_token_that_differs(ours, theirs, found) -> None:
    assert parting(ours, theirs, False, False) == found
    swapped = found and Parting(found.theirs, found.ours)
    assert parting(theirs, ours, False, False) == swapped


def test_a_text_that_ended_parts_from_one_that_goes_on() -> None:
    assert parting(SKY[:2], SKY, True, False) == Parting(2, 2)
    assert parting(SKY, SKY[:2], True, False) is None  # theirs may yet be written
    assert parting(SKY, SKY[:2], False, True) == Parting(2, 2)
    assert parting((), SKY, True, False) == Parting(0, 0)
    assert parting(SKY, SKY, True, True) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "found", "words"),
    [
        (("The", " sea"), SKY, Parting(1, 1), "Parts from A at token 2: “sea”, not “sky”."),
        (("The", "\n"), SKY, Parting(1, 1), "Parts from A at token 2: a new line, not “sky”."),
        (("The", " "), SKY, Parting(1, 1), "Parts from A at token 2: a space, not “sky”."),
        (SKY[:1], SKY, Parting(1, 1), "Parts from A at token 2: it ends, A writes “sky”."),
        (SKY, SKY[:1], Parting(1, 1), "Parts from A at token 2: it writes “sky”, A ends."),
    ],
)
def test_a_parting_is_said_in_a_sentence(ours, theirs, found, words) -> None:
    assert describe(found, ours, theirs, "A") == words


def test_texts_are_compared_by_their_prompts() -> None:
    ours = [BASE, Text("Twice", "xyz", (1, 2, 9), (1, 2, 3)), Text("Never", "", (), ())]
    theirs = [Text("Twice", "xya", (1, 2, 3), (1, 2, 3)), BASE]
    assert agreement(ours, theirs) == Agreement(texts=2, tokens=2.5, whole=1)
    assert agreement(ours, []) is None


def test_the_same_text_of_other_tokens_is_the_same() -> None:
    other = Text("Once", " upon a time", (8, 9), (5, 12))
    assert agreement([BASE], [other]) == Agreement(texts=1, tokens=3, whole=1)
