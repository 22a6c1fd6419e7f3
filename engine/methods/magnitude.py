"""Magnitude pruning: zero the smallest weights of the blocks' linears, scattered or N of every M neighbours.

The zeros stay where they are: dense kernels hold and multiply them like any number, and only a checkpoint leaves them
out. Packed weights stay packed, zeros and all, for zero is a point of every grid here.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from engine.layers.weight import inputs_of, weight_of, zero_out
from engine.methods import Report
from engine.models import LanguageModel
from engine.spec.fit import refuse_pattern
from engine.spec.prune import Magnitude


def compress(model: LanguageModel, settings: Magnitude, windows: Tensor | None, report: Report) -> None:
    """Zero the weights of smallest magnitude in the blocks' linears: exactly floor(sparsity * weights) of them.

    scope=layer counts in each linear, scope=global over all; of equal magnitudes, the earlier are zeroed first. A
    pattern N:M keeps the N largest of every M neighbours along the inputs. Changes `model` in place; reads no data.
    Raises InputError, before any tensor is changed, where a pattern does not divide a linear's inputs.
    Source: Han et al. 2015, arXiv:1506.02626; N:M: Mishra et al. 2021, arXiv:2104.08378.
    """
    linears = list(model.anatomy.linears(settings.blocks))
    refuse_pattern(settings, [(name, inputs_of(layer)) for name, layer in linears])
    layers = [layer for _, layer in linears]
    sparsity = settings.sparsity or 0.0
    cut = None
    if settings.scope == "global":
        weights = sum(weight_of(layer).numel() for layer in layers)
        cut = global_cut(lambda: (weight_of(layer).abs() for layer in layers), int(sparsity * weights))
    for done, layer in enumerate(layers):
        report("zero the smallest weights", done, len(layers))
        magnitude = weight_of(layer).abs()
        if settings.pattern_shape is not None:
            mask = smallest_in_groups(magnitude, *settings.pattern_shape)
        elif cut is not None:
            mask, cut = cut.mask(magnitude)
        else:
            mask = smallest(magnitude, int(sparsity * magnitude.numel()))
        zero_out(layer, mask)
    report("zero the smallest weights", len(layers), len(layers))
    model.masked_zeros = model.masked_zeros or sparsity > 0 or settings.pattern is not None


def smallest(magnitude: Tensor, count: int) -> Tensor:
    """Mask of the `count` smallest of a tensor; of equal ones the first in order."""
    if count == 0:
        return torch.zeros_like(magnitude, dtype=torch.bool)
    threshold = magnitude.flatten().kthvalue(count).values
    below = int((magnitude < threshold).sum())
    return Cut(float(threshold), count - below).mask(magnitude)[0]


def smallest_in_groups(magnitude: Tensor, kept: int, size: int) -> Tensor:
    """Mask of all but the `kept` largest of every `size` neighbours of a row; of equal ones the later are kept."""
    groups = magnitude.view(-1, size)
    order = groups.argsort(dim=-1, stable=True)  # ascending, so that earlier ties come first and are zeroed first
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(-1, order[:, : size - kept], True)
    return mask.view_as(magnitude)


class Cut(NamedTuple):
    """A magnitude, and how many weights of exactly that magnitude are zeroed besides all smaller ones."""

    magnitude: float
    ties: int

    def mask(self, magnitude: Tensor) -> tuple[Tensor, "Cut"]:
        """(mask of the weights of one tensor that are zeroed, the cut that is left for the tensors after it)."""
        flat = magnitude.flatten()
        mask = flat < self.magnitude
        ties = (flat == self.magnitude).nonzero().squeeze(-1)[: self.ties]
        mask[ties] = True
        return mask.view_as(magnitude), self._replace(ties=self.ties - len(ties))


def global_cut(magnitudes: Callable[[], Iterator[Tensor]], count: int) -> Cut:
    """The cut below which exactly `count` weights of all tensors lie.

    magnitudes gives fp32 tensors, one at a time and the same each time it is called: the bits of a non-negative float
    order as it does, so that two histograms, of its upper and its lower 16 bits, find the threshold without ever
    holding two tensors.
    """
    upper_bits, before = _bin_of(count, (_bits(m) >> 16 for m in magnitudes()))
    lower = (bits[bits >> 16 == upper_bits] & 0xFFFF for bits in map(_bits, magnitudes()))
    lower_bits, within = _bin_of(count - before, lower)
    threshold = torch.tensor((upper_bits << 16) + lower_bits, dtype=torch.int32).view(torch.float32)
    return Cut(float(threshold), count - before - within)


def _bits(magnitude: Tensor) -> Tensor:
    return magnitude.flatten().view(torch.int32)


def _bin_of(rank: int, values: Iterator[Tensor]) -> tuple[int, int]:
    """(the 16-bit value of that rank, from 1, among all; how many are smaller)."""
    counts = torch.zeros(2**16, dtype=torch.int64)
    for part in values:
        counts += torch.bincount(part, minlength=2**16).cpu()
    cumulative = counts.cumsum(0)
    bin = int(torch.searchsorted(cumulative, rank))
    return bin, int(cumulative[bin - 1]) if bin else 0
