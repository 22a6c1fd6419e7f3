"""SparseGPT: zero one column of a weight after another, making up for each loss in the columns that are left.

Which weights go is decided for some columns at a time, once they hold what the columns before have left in them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor, nn

from engine.blocks.hessian import inverse_factor, mirrored, settle_columns, unused
from engine.blocks.products import compress_from_products
from engine.layers.weight import PackedLayer, bias_of, inputs_of, plain_linear, weight_of
from engine.methods import Report
from engine.methods.magnitude import smallest, smallest_in_groups
from engine.models import LanguageModel
from engine.spec.fit import refuse_pattern
from engine.spec.prune import SparseGpt

_COLUMNS_TOGETHER = 128  # in which weights compete to stay; the paper's choice


def compress(model: LanguageModel, settings: SparseGpt, windows: Tensor | None, report: Report) -> None:
    """Zero weights of the blocks' linears and change the others so that the outputs on the tokens change little.

    windows: calibration tokens [windows, tokens]. Exactly floor(sparsity * weights) of each linear become zero, or as
    the N:M pattern says; what an earlier step zeroed stays zero and counts first. Packed linears leave their grid and
    become plain (a note says so). Changes `model` in place; same windows, same result.
    Raises InputError, before any tensor is changed, where a pattern does not divide a linear's inputs.
    Source: Frantar and Alistarh 2023, arXiv:2301.00774.
    """
    linears = list(model.anatomy.linears(settings.blocks))
    refuse_pattern(settings, [(name, inputs_of(layer)) for name, layer in linears])
    if windows is None:
        raise ValueError("prune:sparsegpt needs calibration windows")

    def prune_together(layers: Mapping[str, nn.Module], products: Tensor) -> Mapping[str, nn.Module]:
        weights = [weight_of(layer) for layer in layers.values()]
        pruned = prune(weights, mirrored(products), settings, keep_zeros=model.masked_zeros)
        return {
            name: plain_linear(weight, bias_of(layer))
            for (name, layer), weight in zip(layers.items(), pruned, strict=True)
        }

    told = partial(report, "zero the linears by column")
    compress_from_products(model.anatomy, windows, settings.statistics, prune_together, told, settings.blocks)
    model.masked_zeros = model.masked_zeros or settings.sparsity != 0
    if packed := sum(isinstance(layer, PackedLayer) for _, layer in linears):
        model.notes.append(
            f"This step changes {packed} matrices that an earlier step had packed; they are stored in bf16 again."
        )


def prune(weights: Sequence[Tensor], hessian: Tensor, settings: SparseGpt, keep_zeros: bool = False) -> list[Tensor]:
    """Weights fp32 [rows, columns] of linears that read inputs of one Hessian X^T X, with those pruned that cost least.

    A weight w in column j costs w^2 / U[j, j]^2, with U of `inverse_factor`; nothing where its input is never used. Of
    every 128 columns the cheapest of a linear go, of an N:M pattern the cheapest of every M neighbours of a row.
    keep_zeros: weights that are exactly zero stay so.
    """
    factor = inverse_factor(hessian, settings.damping)
    price = factor.diagonal().pow(-2).masked_fill(unused(hessian), 0.0)  # [columns]
    left = torch.cat(list(weights)).T.contiguous()  # [columns, rows]
    zero = left == 0 if keep_zeros else torch.zeros_like(left, dtype=torch.bool)
    dropped = torch.empty_like(left)  # 1 where a weight goes, else 0
    lost = dropped.unbind()
    linears = [
        slice(end - len(weight), end) for weight, end in zip(weights, accumulate(map(len, weights)), strict=True)
    ]
    together = settings.pattern_shape[1] if settings.pattern_shape else _COLUMNS_TOGETHER

    def reach(start: int) -> None:
        columns = slice(start, start + together)
        cost = left[columns].square() * price[columns].unsqueeze(1)
        cost.masked_fill_(zero[columns], 0.0)
        for rows in linears:
            chosen = cheapest(cost[:, rows].T.contiguous(), start, settings).T
            dropped[columns, rows] = (chosen | zero[columns, rows]).float()

    def settle(j: int, w: Tensor, error: Tensor) -> None:
        w.sub_(torch.mul(w, lost[j], out=error))

    settle_columns(left, factor, together, reach, settle)
    return [left[:, rows].T.contiguous() for rows in linears]


def cheapest(cost: Tensor, start: int, settings: SparseGpt) -> Tensor:
    """Mask of the costs [rows, columns from `start` on] that go, so that their share holds up to every column."""
    if settings.pattern_shape is not None:
        return smallest_in_groups(cost, *settings.pattern_shape)
    rows, columns = cost.shape
    due = [int((settings.sparsity or 0.0) * rows * reached) for reached in (start, start + columns)]
    return smallest(cost, due[1] - due[0])
