"""On the default model the better rule leaves the lower perplexity, on text that calibration never saw."""

import copy
from collections.abc import Callable
from functools import lru_cache

import pytest

from engine import models
from engine.calibration import calibration_windows, perplexity_windows
from engine.checkpoints import fp32
from engine.measure import perplexity
from engine.methods import compress
from engine.network import sources
from engine.spec import DEFAULT_MODEL, Protocol, parse

pytestmark = [pytest.mark.fetched, pytest.mark.timeout(900)]
FEW, SOME = 4, 8  # windows of calibration; SparseGPT's statistics of 1,536 inputs need the more
HELD_OUT = 4

PerplexityOf = Callable[[str, int], float]


@pytest.fixture(scope="module")
def perplexity_of() -> PerplexityOf:
    """Perplexity of the default model under (recipe, windows of calibration), each measured once."""
    model = models.load(sources.resolve(DEFAULT_MODEL))
    heldout = perplexity_windows(model.tokenizer, Protocol(perplexity_windows=HELD_OUT), None)

    @lru_cache
    def measure(recipe: str, windows: int) -> float:
        changed = copy.deepcopy(model)
        calibration = calibration_windows(model.tokenizer, Protocol(calibration_windows=windows))
        compress(changed, parse(recipe), calibration, lambda *_: None)
        return perplexity.metrics(perplexity.read(fp32.dequantized(changed), heldout))["perplexity"]

    return measure


@pytest.mark.parametrize("method", ["gptq", "awq"])
@pytest.mark.parametrize("bits", [4, 3])
def test_looking_at_inputs_beats_rounding_to_nearest(perplexity_of: PerplexityOf, bits: int, method: str) -> None:
    assert perplexity_of(f"quantize:{method},bits={bits}", FEW) <= perplexity_of(f"quantize:rtn,bits={bits}", FEW)


def test_at_half_zeros_sparsegpt_and_wanda_stay_below_magnitude(perplexity_of: PerplexityOf) -> None:
    sparsegpt, wanda, magnitude = (
        perplexity_of(f"prune:{method},sparsity=0.5", SOME) for method in ("sparsegpt", "wanda", "magnitude")
    )
    assert sparsegpt <= 1.02 * wanda
    assert max(sparsegpt, wanda) < magnitude
