"""Wanda: zero, in every output row, the weights of smallest magnitude times the norm of what they multiply.

No weight is changed that is not zeroed. Packed weights stay packed, and weights that are zero already go first.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from engine.blocks.walk import compress_blocks
from engine.layers.weight import inputs_of, weight_of, zero_out
from engine.methods import Report
from engine.methods.magnitude import smallest_in_groups
from engine.models import LanguageModel
from engine.spec.fit import refuse_pattern
from engine.spec.prune import Wanda

_TOKENS_AT_ONCE = 1024  # of inputs whose squares are summed


def compress(model: LanguageModel, settings: Wanda, windows: Tensor | None, report: Report) -> None:
    """Zero the weights of smallest |W| * ||X||_2, as many in each output row or as the N:M pattern says.

    W is [out, in], X [tokens, in] what the linear reads once the linears before it are pruned; the norm runs over
    tokens. Each row loses exactly floor(sparsity * in) weights; of equal scores the earlier go. windows: calibration
    tokens [windows, tokens]. Changes `model` in place; same windows, same result.
    Raises InputError, before any tensor is changed, where a pattern does not divide a linear's inputs.
    Source: Sun et al. 2023, arXiv:2306.11695, section 3.
    """
    refuse_pattern(settings, [(name, inputs_of(layer)) for name, layer in model.anatomy.linears()])
    if windows is None:
        raise ValueError("prune:wanda needs calibration windows")

    def prune(layers: Mapping[str, nn.Module], squares: Tensor) -> Mapping[str, nn.Module]:
        for layer in layers.values():
            zero_out(layer, least(weight_of(layer).abs() * squares.sqrt(), settings))
        return layers

    told = partial(report, "zero the least used weights")
    compress_blocks(model.anatomy, windows, add_squares, prune, told, settings.blocks)
    model.masked_zeros = model.masked_zeros or settings.sparsity != 0


def add_squares(sums: Tensor | None, x: Tensor) -> Tensor:
    """The sums of squares [inputs] of every column so far, those of x [tokens, inputs] added."""
    for tokens in torch.split(x, _TOKENS_AT_ONCE):
        squares = tokens.square().sum(0)
        sums = squares if sums is None else sums + squares
    assert sums is not None
    return sums


def least(score: Tensor, settings: Wanda) -> Tensor:
    """Mask of the smallest scores [outputs, inputs] of every row, or of every M neighbours of an N:M pattern."""
    if settings.pattern_shape is not None:
        return smallest_in_groups(score, *settings.pattern_shape)
    return smallest_in_rows(score, int((settings.sparsity or 0.0) * score.shape[1]))


def smallest_in_rows(score: Tensor, count: int) -> Tensor:
    """Mask of the `count` smallest of every row; of equal ones the earlier."""
    if count == 0:
        return torch.zeros_like(score, dtype=torch.bool)
    threshold = score.kthvalue(count, dim=1, keepdim=True).values
    below, ties = score < threshold, score == threshold
    left = count - below.sum(1, keepdim=True)
    return below | (ties & (ties.cumsum(1) <= left))
