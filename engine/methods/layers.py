"""Depth pruning: remove the whole blocks that count least, as far as they turn their input or by another rule."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.calibration import walk
from engine.methods import Report
from engine.methods.importance import block_scores, largest
from engine.methods.rounds import steps_down
from engine.models import LanguageModel
from engine.spec.fit import refuse_count
from engine.spec.prune import ANGLE, IMPORTANCE, Layers
from engine.spec.recipe import in_ranges


def compress(model: LanguageModel, settings: Layers, windows: Tensor | None, report: Report) -> None:
    """Remove the `count` blocks that count least, measured anew on the model that each round begins with.

    windows: calibration tokens [windows, tokens], which magnitude does not read. Changes `model` in place; same
    windows, same result; of equal scores the later block goes. Raises InputError unless at least one block stays.
    Source: Men et al. 2024, arXiv:2403.03853; angular distance as in Gromov et al. 2024, arXiv:2403.17887; blocks by
    magnitude and by first-order Taylor: Kim et al. 2024, arXiv:2402.02834, here as in `engine.methods.importance`.
    """
    blocks = model.anatomy.blocks
    refuse_count(settings, len(blocks))
    if settings.count == 0:
        return
    stayed = list(range(len(blocks)))  # by their places in the model as it came
    for left in steps_down(len(blocks), len(blocks) - settings.count, settings.rounds):
        kept = largest(scores_of(model, settings.importance, windows, report), left).tolist()
        keep_blocks(model, kept)
        stayed = [stayed[i] for i in kept]
    gone = in_ranges(tuple(i for i in range(len(blocks)) if i not in stayed))
    turned = settings.importance == ANGLE
    by = (
        "whose outputs differ least in angle from their inputs"
        if turned
        else f"chosen {IMPORTANCE[settings.importance]}"
    )
    model.notes.append(f"Removed layers {gone} of 0 to {len(blocks) - 1}, {by}.")


def scores_of(model: LanguageModel, rule: str, windows: Tensor | None, report: Report) -> Tensor:
    """How much each block counts, fp64 [blocks]; rule: angle or one of `IMPORTANCE`."""
    if rule != ANGLE:
        return block_scores(model, rule, windows, report)
    if windows is None:
        raise ValueError("prune:layers needs calibration windows")
    return torch.tensor(block_influence(model, windows, report), dtype=torch.float64)


def keep_blocks(model: LanguageModel, kept: list[int]) -> None:
    """Leave only the blocks at the places `kept`, ascending, and what the configuration says of each."""
    anatomy, config = model.anatomy, model.network.config
    blocks = anatomy.blocks
    anatomy.set_blocks([blocks[i].module for i in kept])
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [config.layer_types[i] for i in kept]
    if getattr(config, "max_window_layers", None) is not None:  # the blocks from this one on may use a sliding window
        config.max_window_layers = sum(i < config.max_window_layers for i in kept)


def block_influence(model: LanguageModel, windows: Tensor, report: Report) -> list[float]:
    """Mean angular distance between each block's input and output over all tokens, in [0, 1]."""
    sums = torch.zeros(len(model.anatomy.blocks), dtype=torch.float64)

    def visit(block: int, before: Tensor, after: Tensor) -> None:
        sums[block] += angular_distance(before, after).sum(dtype=torch.float64).cpu()

    walk(
        model.anatomy,
        windows,
        lambda done, total: report("measure each block's influence", done, total),
        on_block=visit,
    )
    return (sums / windows.numel()).tolist()


def angular_distance(a: Tensor, b: Tensor) -> Tensor:
    """arccos of the cosine over pi, for each pair of rows of [tokens, width]: 0 the same direction, 1 opposite."""
    cosine = functional.cosine_similarity(a.double(), b.double(), dim=-1).clamp(-1, 1)
    return cosine.arccos() / math.pi
