"""Texts that models wrote greedily after fixed prompts.

A text is decoded when it is written, token by token, so that whoever shows it needs no tokenizer.
"""

from collections.abc import Mapping
from itertools import pairwise
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

    @property
    def pieces(self) -> tuple[str, ...]:
        """What each token adds to the text; nothing where it only begins a character."""
        return tuple(self.text[start:end] for start, end in pairwise((0, *self.ends)))
