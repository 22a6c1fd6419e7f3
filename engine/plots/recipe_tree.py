"""Recipes as a tree from the original model: every edge is one step, and recipes that begin alike share their edges.

The layout is ours and deterministic: the same results give the same picture, whatever order they finished in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.outcome.row import Row
from engine.plots.palette import FAMILIES
from engine.spec import Recipe, parse
from engine.spec.setting import Settings

MOST = 40  # recipes drawn; more would be too many to read


@dataclass(frozen=True)
class Node:
    """A recipe as a place in the tree; row is None where it was only passed through and never measured.

    depth: steps from the original; line: how far down, in lines from the top; parent: its place among the nodes.
    """

    steps: tuple[Settings, ...]
    row: Row | None
    parent: int | None
    depth: int
    line: float

    @property
    def family(self) -> str:
        """What its last step is, dense for the root."""
        return self.steps[-1].family if self.steps else "dense"

    @property
    def label(self) -> str:
        """Its last step in words."""
        return Recipe(self.steps).describe_step(self.depth - 1) if self.steps else "Original model"


class Tree(NamedTuple):
    """The nodes from the root on, parents before children; lines: how many there are; left_out: results not drawn."""

    nodes: tuple[Node, ...]
    lines: int
    left_out: int


@dataclass
class _Branch:
    steps: tuple[Settings, ...]
    row: Row | None = None
    children: dict[str, "_Branch"] = field(default_factory=dict)

    @property
    def size(self) -> float:
        """Its weight in bytes, or that of its largest child where it was not measured."""
        own = self.row.value("weight_bytes") if self.row else None
        return own or max((child.size for child in self.children.values()), default=0.0)

    def ordered(self) -> list["_Branch"]:
        """Its children by family, then from the largest to the smallest."""
        families = list(FAMILIES)
        return sorted(
            self.children.values(),
            key=lambda b: (families.index(b.steps[-1].family), -b.size, b.steps[-1].text),
        )


def recipe_tree(
    rows: Sequence[Row], quality: str, first: Collection[str] = (), indented: bool = False, most: int = MOST
) -> Tree:
    """The tree of the finished rows of one comparison.

    Of more than `most` results those named in `first` (trial ids) are drawn, then those of highest `quality`.
    indented: one line a node, as in a table of contents; otherwise one line a leaf, and a parent stands midway between
    its children.
    """
    done = [row for row in rows if row.state == "done"]
    chosen = set(first)
    liked = sorted(done, key=lambda row: (row.recipe != "dense", row.trial_id not in chosen, *_worth(row, quality)))
    root = _Branch(())
    for row in liked[:most]:
        branch = root
        for step in parse(row.recipe).steps:
            branch = branch.children.setdefault(step.text, _Branch((*branch.steps, step)))
        branch.row = row
    nodes: list[Node] = []
    lines = _lay_out(root, None, 0, indented, nodes)
    return Tree(tuple(nodes), lines, len(done) - len(liked[:most]))


def _worth(row: Row, quality: str) -> tuple[float, str]:
    return (-(row.value(quality) or 0.0), row.trial_id)


def _lay_out(branch: _Branch, parent: int | None, top: int, indented: bool, nodes: list[Node]) -> int:
    """Add a branch and what grows from it to the nodes, from the line `top` on; how many lines they take."""
    place = len(nodes)
    nodes.append(Node(branch.steps, branch.row, parent, len(branch.steps), float(top)))
    children = branch.ordered()
    used = 1 if indented or not children else 0
    places = []
    for child in children:
        places.append(len(nodes))
        used += _lay_out(child, place, top + used, indented, nodes)
    if children and not indented:
        middle = (nodes[places[0]].line + nodes[places[-1]].line) / 2
        nodes[place] = replace(nodes[place], line=middle)
    return used
