"""Mixed precision: bits by block within a byte budget, for the least loss that single blocks' sensitivities predict.

The loss of a mixture is predicted as the sum of what each block costs alone. Choosing a width for each block, of least
sum within the bytes, is a multiple-choice knapsack, solved exactly by dynamic programming: a solver of integer programs
leaves a gap of a millionth of the largest loss, which at many bits is as much as all that is lost.
Source of the problem: HAWQ-V3, Yao et al. 2020, arXiv:2011.10680, section 3.4; its objective is of second order, this
one is measured.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from engine import quantities
from engine.errors import InputError
from engine.outcome.sensitivity import Sensitivity
from engine.spec.quantize import Rtn
from engine.spec.recipe import Recipe

WHOLE = 16  # bits of a block that is left as it is


@dataclass(frozen=True)
class Mixture:
    """Bits for each block, 16 where it is left as it is, and what they come to.

    weight_bytes: of the whole model; loss: predicted, KL to the dense model in nats a token.
    """

    bits: tuple[int, ...]
    weight_bytes: int
    loss: float


class Option(NamedTuple):
    """A width for a block: what its linears then take, and what that alone costs."""

    bits: int
    bytes: int
    loss: float


def mixture(found: Sensitivity, bits: Sequence[int]) -> Mixture | None:
    """What bits for each block come to; None where one of them was not measured, or its numbers overflowed."""
    chosen = [next(iter(options(found, block, [width])), None) for block, width in enumerate(bits)]
    known = [option for option in chosen if option is not None]
    if len(known) < found.blocks:
        return None
    weight_bytes = found.other_bytes + sum(option.bytes for option in known)
    return Mixture(tuple(bits), weight_bytes, sum(option.loss for option in known))


def options(found: Sensitivity, block: int, widths: Collection[int]) -> list[Option]:
    """The widths that a block may have, of those given."""
    whole = [Option(WHOLE, found.dense_bytes[block], 0.0)] if WHOLE in widths else []
    measured = [
        Option(bits, way.block_bytes[block], loss)
        for bits, way in found.bits.items()
        if bits in widths and (loss := way.loss[block]) is not None
    ]
    return whole + measured


def propose(
    found: Sensitivity, budget_bytes: float, widths: Collection[int], protected: Collection[int] = ()
) -> Mixture:
    """The mixture of least predicted loss whose model takes at most the budget; protected blocks are left as they are.

    Raises InputError where no mixture of these widths is as small, and as `ends` does.
    """
    least, most = ends(found, widths, protected)
    if not least <= budget_bytes:
        named, budget, smallest = "/".join(map(str, sorted(widths))), *map(quantities.byte_count, (budget_bytes, least))
        raise InputError(f"no mixture of {named} bits takes at most {budget}; the smallest takes {smallest}")
    chosen = _solve(_table(found, widths, protected), int(min(budget_bytes, most)) - found.other_bytes)
    made = mixture(found, [option.bits for option in chosen])
    assert made is not None
    return made


def ends(found: Sensitivity, widths: Collection[int], protected: Collection[int] = ()) -> tuple[int, int]:
    """The bytes of the smallest and the largest mixture of these widths, protected blocks left as they are.

    Raises InputError for no widths, for those that were not measured, or overflowed in a block, and for blocks that
    there are not.
    """
    if not widths:
        raise InputError(f"no widths are given; there are {', '.join(map(str, (WHOLE, *found.bits)))}")
    if odd := set(widths) - {WHOLE, *found.bits}:
        raise InputError(f"{min(odd)} bits were not measured; there are {', '.join(map(str, (WHOLE, *found.bits)))}")
    if odd := set(protected) - set(range(found.blocks)):
        raise InputError(f"layers are numbered from 0 to {found.blocks - 1} in this model, got {max(odd)}")
    sizes = [[option.bytes for option in row] for row in _table(found, widths, protected)]
    if not all(sizes):
        raise InputError(f"the numbers of layer {sizes.index([])} overflow at each of these widths; choose another too")
    return found.other_bytes + sum(map(min, sizes)), found.other_bytes + sum(map(max, sizes))


def uniform(found: Sensitivity, bits: int) -> Mixture | None:
    """All blocks at the same bits; None where that was not measured."""
    return mixture(found, [bits] * found.blocks)


def budget_of(found: Sensitivity, bits: float) -> float:
    """The bytes of the model at these bits a weight in every block, between those measured in proportion."""
    sizes = sorted((width, found.other_bytes + sum(way.block_bytes)) for width, way in found.bits.items())
    sizes.append((WHOLE, found.other_bytes + sum(found.dense_bytes)))
    if not sizes[0][0] <= bits <= WHOLE:
        raise InputError(f"bits must be in [{sizes[0][0]}, {WHOLE}], got {bits:g}")
    return _between(sizes, bits)


def recipe_of(found: Sensitivity, mixed: Mixture) -> Recipe:
    """The recipe of a mixture, in as few steps as it has widths; the step of most blocks comes last and names none.

    Where blocks are left as they are, every step names its own.
    """
    counts = Counter(bits for bits in mixed.bits if bits != WHOLE)
    order = sorted(counts, key=lambda bits: (counts[bits], bits))
    named = order if WHOLE in mixed.bits else order[:-1]
    steps = [
        Rtn(bits, found.group_size, blocks=tuple(b for b, own in enumerate(mixed.bits) if own == bits))
        for bits in named
    ]
    return Recipe((*steps, *(Rtn(bits, found.group_size) for bits in order[len(named) :])))


def predict(found: Sensitivity, recipe: Recipe) -> Mixture | None:
    """What a recipe comes to; None unless it only rounds each block to nearest, at most once, as was measured."""
    bits = [WHOLE] * found.blocks
    for place in range(len(recipe.steps)):
        step = recipe.step_on(place, found.blocks)
        if not isinstance(step, Rtn) or step != Rtn(step.bits, found.group_size, blocks=step.blocks):
            return None
        for block in range(found.blocks) if step.blocks is None else step.blocks:
            if block >= found.blocks or bits[block] != WHOLE:
                return None
            bits[block] = step.bits
    return mixture(found, bits)


def _table(found: Sensitivity, widths: Collection[int], protected: Collection[int]) -> list[list[Option]]:
    """The options of each block."""
    return [options(found, block, [WHOLE] if block in protected else widths) for block in range(found.blocks)]


def _between(points: Sequence[tuple[int, int]], at: float) -> float:
    """The height at a place of the line through ascending points, which it lies among."""
    (left, low), (right, high) = next(pair for pair in pairwise(points) if at <= pair[1][0])
    return low + (high - low) * (at - left) / (right - left)


def _solve(table: Sequence[Sequence[Option]], room: int) -> list[Option]:
    """One option of each row, of least summed loss within `room` bytes; some choice is known to fit.

    Row by row, of all sums that options come to, those stay that no other beats in both bytes and loss. Blocks have few
    sizes, so that many sums take the same bytes, and few stay.
    """
    import numpy as np

    taken, loss = np.zeros(1, dtype=np.int64), np.zeros(1)  # of the sums that stay, ascending and descending
    chosen: list[Any] = []  # by row: of each sum that stays, the place of the one before it and of the option
    for row in table:
        all_taken = np.add.outer(taken, [option.bytes for option in row]).ravel()
        all_loss = np.add.outer(loss, [option.loss for option in row]).ravel()
        order = np.lexsort((all_loss, all_taken))
        order = order[all_taken[order] <= room]
        least = np.minimum.accumulate(all_loss[order])
        stay = order[np.concatenate([[True], least[1:] < least[:-1]])]
        taken, loss = all_taken[stay], all_loss[stay]
        chosen.append(np.divmod(stay, len(row)))
    made, place = [], len(taken) - 1
    for row, (before, option) in zip(reversed(table), reversed(chosen), strict=True):
        made.append(row[option[place]])
        place = before[place]
    return made[::-1]
