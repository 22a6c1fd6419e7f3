"""The default text: Wikipedia passages for calibration and, disjoint from them, for perplexity.

Pure rules: passages in, two lists out. No passage of BoolQ's dev set, whose questions are a task, is among them.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

HELDOUT_SHARE = 0.2


class Split(NamedTuple):
    """Passages without their titles, in the order of their file."""

    calibration: list[str]
    heldout: list[str]


def split(passages: Iterable[str], excluded: Iterable[str]) -> Split:
    """Each distinct passage on one side, except those whose text is in `excluded`.

    passages: "title -- text"; excluded: the text alone. Two texts are the same when they agree without white space.
    The sha256 of the title decides the side, so that what an article says twice stays on one; it needs no seed, and
    adding a passage moves no other.
    """
    seen = {squeeze(text) for text in excluded}
    result = Split([], [])
    for passage in passages:
        title, text = parts(passage)
        if (key := squeeze(text)) in seen or not key:
            continue
        seen.add(key)
        side = int.from_bytes(hashlib.sha256(title.encode()).digest()[:4]) / 2**32
        (result.heldout if side < HELDOUT_SHARE else result.calibration).append(text.strip())
    return result


def parts(passage: str) -> tuple[str, str]:
    """The title and the text of "title -- text"; a passage without a title is its own title."""
    title, dash, text = passage.partition(" -- ")
    return (title, text) if dash else (passage, passage)


def squeeze(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())
