"""Mixed precision: the best mixture, against every other, and its recipe."""

import json
from itertools import product

import numpy as np
import pytest

from engine.analysis.mixed import WHOLE, mixture, options, predict, propose, recipe_of
from engine.errors import InputError
from engine.outcome.sensitivity import Sensitivity, Way
from engine.spec import parse
from tests.made_sensitivity import made

WIDTHS = (2, 4, 8, WHOLE)


@pytest.mark.parametrize("seed", range(6))
def test_no_other_mixture_within_the_budget_is_predicted_to_lose_less(seed: int) -> None:
    found = made(seed)
    every = [one for bits in product(WIDTHS, repeat=4) if (one := mixture(found, bits))]
    for budget in (every[len(every) // 3].weight_bytes, max(one.weight_bytes for one in every) // 2):
        best = min((one for one in every if one.weight_bytes <= budget), key=lambda one: one.loss)
        chosen = propose(found, budget, WIDTHS)
        assert chosen.weight_bytes <= budget
        assert chosen.loss == pytest.approx(best.loss, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_a_large_loss_at_two_bits_hides_no_small_ones_at_eight(seed: int) -> None:
    """Of losses that fall by four with each bit, those that decide a large budget are millionths of the largest."""
    random, widths = np.random.default_rng(seed), (2, 3, 4, 5, 6, 8, WHOLE)
    sizes, harm = random.integers(1, 6, 30) * 16, 10.0 ** random.uniform(-2, 0.5, 30)
    losses = {bits: harm * random.uniform(0.7, 1.3, 30) * 4.0 ** (2 - bits) for bits in widths[:-1]}
    ways = tuple(Way("bits", bits, tuple(loss), tuple(sizes * (bits + 1))) for bits, loss in losses.items())
    found = Sensitivity(ways, tuple(sizes * 16), 0, 32, 4, 16, 32)
    least = np.zeros(sum(found.dense_bytes) + 1)  # by bytes that the blocks so far may take
    for block in range(30):
        before, least = least, np.full_like(least, np.inf)
        for _, taken, loss in options(found, block, widths):
            least[taken:] = np.minimum(least[taken:], before[: len(before) - taken] + loss)
    for share in (0.5, 0.7, 0.9, 0.97):
        budget = int(share * sum(found.dense_bytes))
        assert propose(found, budget, widths).loss == pytest.approx(least[budget], rel=1e-9)


def test_a_protected_block_is_left_as_it_is_and_the_others_make_up_for_its_bytes() -> None:
    found = made(0)
    free = propose(found, 12_000, (2, 4, 8))
    kept = propose(found, 12_000, (2, 4, 8), protected=[1])
    assert (kept.bits[1], WHOLE in free.bits) == (WHOLE, False)
    assert kept.weight_bytes <= 12_000


def test_a_budget_below_every_mixture_is_refused_with_the_smallest() -> None:
    found = made(0)
    least = found.other_bytes + sum(min(way.block_bytes[b] for way in found.bits.values()) for b in range(3))
    with pytest.raises(InputError, match=r"no mixture of 2/4 bits takes at most .* kB; the smallest takes .* kB"):
        propose(found, least, (2, 4))
    with pytest.raises(InputError, match="5 bits were not measured; there are 16, 8, 4, 3, 2"):
        propose(found, 1e6, (4, 5))
    with pytest.raises(InputError, match="no widths are given; there are 16, 8, 4, 3, 2"):
        propose(found, 1e6, ())
    with pytest.raises(InputError, match="numbered from 0 to 3 in this model, got 4"):
        propose(found, 1e6, (4,), protected=[4])


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ((4, 4, 4, 4), "quantize:rtn,bits=4,group_size=32"),
        (
            (2, 4, 4, 8),
            "quantize:rtn,bits=2,group_size=32,blocks=0 | quantize:rtn,bits=8,group_size=32,blocks=3 | "
            "quantize:rtn,bits=4,group_size=32",
        ),
        (
            (4, WHOLE, 8, 4),
            "quantize:rtn,bits=8,group_size=32,blocks=2 | quantize:rtn,bits=4,group_size=32,blocks=0+3",
        ),
        ((WHOLE,) * 4, "dense"),
    ],
)
def test_a_mixture_is_a_recipe_of_as_few_steps_as_it_has_widths(bits: tuple[int, ...], text: str) -> None:
    found = made(1)
    found = Sensitivity.from_dict(json.loads(json.dumps(found.to_dict())))
    mixed = mixture(found, bits)
    assert mixed is not None
    assert recipe_of(found, mixed) == parse(text)


@pytest.mark.parametrize(
    "recipe",
    [
        "quantize:rtn,bits=5,group_size=32",
        "quantize:rtn,bits=4,group_size=64",
        "quantize:rtn,bits=4,group_size=32,symmetric=false",
        "quantize:hqq,bits=4,group_size=32",
        "quantize:rtn,bits=4,group_size=32,blocks=4",
        "quantize:rtn,bits=8,group_size=32 | quantize:rtn,bits=4,group_size=32",
        "quantize:rtn,bits=2,group_size=32",
    ],
)
def test_nothing_is_predicted_of_what_was_not_measured(recipe: str) -> None:
    assert predict(made(1), parse(recipe)) is None


def test_a_recipe_is_predicted_by_the_sum_of_its_blocks() -> None:
    found = made(2)
    mixed = mixture(found, (8, 2, 4, 4))
    assert mixed is not None
    assert predict(found, recipe_of(found, mixed)) == mixed
    assert mixed.loss == pytest.approx(sum(found.bits[b].loss[place] for place, b in enumerate(mixed.bits)))
    assert mixed.weight_bytes == 1000 + sum(found.bits[b].block_bytes[place] for place, b in enumerate(mixed.bits))
