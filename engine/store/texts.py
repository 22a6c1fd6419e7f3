"""A trial's greedy texts, packed into one small blob."""

from collections.abc import Iterable

from engine.outcome.texts import Text
from engine.store import blob


def pack(texts: Iterable[Text]) -> bytes:
    """The texts as a blob; `unpack` gives them back exactly."""
    return blob.deflate([list(text) for text in texts])


def unpack(packed: bytes, most_bytes: int = 0) -> list[Text]:
    """The texts of a blob; raises ValueError where they take more than `most_bytes` (0: as many as they like)."""
    read = blob.inflate(packed, most_bytes)
    return [Text(prompt, text, tuple(tokens), tuple(ends)) for prompt, text, tokens, ends in read]
