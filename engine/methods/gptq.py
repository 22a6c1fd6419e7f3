"""GPTQ: round one column of a weight after another, making up for each error in the columns that are left.

The grid of a group is that of `quantize:rtn`; what differs is the point of it that a weight goes to.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from engine.blocks.hessian import inverse_factor, mirrored, settle_columns
from engine.blocks.products import compress_from_products
from engine.layers.grid import Codes, divisors, round_asymmetric, round_symmetric
from engine.layers.packed_linear import PackedLinear
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.weight import bias_of, inputs_of, weight_of
from engine.methods import Report, rtn
from engine.models import LanguageModel
from engine.spec.fit import refuse_group_size
from engine.spec.quantize import PER_CHANNEL, Gptq


def compress(model: LanguageModel, settings: Gptq, windows: Tensor | None, report: Report) -> None:
    """Pack the blocks' linears so that their outputs on the calibration tokens change little; round the tables.

    windows: calibration tokens [windows, tokens]. A linear that is packed already is dequantized first. Where an
    earlier step zeroed weights, what is zero stays zero, and the other weights make up for it. The embedding and the
    head, where targeted, are rounded to nearest. Changes `model` in place; same windows, same result.
    Raises InputError, before any tensor is changed, where the group size does not divide a matrix's inputs.
    Source: Frantar et al. 2022, arXiv:2210.17323.
    """
    refuse_group_size(settings.group_size, [(name, inputs_of(layer)) for name, layer in model.anatomy.linears()])
    if windows is None:
        raise ValueError("quantize:gptq needs calibration windows")

    def pack(layers: Mapping[str, nn.Module], products: Tensor) -> Mapping[str, nn.Module]:
        weights = [weight_of(layer) for layer in layers.values()]
        codes = quantize(torch.cat(weights), mirrored(products), settings, keep_zeros=model.masked_zeros)
        matrices = split_rows(codes, [len(weight) for weight in weights], settings.bits)
        return {
            name: PackedLinear(matrix, bias_of(layer))
            for (name, layer), matrix in zip(layers.items(), matrices, strict=True)
        }

    told = partial(report, "round the linears column by column")
    compress_from_products(model.anatomy, windows, settings.statistics, pack, told, settings.blocks)
    rtn.round_tables(model, settings, report)


def quantize(weight: Tensor, hessian: Tensor, settings: Gptq, keep_zeros: bool = False) -> Codes:
    """The codes of a weight fp32 [rows, columns] whose inputs have the Hessian X^T X, fp32 [columns, columns].

    With `act_order` the columns with the largest inputs are rounded first, and a group's grid is that of its original
    weights; without it columns go from left to right, and a group's grid is that of what its weights are when it is
    reached. keep_zeros: weights that are exactly zero stay so. Rows of several linears that read the same inputs may
    go together.
    """
    rows, columns = weight.shape
    group_size = columns if settings.group_size == PER_CHANNEL else settings.group_size
    order = torch.arange(columns, device=weight.device)
    if settings.act_order:
        order = hessian.diagonal().argsort(descending=True, stable=True)
    left = weight.T.contiguous()[order]
    zero = left == 0 if keep_zeros else None
    grid = _Grid(rows, columns // group_size, settings, weight.device)
    groups = (order // group_size).tolist()
    steps = torch.empty_like(left)  # away from zero on the grid
    of_column = steps.unbind()

    def reach(start: int) -> None:
        if settings.act_order:
            grid.fit(slice(None), weight)
        else:
            grid.fit(slice(groups[start], groups[start] + 1), left[start : start + group_size].T.contiguous())

    def settle(j: int, w: Tensor, error: Tensor) -> None:
        grid.nearest(groups[j], w, out=of_column[j])
        if zero is not None:
            of_column[j].masked_fill_(zero[j], 0.0)
        torch.addcmul(w, of_column[j], grid.scales[groups[j]], value=-1, out=error)

    factor = inverse_factor(hessian[order][:, order], settings.damping)
    settle_columns(left, factor, columns if settings.act_order else group_size, reach, settle)
    codes = torch.empty_like(steps, dtype=torch.uint8)
    codes[order] = grid.codes(groups, steps)
    return Codes(codes.T.contiguous(), *grid.stored)


def split_rows(codes: Codes, rows: list[int], bits: int) -> list[PackedMatrix]:
    """The packed matrices of linears whose rows were quantized together."""
    zeros = [None] * len(rows) if codes.zeros is None else torch.split(codes.zeros, rows)
    parts = zip(torch.split(codes.codes, rows), torch.split(codes.scales, rows), zeros, strict=True)
    return [PackedMatrix.from_codes(*part, bits=bits) for part in parts]


class _Grid:
    """The grids of a weight's groups, each a row [rows]: scales, divisors, and how many steps reach down and up."""

    def __init__(self, rows: int, groups: int, settings: Gptq, device: torch.device) -> None:
        self._settings = settings
        self._parts = torch.empty(4, groups, rows, device=device)
        self.scales, self._divisors, self._low, self._high = (part.unbind() for part in self._parts)

    def fit(self, groups: slice, weight: Tensor) -> None:
        """Lay the grids of some groups over their weights [rows, columns of these groups]."""
        bits = self._settings.bits
        scales, divided, low, high = self._parts[:, groups]
        round_rows = round_symmetric if self._settings.symmetric else round_asymmetric
        fitted = round_rows(weight, bits, weight.shape[1] // len(scales))
        scales.copy_(fitted.scales.T)
        divided.copy_(divisors(fitted.scales).squeeze(-1).T)
        low.copy_(torch.full_like(low, -(2 ** (bits - 1))) if fitted.zeros is None else -fitted.zeros.T.float())
        high.copy_(low + 2**bits - 1)

    def nearest(self, group: int, w: Tensor, out: Tensor) -> None:
        """The steps from zero to the points nearest to the weights [rows] of one column."""
        torch.div(w, self._divisors[group], out=out).round_()
        torch.clamp(out, self._low[group], self._high[group], out=out)

    def codes(self, groups: list[int], steps: Tensor) -> Tensor:
        """Steps [columns, rows] from zero, in the columns' groups, as codes."""
        return (steps - self._parts[2, groups]).to(torch.uint8)

    @property
    def stored(self) -> tuple[Tensor, Tensor | None]:
        """Scales and zero points as a packed matrix has them, [rows, groups]."""
        scales, _, low, _ = self._parts
        return scales.T.half(), None if self._settings.symmetric else (-low).T.to(torch.uint8)
