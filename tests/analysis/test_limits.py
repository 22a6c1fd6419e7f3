"""The smallest result within limits: by the cautious end, explained, with what to loosen."""

from dataclasses import replace

import pytest

from engine.analysis.limits import Limit, cautious, explain, smallest_within
from tests.made_rows import row, sweep

ROWS = sweep()[0]
DENSE, EIGHT, FOUR, TWO, ZEROS, LAYERS, SLICED, BOTH = ROWS
METRICS = ("weight_bytes", "top1_agreement", "decode_speedup", "peak_memory_bytes")


def within(points: float) -> Limit:
    return Limit("accuracy_change", -points / 100)


def test_a_loss_is_held_against_the_lower_end_of_the_paired_interval() -> None:
    """4 bits lose 4.0 points, and could lose 7.1."""
    assert cautious(FOUR, "accuracy_change") == FOUR.value("accuracy_change_low")
    assert smallest_within(ROWS, [within(5)]).row is EIGHT
    assert smallest_within(ROWS, [within(7.5)]).row is FOUR


def test_a_metric_where_less_is_better_is_held_against_its_upper_end() -> None:
    one = row(metrics={"weight_bytes": 1.0, "perplexity": 20.0, "perplexity_high": 24.0})
    assert cautious(one, "perplexity") == 24
    assert smallest_within([one], [Limit("perplexity", 23.0)]).row is None
    assert smallest_within([one], [Limit("perplexity", 24.0)]).row is one


def test_without_limits_the_smallest_real_result_is_picked() -> None:
    found = smallest_within(ROWS, [])
    assert (found.row, found.next_smaller, found.broken) == (BOTH, TWO, ())
    assert explain(found).endswith("the next smaller, 2-bit (86.1 MB), is simulated: no kernel here runs it.")


def test_the_pick_says_why_the_next_smaller_one_fails() -> None:
    found = smallest_within(ROWS, [within(7.5), Limit("weight_bytes", 200e6)])
    assert explain(found) == (
        "4-bit (113 MB) is the smallest result within 7.5 points of the original at 95% confidence and of at most "
        "200 MB; the next smaller, 10% of the width sliced + 4-bit (102 MB), could be 10.7 points worse."
    )


def test_a_bound_that_is_met_exactly_is_kept() -> None:
    bytes_of_four = FOUR.value("weight_bytes") or 0.0
    assert smallest_within([DENSE, FOUR], [Limit("weight_bytes", bytes_of_four)]).row is FOUR
    edge = replace(FOUR, metrics={**FOUR.metrics, "accuracy_change_low": 0.43 - 0.5})
    assert smallest_within([DENSE, edge], [within(7)]).row is edge


def test_no_pick_names_each_limit_that_is_enough_to_loosen() -> None:
    found = smallest_within(ROWS, [within(2), Limit("weight_bytes", 120e6)])
    assert found.row is None
    assert [(step.limit.metric, step.row) for step in found.loosened] == [
        ("accuracy_change", FOUR),
        ("weight_bytes", EIGHT),
    ]
    assert explain(found) == (
        "There is no result within 2 points of the original at 95% confidence and of at most 120 MB: loosen the loss "
        "to 7 points, for 4-bit (113 MB) or the size to 167 MB, for 8-bit (167 MB)."
    )
    for step in found.loosened:
        others = [limit for limit in found.limits if limit.metric != step.limit.metric]
        assert smallest_within(ROWS, [*others, step.limit]).row is not None


def test_where_no_single_limit_is_enough_the_closest_result_is_named() -> None:
    found = smallest_within(ROWS, [within(1), Limit("weight_bytes", 50e6), Limit("decode_speedup", 9.0)])
    assert (found.row, found.loosened) == (None, ())
    assert found.closest is DENSE  # keeps the first
    assert explain(found).endswith(
        ", and loosening one limit is not enough: the original model (269 MB) needs 269 MB and may be only 1.00x as "
        "fast."
    )


def test_simulated_and_flattered_results_are_never_picked() -> None:
    own = row(
        "quantize:rtn,bits=4,group_size=32,symmetric=false", "f" * 16, metrics={**EIGHT.metrics, "weight_bytes": 1e8}
    )
    found = smallest_within([*ROWS, own], [within(1.5)])
    assert found.row is EIGHT
    alone = smallest_within([DENSE, own], [within(1.5)])
    assert alone.row is DENSE
    assert explain(alone).endswith("is flattered by the model's own grid.")


