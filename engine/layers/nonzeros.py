"""A matrix stored without its zeros: the other numbers, and a mask of one bit a weight that says where they stand.

The mask serves patterns N:M too. Of 2:4 it takes as many bits as the form of graphics cards, two for each number's
place, and of 4:8 fewer; places would gain only where N log2 M < M, as in 1:4.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.layers.packing import pack, packed_width, unpack

_ROWS_AT_ONCE = 64  # of a mask that is unpacked: large pieces freed between matrices that stay would leave gaps


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
    left, count = stored.values.flatten(), stored.values.numel()
    misfit = ValueError(f"{count} values and a mask {tuple(stored.mask.shape)} are no {tuple(shape)}")
    if stored.mask.shape != (rows, packed_width(columns, 1)):
        raise misfit
    weight = torch.zeros(rows, columns, dtype=left.dtype, device=left.device)
    for filled, mask in zip(torch.split(weight, _ROWS_AT_ONCE), torch.split(stored.mask, _ROWS_AT_ONCE), strict=True):
        there = unpack(mask, 1, columns).bool()
        count = int(there.sum())
        if count > len(left):
            raise misfit
        filled.masked_scatter_(there, left[:count])
        left = left[count:]
    if len(left):
        raise misfit
    return weight
