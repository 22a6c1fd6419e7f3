"""How much each unit of a block counts, the neurons of its MLP and the heads of its attention, and each whole block.

Neurons and heads end in a linear that writes to the residual stream, and a unit is a run of that linear's inputs: one
for a neuron, `head_dim` for a head. With W that linear's weight and x its inputs over the calibration tokens, a unit S
scores

    magnitude    |W[:, S]|                              Frobenius norm; reads no data
    activation   |x[:, S]|                              Minitron, arXiv:2407.14679, section 2.2, with the L2 norm
    wanda        |W[:, S] |x|_2|                        Wanda, arXiv:2306.11695, equation 1, as the norm over a unit
    taylor       sum over windows of |sum x[:, S] g|    Michel et al. 2019, arXiv:1905.10650, equation 2

where g is the gradient of the loss with respect to x and the inner sum runs over a window's tokens: how much the
window's loss changes, to first order, when the unit is silenced. Of a neuron, wanda is exactly the norm of what it adds
to the stream.

A block is a unit of which two linears write to the stream: magnitude and wanda are the norms over both, and for the two
others x is what the block adds to the stream.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from engine.blocks.gradients import walk_back
from engine.calibration import walk
from engine.checkpoints.fp32 import dequantized
from engine.layers.weight import inputs_of, weight_of
from engine.methods import Report
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy


def unit_scores(
    model: LanguageModel, name: str, size: int, rule: str, windows: Tensor | None, report: Report
) -> list[Tensor]:
    """The score of every unit, fp64 [units] for each block: what is pruned first has the lowest.

    name: of the linear within a block that carries the units on; size: its inputs that make a unit; rule: one of the
    four above; windows: calibration tokens [windows, tokens], which all rules but magnitude need.
    """
    layers = {block.name: block.linears[name] for block in model.anatomy.blocks}
    if rule == "magnitude":
        return [_norms(weight_of(layer).double().pow(2).sum(0), size) for layer in layers.values()]
    if windows is None:
        raise ValueError(f"importance={rule} needs calibration windows")
    if rule == "taylor":
        return first_order(model, name, size, windows, report)
    norms = input_norms(model.anatomy, layers, windows, report)
    if rule == "activation":
        return [_norms(norms[block].double().pow(2), size) for block in layers]
    return [_norms(_weighted(layer, norms[block]), size) for block, layer in layers.items()]


def block_scores(model: LanguageModel, rule: str, windows: Tensor | None, report: Report) -> Tensor:
    """The score of every block, fp64 [blocks]; rule and windows as in `unit_scores`."""
    blocks = model.anatomy.blocks
    writers = {f"{block.name}.{name}": layer for block in blocks for name, layer in block.writers.items()}
    if rule == "magnitude":
        return _of_blocks([weight_of(layer).double().pow(2).sum() for layer in writers.values()])
    if windows is None:
        raise ValueError(f"importance={rule} needs calibration windows")
    if rule == "wanda":
        norms = input_norms(model.anatomy, writers, windows, report)
        return _of_blocks([_weighted(layer, norms[name]).sum() for name, layer in writers.items()])
    if rule == "taylor":
        return torch.cat(first_order(model, None, model.network.config.hidden_size, windows, report))
    squares = torch.zeros(len(blocks), dtype=torch.float64)

    def visit(block: int, before: Tensor, after: Tensor) -> None:
        squares[block] += (after.double() - before.double()).square().sum().cpu()

    walk(model.anatomy, windows, lambda done, total: report("measure the blocks", done, total), on_block=visit)
    return squares.sqrt()


def input_norms(anatomy: Anatomy, layers: dict[str, nn.Module], windows: Tensor, report: Report) -> dict[str, Tensor]:
    """name -> L2 norm of each input of a linear over all tokens, [inputs]."""
    squares = {name: torch.zeros(inputs_of(layer), dtype=torch.float64) for name, layer in layers.items()}
    hooks = [layer.register_forward_pre_hook(_adding(squares[name])) for name, layer in layers.items()]
    try:
        walk(anatomy, windows, lambda done, total: report("measure the inputs", done, total))
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total.sqrt().float() for name, total in squares.items()}


def first_order(model: LanguageModel, name: str | None, size: int, windows: Tensor, report: Report) -> list[Tensor]:
    """The taylor scores, fp64 [units] for each block; packed layers are dequantized for the while.

    name: of the linear whose inputs are units; without one, a unit is what a block adds to the stream.
    """
    anatomy = replace(model.anatomy, network=dequantized(model))
    widths = [inputs_of(block.linears[name]) if name else size for block in anatomy.blocks]
    scores = [torch.zeros(width // size, dtype=torch.float64) for width in widths]

    def visit(block: int, x: Tensor, gradient: Tensor) -> None:
        change = (x.double() * gradient.double()).sum(0).view(-1, size).sum(1)
        scores[block] += change.abs().cpu()

    walk_back(anatomy, name, windows, lambda done, total: report("follow the loss back", done, total), visit)
    return scores


def largest(scores: Tensor, count: int) -> Tensor:
    """The places of the `count` largest scores, ascending; of equal ones the earlier stay."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def _weighted(layer: nn.Module, norms: Tensor) -> Tensor:
    """The sums of squares of a weight's columns, each times the norm [inputs] of its input."""
    return (weight_of(layer).cpu() * norms).double().pow(2).sum(0)


def _norms(squares: Tensor, size: int) -> Tensor:
    """The norm of each run of `size` columns from the sums of squares of every column."""
    return squares.view(-1, size).sum(1).sqrt().cpu()


def _of_blocks(squares: list[Tensor]) -> Tensor:
    """The norm [blocks] over each block's two writers, from the sums of squares of all writers in order."""
    return torch.stack(squares).view(-1, 2).sum(1).sqrt().cpu()


def _adding(total: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        total.add_(args[0].flatten(0, -2).double().pow(2).sum(0).cpu())

    return hook
