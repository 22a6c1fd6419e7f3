"""A trial's greedy texts, packed into one small blob."""

import json
import zlib
from collections.abc import Iterable

from engine.texts import Text


def pack(texts: Iterable[Text]) -> bytes:
    """Deflated JSON of the texts; `unpack` gives them back exactly."""
    return zlib.compress(json.dumps([list(text) for text in texts], separators=(",", ":")).encode())


def unpack(blob: bytes) -> list[Text]:
    rows = json.loads(zlib.decompress(blob))
    return [Text(prompt, text, tuple(tokens), tuple(ends)) for prompt, text, tokens, ends in rows]
