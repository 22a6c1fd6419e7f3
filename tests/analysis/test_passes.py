"""Passes as they were timed, hand-computed: a tied model of 80 M numbers in its linears and 20 M in its embedding."""

from dataclasses import replace

import pytest

from engine.analysis.passes import Pass, passes, running
from engine.analysis.roofline import LeastTime, Work
from engine.machine import Limits
from tests.made_rows import ENVIRONMENT, row

LIMITS = Limits("Test CPU", 2, 20e9, {"float32": 100e9, "bfloat16": 30e9}, 0.0, "2026-11-21T00:00:00+00:00", "2.13.0")
WHOLE = {
    "weight_bytes": 200e6,
    "parameters": 100e6,
    "nonzero_parameters": 100e6,
    "linears_bytes": 160e6,
    "embedding_bytes": 40e6,
    "head_bytes": 0.0,
    "scales_zeros_bytes": 0.0,
    "resident_weight_bytes": 200e6,
    "kv_cache_bytes_per_token": 0.0,
}
PACKED = {"weight_bytes": 85e6, "linears_bytes": 40e6, "scales_zeros_bytes": 5e6, "resident_weight_bytes": 85e6}
TIMES = {"decode_ms_per_token": 30.0, "decode_speedup": 1.1, "prefill_ms": 400.0, "prefill_speedup": 0.75}


def made(recipe: str = "dense", environment: dict[str, str] | None = None, **metrics: float | None):
    """A row of the model; environment: facts of the timing beside those of the machine."""
    return row(recipe, metrics={**WHOLE, **metrics}, environment={**ENVIRONMENT, **(environment or {})})


DENSE = made(decode_ms_per_token=40.0, prefill_ms=300.0)
SKIPPED = made(  # half of its linears' numbers, and a bit for where each of them stood
    "prune:wanda,pattern=2:4",
    {"compressed_decode_dtype": "bfloat16", "compressed_prefill_dtype": "float32", "zeros_kernel": "cuSPARSELt"},
    **{"weight_bytes": 130e6, "linears_bytes": 90e6, "nonzero_parameters": 60e6, "resident_weight_bytes": 130e6},
    **TIMES,
)
FOUR = made("quantize:rtn,bits=4", {"compressed_decode_dtype": "bfloat16"}, **PACKED, **TIMES)


def test_a_word_reads_packed_weights_as_they_are_stored() -> None:
    word = passes(FOUR, DENSE, LIMITS)["decode"]
    assert word.ours == Pass("bfloat16", Work(85e6, 200e6), LeastTime(4.25, 2.0), 30.0)
    assert word.ours.parts_ms == (4.25, 0.0, 25.75)


def test_the_original_beside_has_the_time_of_the_same_run() -> None:
    word, prompt = (passes(FOUR, DENSE, LIMITS)[phase].original for phase in ("decode", "prefill"))
    assert word is not None
    assert prompt is not None
    assert word.took_ms == pytest.approx(33.0)
    assert word.done == Work(200e6, 200e6)
    assert prompt.took_ms == pytest.approx(300.0)


def test_arithmetic_counts_where_it_takes_longer_than_reading() -> None:
    prompt = passes(FOUR, DENSE, LIMITS)["prefill"].ours
    assert prompt.done.flop == 2 * (128 * 80e6 + 20e6)
    assert prompt.parts_ms == pytest.approx((4.25, 205.2 - 4.25, 400 - 205.2))


def test_in_fp32_what_is_not_packed_is_twice_as_many_bytes() -> None:
    found = running(FOUR, DENSE, "float32")
    assert found is not None
    assert found.read_bytes == 40e6 + 5e6 + 2 * 40e6
    whole = running(replace(DENSE, metrics={**WHOLE, "kv_cache_bytes_per_token": 8.0}), DENSE, "float32")
    assert whole is not None
    assert (whole.read_bytes, whole.cache_bytes) == (400e6, 16.0)


def test_a_width_without_a_kernel_runs_as_a_copy() -> None:
    three = made("quantize:rtn,bits=3", weight_bytes=75e6, linears_bytes=30e6, scales_zeros_bytes=5e6)
    found = running(three, DENSE, None)
    assert found is not None
    assert found.read_bytes == pytest.approx(200e6)


def test_a_kernel_for_2_4_reads_and_multiplies_half_in_16_bits_only() -> None:
    found = {dtype: running(SKIPPED, DENSE, dtype) for dtype in ("bfloat16", "float32")}
    assert found["bfloat16"] is not None
    assert found["float32"] is not None
    assert (found["bfloat16"].read_bytes, found["bfloat16"].body_weights) == (90e6 + 40e6, 40e6)
    assert (found["float32"].read_bytes, found["float32"].body_weights) == (2 * 200e6, 80e6)


def test_an_untied_embedding_is_not_read() -> None:
    untied = {"weight_bytes": 240e6, "parameters": 120e6, "head_bytes": 40e6}
    dense = made(**untied)
    found = running(dense, dense, "float32")
    assert found is not None
    assert found.read_bytes == 2 * (160e6 + 40e6)


def test_a_pass_quicker_than_the_limits_allow_has_no_rest() -> None:
    assert Pass(None, Work(0, 0), LeastTime(4.0, 10.0), 5.0).parts_ms == (2.0, 3.0, 0.0)


def test_without_fitting_limits_or_a_time_nothing_is_split() -> None:
    elsewhere = replace(LIMITS, cpu="Another")
    assert passes(FOUR, DENSE, None)["decode"].ours.parts_ms is None
    assert passes(FOUR, DENSE, elsewhere)["decode"].ours.least is None
    untimed = made("quantize:rtn,bits=3", **PACKED)
    assert passes(untimed, DENSE, LIMITS)["decode"].ours.parts_ms is None
    assert passes(untimed, DENSE, LIMITS)["decode"].original.took_ms is None  # type: ignore[union-attr]


def test_dense_has_nothing_beside_it_and_without_a_size_there_is_nothing() -> None:
    assert passes(DENSE, DENSE, LIMITS)["decode"].original is None
    assert passes(made(parameters=None), DENSE, LIMITS) == {}
