"""Where two texts that began alike part, token by token, and how far the texts of two models agree."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from engine.outcome.texts import Text


class Parting(NamedTuple):
    """The first token of ours and of theirs that differ, by their places from 0; one past the last where it ended."""

    ours: int
    theirs: int


class Agreement(NamedTuple):
    """How many texts were compared, the mean number of tokens before they part, and how many never do."""

    texts: int
    tokens: float
    whole: int


def parting(ours: Sequence[str], theirs: Sequence[str], ours_ended: bool, theirs_ended: bool) -> Parting | None:
    """Where ours parts from theirs, or None as long as what is there of the shorter one is the same.

    ours, theirs: the text, as the piece that each token adds. *_ended: whether an end-of-text token closed it; a text
    that was only cut off, or is still being written, parts from none that goes on.

    Texts are compared by characters, so that models with other tokens can be, and part at the last place before the
    first character that differs where a token of both begins.
    """
    one, other = "".join(ours), "".join(theirs)
    same = shared(one, other)
    if same == min(len(one), len(other)):
        shorter_ended = ours_ended if len(one) < len(other) else theirs_ended
        if len(one) == len(other) or not shorter_ended:
            return None
    begins, others = _begins(ours), _begins(theirs)
    at = max(place for place in begins.keys() & others.keys() if place <= same)
    return Parting(begins[at], others[at])


def agreement(ours: Sequence[Text], theirs: Sequence[Text]) -> Agreement | None:
    """How far texts after the same prompts agree; None where there are none to compare."""
    known = {text.prompt: text for text in theirs}
    pairs = [(text, known[text.prompt]) for text in ours if text.prompt in known]
    if not pairs:
        return None
    found = [parting(a.pieces, b.pieces, ours_ended=False, theirs_ended=False) for a, b in pairs]
    lengths = [one.ours if one else len(a.tokens) for one, (a, _) in zip(found, pairs, strict=True)]
    return Agreement(len(pairs), sum(lengths) / len(pairs), found.count(None))


def shared(text: str, other: str) -> int:
    """How many characters two texts have in common from the beginning."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(text), len(other)))


def _begins(pieces: Sequence[str]) -> dict[int, int]:
    """Character -> the token that begins there; of several, the last, for those before add nothing."""
    return {at: token for token, at in enumerate(accumulate(map(len, pieces), initial=0))}


def describe(found: Parting, ours: Sequence[str], theirs: Sequence[str], name: str) -> str:
    """Where ours parts from theirs, which is called `name`, in a sentence."""
    where = f"Parts from {name} at token {found.ours + 1:,}: "
    if found.ours == len(ours):
        return f"{where}it ends, {name} writes {_quoted(theirs[found.theirs])}."
    if found.theirs == len(theirs):
        return f"{where}it writes {_quoted(ours[found.ours])}, {name} ends."
    return f"{where}{_quoted(ours[found.ours])}, not {_quoted(theirs[found.theirs])}."


def _quoted(piece: str) -> str:
    if not piece.strip():
        return "a new line" if "\n" in piece else "a space"
    return f"“{piece.strip()}”"
