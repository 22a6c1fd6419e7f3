"""A matrix stored without its zeros: the other numbers, and a mask of one bit a weight that says where they stand.

The mask serves patterns N:M too. Of 2:4 it takes as many bits as the form of graphics cards, two for each number's
place, and of 4:8 fewer; places would gain only where N log2 M < M, as in 1:4.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.layers.packing import pack, unpack


class Nonzeros(NamedTuple):
    """values [count], row by row; mask uint8 [rows, bytes], as `packing` packs one bit."""

    values: Tensor
    mask: Tensor

    @property
    def bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in self)


def nonzeros(weight: Tensor) -> Nonzeros | None:
    """A weight [rows, columns] without its zeros; None where that takes no fewer bytes."""
    there = weight != 0
    found = Nonzeros(weight[there], pack(there.to(torch.uint8), bits=1))
    return found if found.bytes < weight.numel() * weight.element_size() else None


def with_zeros(stored: Nonzeros, shape: torch.Size) -> Tensor:
    """The matrix [rows, columns]; raises ValueError where mask or values are not of that shape."""
    rows, columns = shape
    there = unpack(stored.mask, 1, columns).bool()
    if tuple(there.shape) != (rows, columns) or int(there.sum()) != stored.values.numel():
        raise ValueError(f"{stored.values.numel()} values and a mask {tuple(stored.mask.shape)} are no {tuple(shape)}")
    weight = torch.zeros(rows, columns, dtype=stored.values.dtype, device=stored.values.device)
    weight[there] = stored.values
    return weight
