"""AWQ: round to nearest, after the weights of inputs with large activations were scaled up to fall on a finer grid.

The scaling W diag(s) of linears that read one tensor x is undone in what gives x: the gain of the norm before the
attention and the MLP, the rows of `value` and `up` before what reads their products. Where nothing can undo it, as
across an activation, ranges are clipped and nothing is scaled. The model stays plain, without another multiplication.
Factors are powers of two: folding them changes no digit of a gain in bf16 (but of Gemma's, which is stored less 1 and
rounded again) or of a packed row's scale in float16, so that the model computes to the bit what was calibrated.

While the blocks are walked, a linear divides its inputs itself; the factors are folded once the walk is over.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.blocks.hessian import add_products, mirrored
from engine.blocks.walk import compress_blocks
from engine.layers.grid import nearest, rounded
from engine.layers.packed_linear import PackedLinear
from engine.layers.scaled import DividedInputs, divide_outputs
from engine.layers.weight import bias_of, inputs_of, weight_of
from engine.layouts import Layout
from engine.methods import Report, rtn
from engine.methods.gptq import split_rows
from engine.models import LanguageModel
from engine.network.anatomy import Block
from engine.spec.fit import refuse_group_size
from engine.spec.quantize import PER_CHANNEL, Awq, Rtn

_EXPONENTS = 20  # of the mean magnitudes, from 0 to 0.95
_RATIOS = [1 - step / 20 for step in range(10)]  # of a group's range that is kept
_ROWS = 512  # of a weight, evenly spread, by whose outputs the exponent is chosen
_LEAST_MAGNITUDE = 1e-4  # of an input, beside the mean of all


class Inputs(NamedTuple):
    """What is gathered of inputs x [tokens, inputs]: X^T X, of which the upper triangle is whole, and sums of |x|."""

    products: Tensor
    magnitudes: Tensor


def compress(model: LanguageModel, settings: Awq, windows: Tensor | None, report: Report) -> None:
    """Pack the blocks' linears so that their outputs on the calibration tokens change little; round the tables.

    windows: calibration tokens [windows, tokens]. A linear that is packed already is dequantized first; weights that
    are zero stay zero. The embedding and the head, where targeted, are rounded to nearest. Changes `model` in place;
    same windows, same result.
    Raises InputError, before any tensor is changed, where the group size does not divide a matrix's inputs.
    Source: Lin et al. 2023, arXiv:2306.00978, section 3.2; the clipping is that of the paper's published code.
    """
    anatomy = model.anatomy
    refuse_group_size(settings.group_size, [(name, inputs_of(layer)) for name, layer in anatomy.linears()])
    if windows is None:
        raise ValueError("quantize:awq needs calibration windows")
    grid = Rtn(settings.bits, settings.group_size, settings.symmetric)
    first = anatomy.blocks[0]

    def pack(layers: Mapping[str, nn.Module], inputs: Inputs) -> Mapping[str, nn.Module]:
        weights = [weight_of(layer) for layer in layers.values()]
        weight, hessian, magnitudes = torch.cat(weights), mirrored(inputs.products), inputs.magnitudes
        if anatomy.layout.attention_out in layers:
            magnitudes = alike_in_groups(magnitudes, first.queries_per_key, first.head_dim)
        factors = torch.ones_like(magnitudes)
        if (giver := anatomy.layout.giver(layers)) is not None:
            factors = keeping_gains(best_factors(weight, hessian, magnitudes, grid), anatomy.layout, giver)
        scaled = weight * factors
        if settings.clip:
            scaled = clipped(scaled, hessian / torch.outer(factors, factors), grid)
        matrices = split_rows(rounded(scaled, grid), [len(weight) for weight in weights], settings.bits)
        return {
            name: DividedInputs(PackedLinear(matrix, bias_of(layer)), factors)
            for (name, layer), matrix in zip(layers.items(), matrices, strict=True)
        }

    told = partial(report, "scale and round the linears")
    compress_blocks(anatomy, windows, add_inputs, pack, told, settings.blocks)
    for block in anatomy.chosen(settings.blocks):
        fold(block)
    if anatomy.layout.mlp_up is None:
        model.notes.append(
            f"Nothing before {first.layout.mlp_out} can undo a scaling, so the weights of that linear were not scaled."
        )
    rtn.round_tables(model, settings, report)


def add_inputs(before: Inputs | None, x: Tensor) -> Inputs:
    """What was gathered so far, with x [tokens, inputs] added."""
    sums = x.abs().sum(0)
    if before is None:
        return Inputs(add_products(None, x), sums)
    return Inputs(add_products(before.products, x), before.magnitudes + sums)


def keeping_gains(factors: Tensor, layout: Layout, giver: str | None) -> Tensor:
    """The factors [inputs] in the same proportions, at most 1 where what gives the inputs is a gain stored less 1.

    Such a gain loses its bits where it becomes small; all may grow.
    """
    return factors / factors.amax() if layout.gain_offset and giver in layout.norms else factors


def alike_in_groups(
    magnitudes: Tensor, queries_per_key: int, head_dim: int, pool: Callable[..., Tensor] = torch.mean
) -> Tensor:
    """Magnitudes [heads * head_dim] pooled over the query heads that read one value head, for each of them."""
    heads = magnitudes.view(-1, queries_per_key, head_dim)
    return pool(heads, 1, keepdim=True).expand_as(heads).flatten()


def best_factors(weight: Tensor, hessian: Tensor, magnitudes: Tensor, grid: Rtn) -> Tensor:
    """The factors [inputs], of those that an exponent of the magnitudes gives, with the least error of the outputs.

    weight: fp32 [rows, inputs]; hessian: X^T X [inputs, inputs]. For a change D of the weight the squared error over
    all tokens, sum |D x|^2, is the trace of D H D^T; it is taken over at most `_ROWS` rows. Of equal errors the
    smaller exponent's is taken.
    """
    weight = weight[:: -(-len(weight) // _ROWS)]
    best, least = torch.ones_like(magnitudes), torch.inf
    for step in range(_EXPONENTS):
        factors = powers(magnitudes, step / _EXPONENTS)
        change = nearest(weight * factors, grid).div_(factors).sub_(weight)
        error = float(((change @ hessian) * change).sum())
        if error < least:
            best, least = factors, error
    return best


def powers(magnitudes: Tensor, exponent: float) -> Tensor:
    """Magnitudes [inputs] to a power, about 1 in geometric mean of the least and the largest, as powers of two."""
    logs = exponent * magnitudes.clamp(min=_LEAST_MAGNITUDE * float(magnitudes.mean())).log2()
    return (logs - (logs.amax() + logs.amin()) / 2).round().exp2()


def clipped(weight: Tensor, hessian: Tensor, grid: Rtn) -> Tensor:
    """The weight [rows, inputs], the range of each group cut to what keeps its part of the outputs closest.

    hessian: X^T X [inputs, inputs], of which a group sees the block of its own inputs.
    """
    size = weight.shape[1] if grid.group_size == PER_CHANNEL else grid.group_size
    groups = weight.view(len(weight), -1, size)  # [rows, groups, group_size]
    low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
    if grid.symmetric:
        high = torch.maximum(high, -low)
        low = -high
    blocks = torch.stack([hessian[part][:, part] for part in torch.split(torch.arange(weight.shape[1]), size)])
    best, least = groups, torch.full(groups.shape[:2], torch.inf, device=weight.device)
    for ratio in _RATIOS:
        cut = torch.clamp(groups, ratio * low, ratio * high)
        change = (nearest(cut.view_as(weight), grid).view_as(groups) - groups).transpose(0, 1)
        errors = ((change @ blocks) * change).sum(-1).T.contiguous()  # [rows, groups]
        better = errors < least
        best, least = torch.where(better.unsqueeze(-1), cut, best), torch.where(better, errors, least)
    return best.view_as(weight)


def fold(block: Block) -> None:
    """Divide what gives the linears their inputs by the factors that they divided by themselves until now."""
    for giver, readers in block.layout.givers:
        divided = {name: block.module.get_submodule(name) for name in readers}
        factors = next(iter(divided.values())).get_buffer("factors")
        if giver is None:
            assert bool((factors == 1).all())  # nothing could undo others
        else:
            offset = block.layout.gain_offset if giver in block.layout.norms else 0.0
            divide_outputs(block.module.get_submodule(giver), block.divisors(giver, factors), offset)
        for name, layer in divided.items():
            block.replace(name, layer.get_submodule("layer"))
