"""SmoothQuant: weights and activations in 8 bits, once the size of the largest activations was moved into the weights.

Every activation is divided by a factor s and its column of the weights multiplied by it:

    s_j = max |X_j| ** alpha / max |W_j| ** (1 - alpha)

As for AWQ the factors are powers of two, and what gives the tensor carries the division: the norms, as in the paper,
and beyond it the rows of `value` and of `up`. Then each output of a weight has one scale, and each token, when it
comes, one of its own.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from engine.blocks.walk import compress_blocks
from engine.layers.rounded_inputs import RoundedInputs
from engine.layers.scaled import DividedInputs
from engine.layers.weight import bias_of, weight_of
from engine.methods import Report, rtn
from engine.methods.awq import alike_in_groups, fold, keeping_gains
from engine.models import LanguageModel
from engine.spec.quantize import PER_CHANNEL, Rtn, SmoothQuant

ROUNDED = (
    "Activations are rounded to 8 bits too, each token by itself, so perplexity and accuracy are those of its kernels."
)
_GRID = Rtn(bits=8, group_size=PER_CHANNEL)


def compress(model: LanguageModel, settings: SmoothQuant, windows: Tensor | None, report: Report) -> None:
    """Pack the blocks' linears in 8 bits, one scale a row, and have them round what they read to 8 bits a token.

    windows: calibration tokens [windows, tokens], which give the largest activations. A linear that is packed already
    is dequantized first; weights that are zero stay zero. Changes `model` in place; same windows, same result.
    Source: Xiao et al. 2022, arXiv:2211.10438, section 4.
    """
    anatomy = model.anatomy
    if windows is None:
        raise ValueError("quantize:smoothquant needs calibration windows")
    first = anatomy.blocks[0]

    def pack(layers: Mapping[str, nn.Module], activations: Tensor) -> Mapping[str, nn.Module]:
        weights = torch.cat([weight_of(layer) for layer in layers.values()]).abs().amax(0)
        if anatomy.layout.attention_out in layers:
            activations, weights = (
                alike_in_groups(largest, first.queries_per_key, first.head_dim, torch.amax)
                for largest in (activations, weights)
            )
        factors = smoothing(activations, weights, settings.alpha)
        giver = anatomy.layout.giver(layers)
        if giver is None:  # nothing before these can undo a scaling
            factors = torch.ones_like(factors)
        factors = keeping_gains(factors, anatomy.layout, giver)
        return {name: DividedInputs(in_8_bits(layer, factors), factors) for name, layer in layers.items()}

    told = partial(report, "smooth and round the linears")
    compress_blocks(anatomy, windows, add_largest, pack, told, settings.blocks)
    for block in anatomy.chosen(settings.blocks):
        fold(block)
    model.notes.append(ROUNDED)


def add_largest(before: Tensor | None, x: Tensor) -> Tensor:
    """The largest magnitudes [inputs] so far, with those of x [tokens, inputs]."""
    largest = x.abs().amax(0)
    return largest if before is None else torch.maximum(before, largest)


def smoothing(activations: Tensor, weights: Tensor, alpha: float) -> Tensor:
    """The factors [inputs] of the largest magnitudes of each, as powers of two; 1 where either is zero throughout."""
    logs = (alpha * activations.log2() - (1 - alpha) * weights.log2()).round()
    return torch.where(logs.isfinite(), logs, 0.0).exp2()


def in_8_bits(layer: nn.Module, factors: Tensor) -> RoundedInputs:
    """A linear whose inputs lack the factors [inputs], packed with them."""
    return RoundedInputs(rtn.quantize(weight_of(layer) * factors, _GRID), bias_of(layer))
