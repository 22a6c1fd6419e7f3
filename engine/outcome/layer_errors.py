"""Where in a model compression does its damage, as it is kept: an error for every block and every linear."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.outcome.kept import Profile

NAME = "layers"  # of the measure, and of the profile it gives

Shape = tuple[int, int]  # (outputs, inputs)


class LinearErrors(NamedTuple):
    """A linear of every block, by its name within the block.

    shape: the dense model's; errors: ||W - W_dense|| / ||W_dense|| at each place of the dense model, None where the
    block was removed or the two can't be compared; shapes: what is left at each place, None where the block is not.
    """

    name: str
    shape: Shape
    errors: tuple[float | None, ...]
    shapes: tuple[Shape | None, ...]


class LayerErrors(NamedTuple):
    """What `engine.measure.layers` found.

    tokens: whose states were compared; blocks: mean error of a state after each block of the dense model, None where
    numbers overflow; removed: the blocks that are no longer there, from 0; turned: whether the states were turned back
    before; not_compared: why no weights were, empty where they were.
    """

    tokens: int
    blocks: tuple[float | None, ...]
    removed: tuple[int, ...]
    turned: bool
    linears: tuple[LinearErrors, ...]
    not_compared: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a profile keeps it."""
        return {**self._asdict(), "linears": [linear._asdict() for linear in self.linears]}

    @staticmethod
    def from_dict(values: Profile) -> "LayerErrors":
        """Raises KeyError, TypeError or ValueError for what `to_dict` doesn't write."""
        blocks = tuple(map(_error, values["blocks"]))
        linears = tuple(_linear(value, len(blocks)) for value in values["linears"])
        removed = tuple(int(place) for place in values["removed"])
        if not set(removed) <= set(range(len(blocks))):
            raise ValueError(f"removed blocks must be among {len(blocks)}, got {removed}")
        why = str(values["not_compared"])
        return LayerErrors(int(values["tokens"]), blocks, removed, bool(values["turned"]), linears, why)


def _linear(values: Mapping[str, Any], blocks: int) -> LinearErrors:
    errors = tuple(map(_error, values["errors"]))
    shapes = tuple(None if pair is None else _shape(pair) for pair in values["shapes"])
    if not len(errors) == len(shapes) == blocks:
        raise ValueError(f"a linear must have a value for each of {blocks} blocks")
    return LinearErrors(str(values["name"]), _shape(values["shape"]), errors, shapes)


def _error(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ValueError(f"an error must be 0 or more, got {value!r}")
    return float(value)


def _shape(pair: Any) -> Shape:
    rows, columns = map(int, pair)
    return rows, columns
