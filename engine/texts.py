"""Texts that models wrote greedily after fixed prompts, and where two of them part.

A text is decoded when it is written, token by token, so that whoever shows it needs no tokenizer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MOST_TOKENS = 512  # of an answer to a prompt that a reader gives


class Text(NamedTuple):
    """One greedy continuation.

    prompt and text: as people read them; tokens: the ids that the text was decoded from; ends: for each of them, how
    many characters of the text are there with it. A token that only begins a character ends where the one before does.
    """

    prompt: str
    text: str
    tokens: tuple[int, ...]
    ends: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """As events and `--json` write it."""
        return {**self._asdict(), "tokens": list(self.tokens), "ends": list(self.ends)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Text":
        """Raises KeyError, TypeError or ValueError for what `to_dict` doesn't write."""
        tokens, ends = (tuple(int(number) for number in values[name]) for name in ("tokens", "ends"))
        prompt, text = values["prompt"], values["text"]
        if not isinstance(prompt, str) or not isinstance(text, str):
            raise TypeError("prompt and text must be str")
        if len(tokens) != len(ends) or any(a > b for a, b in zip((0, *ends), (*ends, len(text)), strict=True)):
            raise ValueError("ends must be rising places in the text, one a token")
        return Text(prompt, text, tokens, ends)

    def token(self, place: int) -> tuple[int, int]:
        """Where the token at a place from 0 stands in the text, [start, end).

        With those after it that complete a character which it only begins; an empty range where nothing of it is shown.
        """
        start = self.ends[place - 1] if place else 0
        return start, next((end for end in self.ends[place:] if end > start), start)


class Agreement(NamedTuple):
    """How many texts were compared, the mean number of tokens before they part, and how many never do."""

    texts: int
    tokens: float
    whole: int


def alike(ours: Sequence[object], theirs: Sequence[object]) -> int:
    """How many tokens, or characters, two sequences have in common from the beginning."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(ours), len(theirs)))


def shared(ours: Text, theirs: Text) -> int:
    """How many tokens two texts have in common from the beginning."""
    return alike(ours.tokens, theirs.tokens)


def equal(ours: Text, theirs: Text) -> bool:
    """Whether two texts are the same to the end."""
    return ours.tokens == theirs.tokens


def agreement(ours: Sequence[Text], theirs: Sequence[Text]) -> Agreement | None:
    """How far texts after the same prompts agree; None where there are none to compare."""
    known = {text.prompt: text for text in theirs}
    pairs = [(text, known[text.prompt]) for text in ours if text.prompt in known]
    if not pairs:
        return None
    mean = sum(shared(a, b) for a, b in pairs) / len(pairs)
    return Agreement(len(pairs), mean, sum(equal(a, b) for a, b in pairs))
