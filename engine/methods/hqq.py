"""Half-quadratic quantization: round to nearest on grids that are fitted to the weights.

From the grid of round to nearest on, every group's zero point z and scale s are chosen for a small sum of |W - Wq|^p,
p < 1, by which a few large errors count less than under squares. Half-quadratic splitting takes turns between the part
E of the error that is left to outliers, in closed form, and the grid that suits what remains:

    E = shrink(W - Wq)    z = mean of  q - (W - E) / s    s = <W - E, q - z> / <q - z, q - z>    beta = growth * beta

The paper keeps the scales and gives zero points a fraction, stored here in 8 bits (`fit_scales=false`,
`zero_points=fraction`). Then zero, near which most weights lie, is no point of the grid any more; so by default zero
points are whole numbers, and the scale is what is fitted. Grids are rounded to what is stored before any weight is, and
what is kept is the best of all turns, by group, the start among them: under its own objective no group is worse than
rounded to nearest on an asymmetric grid.
Source: Badri and Shaji 2023, "Half-Quadratic Quantization of Large Machine Learning Models" (Mobius Labs).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.layers.grid import divisors, round_asymmetric, stored_scales
from engine.layers.packed_matrix import PackedMatrix
from engine.methods import Report, targets
from engine.models import LanguageModel
from engine.spec.quantize import PER_CHANNEL, Hqq

LOST_ZEROS = (
    "Grids whose zero points have a fraction need have no zero: of the weights that an earlier step zeroed, some are "
    "small numbers again."
)
_BETA, _GROWTH = 10.0, 1.01  # how strongly E is tied to the error, and how fast that grows


class Fit(NamedTuple):
    """Grids of groups [rows, groups, group_size]: codes, and scales, zeros and cost, each [rows, groups, 1]."""

    codes: Tensor
    scales: Tensor  # as stored, but 1 for groups of zeros
    zeros: Tensor  # as stored
    cost: Tensor  # sum of the errors' powers


def compress(model: LanguageModel, settings: Hqq, windows: Tensor | None, report: Report) -> None:
    """Pack the targeted matrices, each weight rounded to the nearest point of its group's fitted grid.

    Changes `model` in place; reads no data. Raises InputError, before any tensor is changed, where the group size does
    not divide a matrix's inputs.
    """
    targets.pack(model, settings, lambda weight: quantize(weight, settings), report)
    if model.masked_zeros and settings.zero_points == "fraction" and "linears" in settings.targets:
        model.notes.append(LOST_ZEROS)


def quantize(weight: Tensor, settings: Hqq) -> PackedMatrix:
    """A weight fp32 [rows, columns] as a packed matrix."""
    bits, group_size = settings.bits, weight.shape[1] if settings.group_size == PER_CHANNEL else settings.group_size
    start = round_asymmetric(weight, bits, group_size)
    assert start.zeros is not None
    groups = weight.view(len(weight), -1, group_size)
    found = fit(groups, divisors(start.scales), start.zeros.float().unsqueeze(-1), settings)
    scales = torch.where(start.scales == 0, 0.0, found.scales.squeeze(-1)).half()
    zeros = (found.zeros.squeeze(-1) * 2.0 ** (settings.zero_bits - bits)).to(torch.uint8)
    codes = found.codes.to(torch.uint8).view_as(weight)
    return PackedMatrix.from_codes(codes, scales, zeros, bits, settings.zero_bits)


def fit(groups: Tensor, scales: Tensor, zeros: Tensor, settings: Hqq) -> Fit:
    """The grids, from scales and whole zero points [rows, groups, 1] on, by which the errors of each group cost least.

    groups: weights fp32 [rows, groups, group_size].
    """
    best = now = _rounded(groups, scales, zeros, settings)
    beta = _BETA
    for _ in range(settings.iterations):
        aims = groups - shrink(groups - (now.codes - now.zeros) * now.scales, beta, settings.norm)
        zeros = as_stored((now.codes - aims / now.scales).mean(-1, keepdim=True), settings.bits, settings.zero_bits)
        scales = _fitted(aims, now.codes - zeros, now.scales) if settings.fit_scales else now.scales
        now = _rounded(groups, scales, zeros, settings)
        better = now.cost < best.cost
        best = Fit(*(torch.where(better, new, old) for new, old in zip(now, best, strict=True)))
        beta *= _GROWTH
    return best


def shrink(errors: Tensor, beta: float, norm: float) -> Tensor:
    """The part E of errors e for which |E|^norm + beta / 2 * (E - e)^2 is small, by the generalised soft threshold.

    E = sign(e) * max(0, |e| - |e|^(norm - 1) / beta), so that small errors leave nothing to E.
    """
    size = errors.abs()
    return errors.sign() * (size - size.pow(norm - 1) / beta).clamp(min=0)  # 0 to a negative power: inf, so 0 stays 0


def as_stored(zeros: Tensor, bits: int, zero_bits: int) -> Tensor:
    """Zero points rounded to the `zero_bits` that are stored of them, of which `bits` are whole."""
    unit = 2.0 ** (bits - zero_bits)
    return (zeros / unit).round().clamp(0, 2**zero_bits - 1) * unit


def _fitted(aims: Tensor, points: Tensor, before: Tensor) -> Tensor:
    """The scales of least squared error of points [rows, groups, group_size] to what they aim at, as stored.

    Those before stay where no positive scale fits.
    """
    fitted = (aims * points).sum(-1, keepdim=True) / points.square().sum(-1, keepdim=True)
    return torch.where(fitted > 0, stored_scales(fitted).float(), before)


def _rounded(groups: Tensor, scales: Tensor, zeros: Tensor, settings: Hqq) -> Fit:
    codes = (groups / scales + zeros).round().clamp(0, 2**settings.bits - 1)
    cost = (groups - (codes - zeros) * scales).abs().pow(settings.norm).sum(-1, keepdim=True)
    return Fit(codes, scales, zeros, cost)
