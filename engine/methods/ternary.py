"""Ternary weights: every weight becomes -1, 0 or 1 times its group's scale.

Scale and threshold of a group are those of least squares. With the k weights of largest magnitude kept, the best scale
is their mean magnitude, and the squared error falls by (their sum)^2 / k: so k is where that is largest, found by
sorting. (The paper puts the threshold at about 0.7 times the mean magnitude instead.)
Source: Li and Liu 2016, arXiv:1605.04711, section 2.
"""

import torch
from torch import Tensor

from engine.layers.grid import stored_scales
from engine.layers.packed_matrix import PackedMatrix
from engine.methods import Report, targets
from engine.models import LanguageModel
from engine.spec.quantize import PER_CHANNEL, Ternary

_MIDDLE = 2  # the code of zero on a symmetric grid of 2 bits, whose lowest code stays unused


def compress(model: LanguageModel, settings: Ternary, windows: Tensor | None, report: Report) -> None:
    """Pack the targeted matrices with weights of -1, 0 and 1, two bits each, and a 16-bit scale a group.

    Changes `model` in place; reads no data. Raises InputError, before any tensor is changed, where the group size does
    not divide a matrix's inputs.
    """
    targets.pack(model, settings, lambda weight: quantize(weight, settings), report)


def quantize(weight: Tensor, settings: Ternary) -> PackedMatrix:
    """A weight fp32 [rows, columns] as a packed matrix."""
    group_size = weight.shape[1] if settings.group_size == PER_CHANNEL else settings.group_size
    groups = weight.view(len(weight), -1, group_size)
    signs, scales = ternarize(groups)
    codes = (signs + _MIDDLE).to(torch.uint8).view_as(weight)
    return PackedMatrix.from_codes(codes, stored_scales(scales), None, settings.bits)


def ternarize(groups: Tensor) -> tuple[Tensor, Tensor]:
    """Signs [rows, groups, group_size], each -1, 0 or 1, and scales [rows, groups] nearest to weights of that shape."""
    magnitudes, order = torch.sort(groups.abs(), dim=-1, descending=True, stable=True)
    counts = torch.arange(1, groups.shape[-1] + 1, device=groups.device)
    sums = magnitudes.cumsum(-1)
    best = (sums.square() / counts).argmax(-1, keepdim=True)  # [rows, groups, 1]: one less than the number kept
    kept = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, order, counts <= best + 1)
    return torch.where(kept, groups.sign(), 0.0), (sums.gather(-1, best) / (best + 1)).squeeze(-1)
