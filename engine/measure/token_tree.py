"""Token sequences merged where they begin alike, so that a shared beginning is computed once.

The choices of an item continue one context, and some of them begin with the same words. As a tree they need one pass:
each token stands at its depth and attends to its ancestors only, which are the tokens before it in its own sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Request(NamedTuple):
    """A choice to score: the tokens that the model reads, and those that it is to predict as the last of them end."""

    item: int  # place among the items asked
    choice: int
    sequence: tuple[int, ...]
    targets: tuple[int, ...]


class Scored(NamedTuple):
    """What is read from a tree for one choice: the nodes [tokens] that predict it, and the tokens to predict."""

    item: int
    choice: int
    nodes: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass
class TokenTree:
    """tokens, parents (-1 for a first token) and depths, each [nodes]; a parent stands before its children."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, sequence: Sequence[int]) -> list[int]:
        """Merge a sequence into the tree; the node of each of its tokens."""
        path: list[int] = []
        node = -1
        for depth, token in enumerate(sequence):
            known = self._children.get((node, token))
            if known is None:
                known = self._children[node, token] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(depth)
            node = known
            path.append(node)
        return path

    def ask(self, request: Request) -> None:
        """Merge a request's sequence into the tree, and note where its targets are predicted."""
        path = self.add(request.sequence)
        nodes = tuple(path[-len(request.targets) :])
        self.scored.append(Scored(request.item, request.choice, nodes, request.targets))

    @property
    def is_chain(self) -> bool:
        """Whether it holds one sequence only, which plain causal attention runs."""
        return all(parent == node - 1 for node, parent in enumerate(self.parents))

    def ancestors(self, window: int | None = None) -> NDArray[np.bool_]:
        """Which node attends to which, [nodes, nodes]: itself and its ancestors, the nearest `window` of them."""
        seen = np.zeros((len(self), len(self)), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] = seen[parent]
            seen[node, node] = True
        if window is not None:
            depths = np.array(self.depths)
            seen &= depths[:, None] - depths[None, :] < window
        return seen
