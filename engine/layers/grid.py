"""The grids that weights are rounded to, group by group: points at even distances, around zero or over the range.

Group scales are rounded to the 16 bits they are stored in before any weight is, so that the numbers rounded against are
the numbers stored.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.spec.quantize import PER_CHANNEL, KvCache, Rtn

_SMALLEST_SCALE = 2.0**-24  # of float16; a smaller step would be stored as zero


class Codes(NamedTuple):
    """A matrix on its grid: codes uint8 [rows, columns], scales float16 and zeros uint8 [rows, groups]."""

    codes: Tensor
    scales: Tensor
    zeros: Tensor | None


def nearest(weight: Tensor, settings: Rtn | KvCache) -> Tensor:
    """The points of the grids, fp32 [rows, columns], that a weight fp32 [rows, columns] is rounded to."""
    codes, scales, zeros = rounded(weight, settings)
    groups = codes.view(*scales.shape, -1).float()
    steps = groups - (2 ** (settings.bits - 1) if zeros is None else zeros.float().unsqueeze(-1))
    return (steps * scales.float().unsqueeze(-1)).view_as(weight)


def rounded(weight: Tensor, settings: Rtn | KvCache) -> Codes:
    """The codes of a weight fp32 [rows, columns] on the grids that the settings ask for."""
    group_size = weight.shape[1] if settings.group_size == PER_CHANNEL else settings.group_size
    round_rows = round_symmetric if settings.symmetric else round_asymmetric
    return round_rows(weight, settings.bits, group_size)


def round_symmetric(weight: Tensor, bits: int, group_size: int) -> Codes:
    """Round fp32 [rows, columns] to the signed grid -2**(bits-1) .. 2**(bits-1) - 1 around zero.

    The grid reaches one step further below zero than above. The scale takes the sign that puts the group's largest
    weight on that far end, exactly: scale = -w / 2**(bits-1) for the w of largest magnitude. No more is stored, and
    perplexity is lower than with max|w| / (2**(bits-1) - 1) or - 0.5, which leave the far end unused or clip.
    Codes are stored with 2**(bits-1) added. Source: the grid of llama.cpp's Q4_0.
    """
    middle = 2 ** (bits - 1)
    groups = weight.view(len(weight), -1, group_size)  # [rows, groups, group_size]
    largest = groups.gather(-1, groups.abs().argmax(-1, keepdim=True)).squeeze(-1)
    scales = stored_scales(-largest / middle)
    steps = symmetric_steps(groups, scales, bits)
    return Codes((steps + middle).to(torch.uint8).view_as(weight), scales, None)


def symmetric_steps(groups: Tensor, scales: Tensor, bits: int) -> Tensor:
    """Steps from zero to the nearest points, for weights [rows, groups, group_size] and scales [rows, groups]."""
    middle = 2 ** (bits - 1)
    return (groups / divisors(scales)).round().clamp(-middle, middle - 1)


def round_asymmetric(weight: Tensor, bits: int, group_size: int) -> Codes:
    """Round fp32 [rows, columns] to a grid 0 .. 2**bits - 1 laid over each group's range, zero among its points.

    scale = (max - min) / (2**bits - 1) over the range widened to include zero; the zero point is a whole number, so
    that a weight of zero stays exactly zero.
    """
    top = 2**bits - 1
    groups = weight.view(len(weight), -1, group_size)
    low, high = groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)  # [rows, groups]
    scales = stored_scales((high - low) / top)
    zeros = (-low.unsqueeze(-1) / divisors(scales)).round().clamp(0, top)  # [rows, groups, 1]
    codes = ((groups / divisors(scales)).round() + zeros).clamp(0, top)
    return Codes(codes.to(torch.uint8).view_as(weight), scales, zeros.squeeze(-1).to(torch.uint8))


def stored_scales(scales: Tensor) -> Tensor:
    """Scales as the float16 that is stored: never zero for a group that is not all zeros, never infinite."""
    limit = torch.finfo(torch.float16).max
    rounded = scales.clamp(-limit, limit).half()
    smallest = torch.full_like(rounded, _SMALLEST_SCALE).copysign(rounded)
    return torch.where((rounded == 0) & (scales != 0), smallest, rounded)


def divisors(scales: Tensor) -> Tensor:
    """The stored scales in fp32 [rows, groups, 1], with 1 for groups of zeros, which divide to zero by anything."""
    return torch.where(scales == 0, 1.0, scales.float()).unsqueeze(-1)