def test_what_is_not_finished_is_never_picked_or_named() -> None:
    waiting = replace(TWO, state="queued", simulated=False)
    found = smallest_within([DENSE, FOUR, waiting], [])
    assert (found.row, found.next_smaller) == (FOUR, None)


def test_a_result_that_lacks_a_limited_metric_breaks_the_limit_and_says_why() -> None:
    lacking = replace(EIGHT, metrics={"weight_bytes": 1e8}, reasons={"decode_speedup": "the timing was stopped"})
    found = smallest_within([DENSE, lacking], [Limit("decode_speedup", 1.0)])
    assert found.row is DENSE
    assert "has no decoding speed-up: the timing was stopped" in explain(found)


def test_of_two_equally_small_the_more_like_the_original_is_picked() -> None:
    twins = [
        row("quantize:rtn", str(n) * 16, metrics={"weight_bytes": 5.0, "top1_agreement": 0.5 + n / 10}) for n in (1, 2)
    ]
    assert smallest_within(twins, []).row is twins[1]


WORDED = [
    row(recipe, trial * 16, metrics=dict(zip(METRICS, values, strict=True)))
    for recipe, trial, values in (
        ("dense", "a", (9e7, 1.0, 1.0, 4e8)),
        ("quantize:rtn,bits=8", "b", (5e7, 0.978, 1.46, 3e8)),
        ("quantize:rtn,bits=4", "c", (3e7, 0.9, 1.2, 3.6e8)),
    )
]


@pytest.mark.parametrize(
    ("limit", "asked", "fails", "loosened"),
    [
        (
            Limit("top1_agreement", 0.95),
            "with the original's next word at least 95% of the time",
            "keeps only 90.0% of the next words",
            "the share of next words to 90%",
        ),
        (
            Limit("decode_speedup", 1.4),
            "at least 1.4x as fast as the original",
            "may be only 1.2x as fast",
            "the speed to 1.20x",
        ),
        (
            Limit("peak_memory_bytes", 3.5e8),
            "with peak memory at most 350 MB",
            "has peak memory 360 MB",
            "peak memory to 360 MB",
        ),
    ],
)
def test_every_limit_has_its_words(limit: Limit, asked: str, fails: str, loosened: str) -> None:
    assert explain(smallest_within(WORDED, [limit])) == (
        f"8-bit (50.0 MB) is the smallest result {asked}; the next smaller, 4-bit (30.0 MB), {fails}."
    )
    assert explain(smallest_within(WORDED, [limit, Limit("weight_bytes", 4e7)])) == (
        f"There is no result {asked} and of at most 40.0 MB: loosen {loosened}, for 4-bit (30.0 MB) or the size to "
        "50 MB, for 8-bit (50.0 MB)."
    )


def test_nothing_measured_is_said() -> None:
    assert explain(smallest_within([], [within(1)])) == "Nothing real has been measured yet."


def test_a_metric_without_words_of_its_own_is_named_by_its_label() -> None:
    one = row(metrics={"weight_bytes": 1e6, "perplexity": 20.0, "perplexity_high": 24.0})
    assert explain(smallest_within([one], [Limit("perplexity", 23.0)])) == (
        "There is no result with perplexity at most 23.0: loosen perplexity to 24.0, for the original model (1.00 MB)."
    )
    held = [Limit("perplexity", 23.0), Limit("accuracy", 0.5)]
    assert explain(smallest_within([one], held)).endswith("has perplexity 24.0 and has no accuracy: not measured.")


def test_every_limit_is_said_in_the_same_words_when_it_is_broken_and_loosened() -> None:
    near = row(metrics={"weight_bytes": 1e6, "top1_agreement": 0.8, "decode_speedup": 0.9, "accuracy": 0.5})
    shares = smallest_within([near], [Limit("top1_agreement", 0.9)])
    assert explain(shares).endswith("loosen the share of next words to 80%, for the original model (1.00 MB).")
    speed = smallest_within([near], [Limit("decode_speedup", 1.1)])
    assert "at least 1.10x as fast as the original: loosen the speed to 0.90x" in explain(speed)
    both = smallest_within([near], [Limit("top1_agreement", 0.9), Limit("decode_speedup", 1.1)])
    assert explain(both).endswith("keeps only 80.0% of the next words and may be only 0.90x as fast.")
