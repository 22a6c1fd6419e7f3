"""Claims held to results: what the numbers say decides, and nothing is said where nothing was measured."""

from dataclasses import replace
from typing import Any

import pytest

from engine.analysis import claims
from engine.analysis.claims import CLAIMS, SHAPES, Finding, Verdict
from engine.outcome.row import Row
from engine.recorded import recorded
from engine.spec import parse
from tests.made_rows import row

DENSE = row("dense", "d", metrics={
    "weight_bytes": 300e6, "embedding_bytes": 60e6, "parameters": 100e6, "nonzero_parameters": 100e6,
    "perplexity": 20.0, "accuracy": 0.5, "accuracy_low": 0.45, "accuracy_chance": 0.3
})  # fmt: skip
ZEROS, FOUR_TIMES, FREE, FASTER, SLICED, LAYERS, DISTILBERT, TEN = range(8)


def finding(place: int, *rows: Row) -> Finding:
    return claims.tested([DENSE, *rows], DENSE)[place].finding


def result(recipe: str, **metrics: float) -> Row:
    return row(recipe, "a", metrics={"weight_bytes": 100e6, **metrics})


def test_nothing_measured_is_said_so_of_all_but_what_a_paper_settles() -> None:
    found = [one.finding.verdict for one in claims.tested([DENSE], DENSE)]
    assert found == [*["not measured"] * 6, "does not hold", "not measured"]


@pytest.mark.parametrize(
    ("place", "made", "verdict"),
    [
        (ZEROS, {"weight_bytes": 300e6, "parameters": 100e6, "nonzero_parameters": 60e6}, "does not hold"),
        (ZEROS, {"weight_bytes": 150e6, "parameters": 100e6, "nonzero_parameters": 60e6}, "holds"),
        (FOUR_TIMES, {"weight_bytes": 120e6}, "does not hold"),
        (FOUR_TIMES, {"weight_bytes": 77e6}, "holds"),
        (FREE, {"top1_agreement": 0.95}, "holds"),
        (FREE, {"top1_agreement": 0.7}, "holds in part"),
        (FREE, {"top1_agreement": 0.3}, "does not hold"),
        (FASTER, {"decode_speedup": 1.5, "prefill_speedup": 1.2}, "holds"),
        (FASTER, {"decode_speedup": 1.5, "prefill_speedup": 0.7}, "holds in part"),
        (FASTER, {"decode_speedup": 1.0, "prefill_speedup": 0.7}, "does not hold"),
        (SLICED, {"parameters": 80e6, "nonzero_parameters": 80e6}, "does not hold"),
        (SLICED, {"parameters": 100e6, "nonzero_parameters": 80e6}, "holds"),
        (LAYERS, {"top1_agreement": 0.95}, "holds"),
        (LAYERS, {"top1_agreement": 0.6}, "does not hold"),
        (TEN, {"weight_bytes": 100e6}, "does not hold"),
        (TEN, {"weight_bytes": 60e6}, "holds in part"),
        (TEN, {"weight_bytes": 30e6}, "holds"),
    ],
)
def test_the_numbers_decide(place: int, made: dict[str, Any], verdict: Verdict) -> None:
    recipes = (
        "prune:magnitude,sparsity=0.5", "quantize:rtn,bits=4", "quantize:rtn,bits=4", "quantize:rtn,bits=8",
        "slice:slicegpt,fraction=0.2", "prune:layers,count=6", "", "quantize:rtn,bits=2"
    )  # fmt: skip
    assert finding(place, result(recipes[place], **made)).verdict == verdict


def test_simulated_results_have_no_speed_and_flattered_ones_say_nothing() -> None:
    fast = result("quantize:rtn,bits=3", decode_speedup=2.0, prefill_speedup=2.0)
    assert finding(FASTER, replace(fast, simulated=True)).verdict == "not measured"
    assert finding(FREE, result("quantize:rtn,bits=4,group_size=32,symmetric=false", top1_agreement=1.0)) == finding(
        FREE
    )


def test_what_was_lost_is_named_even_where_the_original_guesses() -> None:
    lost = result("prune:layers,count=6", top1_agreement=0.6, accuracy_change=-0.05, accuracy_change_low=-0.08,
                  accuracy_change_high=-0.02)  # fmt: skip
    assert "Accuracy −5.0 ± 3.0 points." in finding(LAYERS, lost).measured
    guessing = replace(DENSE, metrics={**DENSE.metrics, "accuracy_low": 0.2})
    assert "Accuracy −5.0 ± 3.0 points." in claims.tested([guessing, lost], guessing)[LAYERS].finding.measured


def test_the_recorded_results_settle_every_claim() -> None:
    rows = recorded()
    dense = next(one for one in rows if one.recipe == "dense")
    found = {claim.said: said for claim, said in claims.tested(rows, dense)}
    assert all(said.verdict != "not measured" for said in found.values())
    assert found[CLAIMS[ZEROS].said].measured.startswith("50% zeros by magnitude: 176 MB, was 269 MB.")
    assert "21% of the original" in found[CLAIMS[FOUR_TIMES].said].measured
    assert "none of them zero" in found[CLAIMS[SLICED].said].measured


def test_every_claim_can_be_measured_and_every_verdict_has_a_shape_of_its_own() -> None:
    assert all(parse(text).steps for claim in CLAIMS for text in claim.recipes)
    assert len(set(SHAPES.values())) == len(SHAPES) == 4
