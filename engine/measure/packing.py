"""Which requests run together: items packed into rows of about one length, and rows into batches.

Rows differ little in length, so little of a batch is padding; and a row is short, so little of its attention is spent
on pairs of tokens that do not see each other.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence

from engine.measure.token_tree import Request, TokenTree

ROW_TOKENS = 128  # of a row, about; longer ones cost attention, shorter ones padding


def packed(items: Iterable[Sequence[Request]], row_tokens: int = ROW_TOKENS) -> list[TokenTree]:
    """Trees that hold the requests of one or more items each, longest first; no item is split.

    As many rows as the items would fill, longest items first, each into the row that is shortest so far: however few
    the items, their rows come out about as long (longest processing time first: Graham 1969).
    """
    longest_first = sorted(((_length(item), item) for item in items), key=lambda pair: -pair[0])
    rows = [TokenTree() for _ in range(math.ceil(sum(length for length, _ in longest_first) / row_tokens))]
    shortest = [(0, number) for number in range(len(rows))]  # a heap
    for _, requests in longest_first:
        row = rows[shortest[0][1]]
        for request in requests:
            row.ask(request)
        heapq.heapreplace(shortest, (len(row), shortest[0][1]))
    return sorted(filter(len, rows), key=len, reverse=True)


def apart(items: Iterable[Sequence[Request]]) -> list[TokenTree]:
    """A tree for each sequence, longest first; only requests that read the very same tokens share one."""
    trees: dict[tuple[int, ...], TokenTree] = {}
    for requests in items:
        for request in requests:
            trees.setdefault(request.sequence, TokenTree()).ask(request)
    return sorted(trees.values(), key=len, reverse=True)


def parted(items: Iterable[Sequence[Request]], length: int | None) -> list[list[list[Request]]]:
    """The items' requests in two parts, those of up to `length` tokens and the longer ones; in one where it is None.

    An item whose requests lie on both sides has some in each; a part without requests is left out.
    """
    parts: tuple[list[list[Request]], list[list[Request]]] = ([], [])
    for requests in items:
        for longer, part in enumerate(parts):
            if own := [one for one in requests if (length is not None and len(one.sequence) > length) == bool(longer)]:
                part.append(own)
    return [part for part in parts if part]


def batches(trees: Sequence[TokenTree], budget: int) -> Iterator[list[TokenTree]]:
    """Runs of trees, longest first, whose padded tokens stay within the budget; a longer tree goes alone."""
    start = 0
    while start < len(trees):
        rows = max(1, budget // len(trees[start]))
        yield list(trees[start : start + rows])
        start += rows


def _length(requests: Sequence[Request]) -> int:
    tree = TokenTree()
    for request in requests:
        tree.add(request.sequence)
    return len(tree)
