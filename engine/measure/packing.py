"""Which requests run together: items packed into rows of about one length, and rows into batches.

Rows differ little in length, so little of a batch is padding; and a row is short, so little of its attention is spent
on pairs of tokens that do not see each other.
"""

from collections.abc import Iterable, Iterator, Sequence

from engine.measure.token_tree import Request, TokenTree

ROW_TOKENS = 256  # of a row, unless an item alone is longer
_OPEN_ROWS = 64  # rows that are tried for an item: those opened last


def packed(items: Iterable[Sequence[Request]], row_tokens: int = ROW_TOKENS) -> list[TokenTree]:
    """Trees that hold the requests of one or more items each, longest first; no item is split.

    Longest items first, each into the first row that has room (first-fit decreasing: Johnson 1973).
    """
    rows: list[TokenTree] = []
    for length, requests in sorted(((_length(item), item) for item in items), key=lambda pair: -pair[0]):
        row = next((row for row in rows[-_OPEN_ROWS:] if len(row) + length <= row_tokens), None)
        if row is None:
            rows.append(row := TokenTree())
        for request in requests:
            row.ask(request)
    return sorted(rows, key=len, reverse=True)


def apart(items: Iterable[Sequence[Request]]) -> list[TokenTree]:
    """A tree for each sequence, longest first; only requests that read the very same tokens share one."""
    trees: dict[tuple[int, ...], TokenTree] = {}
    for requests in items:
        for request in requests:
            trees.setdefault(request.sequence, TokenTree()).ask(request)
    return sorted(trees.values(), key=len, reverse=True)


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
