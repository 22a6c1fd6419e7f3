"""What is large and seldom read, as one small blob: deflated JSON."""

import json
import zlib
from typing import Any


def deflate(content: Any) -> bytes:
    """The content as a blob; `inflate` gives it back, tuples as lists."""
    return zlib.compress(json.dumps(content, separators=(",", ":"), allow_nan=False).encode())


def inflate(blob: bytes, most_bytes: int = 0) -> Any:
    """The content of a blob; raises ValueError where it takes more than `most_bytes` (0: as many as it likes)."""
    inflating = zlib.decompressobj()
    text = inflating.decompress(blob, most_bytes)
    if not inflating.eof:
        raise ValueError(f"a blob that is cut off, or takes more than {most_bytes:,} bytes")
    return json.loads(text)
