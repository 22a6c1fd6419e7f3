"""Width pruning of the attention: remove the heads that count least, equally many from every block.

Query heads share key and value heads in groups, and a standard configuration has groups of one size. So either whole
groups go, with their key and value head, or equally many query heads from every group.
"""

import torch
from torch import Tensor

from engine.layers.cut import off_their_grid, runs
from engine.methods import Report
from engine.methods.importance import largest, unit_scores
from engine.methods.rounds import steps_down
from engine.models import LanguageModel
from engine.spec.fit import refuse_heads
from engine.spec.prune import IMPORTANCE, Heads


def compress(model: LanguageModel, settings: Heads, windows: Tensor | None, report: Report) -> None:
    """Leave in every block the heads that count most, in their order, as many as `settings.left` says.

    A query head is `head_dim` rows of the query linear and as many columns of the output linear; a group is scored as
    one unit. windows: calibration tokens [windows, tokens], which magnitude does not read. Changes `model` in place;
    same windows, same result. Raises InputError, before any tensor is changed, where the nearest whole unit is none or
    leaves none.
    Source: Michel et al. 2019, arXiv:1905.10650, section 4; Muralidharan et al. 2024, arXiv:2407.14679, section 2.2.
    """
    anatomy = model.anatomy
    first = anatomy.blocks[0]
    before, group, head_dim = first.heads, first.queries_per_key, first.head_dim
    kv_before = before // group
    refuse_heads(settings, before, kv_before)
    target, kv_target = settings.left(before, kv_before)
    if target == before:
        return
    whole = settings.unit == "groups"
    units, units_left = (kv_before, kv_target) if whole else (group, target // kv_before)
    with off_their_grid(model.network, model.notes):
        for left in steps_down(units, units_left, settings.rounds):
            size = head_dim * group if whole else head_dim
            scores = unit_scores(model, anatomy.layout.attention_out, size, settings.importance, windows, report)
            kept = [
                whole_groups(score, left, group) if whole else of_every_group(score, left, kv_before)
                for score in scores
            ]
            anatomy.keep_heads([queries for queries, _ in kept], [keys for _, keys in kept])
    model.notes.append(
        f"Removed {before - target} of {before} query heads and {kv_before - kv_target} of {kv_before} key and value "
        f"heads of every block, chosen {IMPORTANCE[settings.importance]}."
    )


def whole_groups(scores: Tensor, count: int, group: int) -> tuple[Tensor, Tensor]:
    """(query heads, key and value heads) of the `count` groups with the highest of `scores` [groups], ascending."""
    kept = largest(scores, count)
    return runs(kept, group), kept


def of_every_group(scores: Tensor, count: int, kv_heads: int) -> tuple[Tensor, Tensor]:
    """(the `count` query heads of every group with the highest of `scores` [heads], all key and value heads)."""
    groups = scores.view(kv_heads, -1)
    kept = [largest(each, count) + place * groups.shape[1] for place, each in enumerate(groups)]
    return torch.cat(kept), torch.arange(kv_heads)
