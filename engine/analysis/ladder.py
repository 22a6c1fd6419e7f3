"""The ladder from the original to ten times smaller: the best measured result at each size, and what none reaches.

A rung is a result that no smaller one matches; below the last of them stand the goals, sizes that nothing measured
reaches. Sizes are file sizes, so simulated results stand on it, marked; flattered ones never do.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine import quantities
from engine.analysis import words
from engine.analysis.front import find_front, flattered, is_dense, telling_score
from engine.outcome.row import Row
from engine.spec import Recipe, parse

GOALS = (2.0, 3.0, 4.0, 5.0, 10.0)  # times smaller than bf16
FP32 = 2.0  # a number in fp32 takes as many times the bytes of one in bf16
MOST = 9  # rungs
PROPOSED = 3  # recipes towards a goal
CLOSE, BROKEN = 0.9, 0.5  # of the next words stay the original's: from here on close, below that broken
BF16_BITS, SCALE_BITS = 16, 16

Standing = Literal["original", "close", "changed", "broken", "not known"]

# Towards a goal, from the mildest to the harshest; {all} stands for every matrix that the model has.
_PROPOSALS = (
    "quantize:rtn,bits=8,targets={all}",
    "quantize:rtn,bits=4",
    "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4",
    "quantize:rtn,bits=4,targets={all}",
    "quantize:rtn,bits=4,targets={all} | quantize:rtn,bits=3",
    "quantize:rtn,bits=3,targets={all}",
    "slice:slicegpt,fraction=0.3 | quantize:rtn,bits=4,group_size=-1,targets={all}",
    "quantize:rtn,bits=3,group_size=-1,targets={all}",
    "quantize:rtn,bits=2,targets={all}",
    "slice:slicegpt,fraction=0.3 | quantize:rtn,bits=2,group_size=-1,targets={all}",
    "slice:slicegpt,fraction=0.4 | quantize:rtn,bits=2,group_size=-1,targets={all}",
)


@dataclass(frozen=True)
class Rung:
    """A measured result on the ladder.

    ratio: times smaller than the original in bf16; name: what tells it from all others of its comparison.
    """

    row: Row
    ratio: float
    standing: Standing
    name: str


@dataclass(frozen=True)
class Goal:
    """A size that nothing measured reaches."""

    ratio: float  # times smaller than the original in bf16
    bytes: float

    @property
    def bits_per_weight(self) -> float:
        """What every weight may take, all told."""
        return BF16_BITS / self.ratio


@dataclass(frozen=True)
class Proposal:
    """A recipe that nobody has measured here, and about how many bytes its file would take."""

    recipe: Recipe
    bytes: float


def rungs(rows: Sequence[Row], comparison: str) -> list[Rung]:
    """The original, then the front of size and quality downwards, at most `MOST` rungs; empty without an original.

    The quality is how often the next word stays the original's, or accuracy where that was not measured. Of more rungs,
    those stay that lie nearest to equal ratios.
    """
    mine = [row for row in rows if row.comparison_id == comparison and not flattered(row)]
    dense = next((row for row in mine if is_dense(row) and row.value("weight_bytes")), None)
    if dense is None:
        return []
    known = any(row.value("top1_agreement") is not None for row in mine if not is_dense(row))
    found = find_front(mine, "weight_bytes", "top1_agreement" if known else telling_score(dense), comparison)
    whole = dense.value("weight_bytes") or math.inf
    below = [row for row in reversed(found.best) if (row.value("weight_bytes") or math.inf) < whole]
    names = words.distinct_labels(mine)
    return [
        Rung(row, whole / (row.value("weight_bytes") or whole), standing(row), names[row.trial_id])
        for row in _spread([dense, *below])
    ]


def standing(row: Row) -> Standing:
    """What is left of the original, by how often the next word stays its own."""
    if is_dense(row):
        return "original"
    share = row.value("top1_agreement")
    if share is None:
        return "not known"
    return "close" if share >= CLOSE else "changed" if share >= BROKEN else "broken"


def goals(ladder: Sequence[Rung]) -> list[Goal]:
    """The sizes below the smallest rung."""
    whole, reached = ladder[0].row.value("weight_bytes") or 0.0, ladder[-1].ratio
    return [Goal(ratio, whole / ratio) for ratio in GOALS if ratio > reached]


def last_whole(ladder: Sequence[Rung]) -> Rung:
    """The smallest rung above the first broken one."""
    first = next((place for place, rung in enumerate(ladder) if rung.standing == "broken"), len(ladder))
    return ladder[max(0, first - 1)]


def proposals(goal: Goal, rows: Sequence[Row], dense: Row) -> list[Proposal]:
    """The mildest recipes whose files would be as small as a goal, those left out that were measured or have failed."""
    every = "linears+embedding+head" if dense.value("head_bytes") else "linears+embedding"
    known = {parse(row.recipe) for row in rows}
    recipes = [parse(text.format(all=every)) for text in _PROPOSALS]
    found = [Proposal(recipe, about_bytes(recipe, dense)) for recipe in recipes if recipe not in known]
    return [one for one in found if one.bytes <= goal.bytes][:PROPOSED]


def about_bytes(recipe: Recipe, dense: Row) -> float:
    """About how many bytes the file of slices and quantizers of every layer takes, from the original's parts.

    Every matrix has the stream on one side, so a slice takes its share of each. Zero points, the scales of whole
    channels and what keeps a sliced head tied are left out: under a hundredth of the original.
    """
    parts = {part: dense.value(f"{part}_bytes") or 0.0 for part in ("linears", "embedding", "head")}
    rest = (dense.value("weight_bytes") or 0.0) - sum(parts.values())
    bits, kept = dict.fromkeys(parts, float(BF16_BITS)), 1.0
    for step in recipe.steps:
        if step.family == "slice":
            kept *= 1 - getattr(step, "fraction", 0.0)
        group = getattr(step, "group_size", 0)
        for target in getattr(step, "targets", ()):
            scale = getattr(step, "scale_bits", SCALE_BITS) / group if group > 0 else 0.0
            bits[target] = getattr(step, "bits", BF16_BITS) + scale
    return kept * (rest + sum(size * bits[part] / BF16_BITS for part, size in parts.items()))


def step_down(above: Rung, rung: Rung) -> str:
    """ "Against the step above: 13.3 MB less; the next word stays the original's 40% of the time instead of 67%." """
    less = (above.row.value("weight_bytes") or 0.0) - (rung.row.value("weight_bytes") or 0.0)
    said = f"Against the step above: {quantities.byte_count(less)} less"
    now, before = rung.row.value("top1_agreement"), above.row.value("top1_agreement")
    if now is None:
        return f"{said}."
    was = 100 * (1.0 if is_dense(above.row) else before or 0.0)
    return f"{said}; the next word stays the original's {100 * now:.0f}% of the time instead of {was:.0f}%."


def summary(ladder: Sequence[Rung], left: Sequence[Goal]) -> str:
    """The answer in two or three sentences: how far the model holds, how far anything goes, what ten times would be."""
    whole, last = last_whole(ladder), ladder[-1]
    said = []
    if len(ladder) > 1:
        said.append(f"Most next words stay the original's down to {whole.name}, {_ratios(whole)}.")
    if last is not whole:
        name = f"{last.name}{' (simulated)' if last.row.simulated else ''}"
        said.append(f"The smallest measured, {name}, is {quantities.times(last.ratio)} and broken.")
    if left:
        said.append(f"Nothing measured is {left[-1].ratio:g} times smaller, {quantities.byte_count(left[-1].bytes)}.")
    return " ".join(said)


def _ratios(rung: Rung) -> str:
    """ "2.4x smaller than bf16 and 4.8x than fp32" ."""
    return f"{quantities.times(rung.ratio)} smaller than bf16 and {quantities.times(FP32 * rung.ratio)} than fp32"


def _spread(rows: Sequence[Row]) -> list[Row]:
    """Of rows that get smaller at most `MOST`: the first, the last, and those nearest to equal ratios between them."""
    if len(rows) <= MOST:
        return list(rows)
    logs = np.log([row.value("weight_bytes") or 1.0 for row in rows])
    wanted = np.linspace(logs[0], logs[-1], MOST)
    places = np.unique(np.abs(np.subtract.outer(logs, wanted)).argmin(axis=0))
    return [rows[place] for place in places]
