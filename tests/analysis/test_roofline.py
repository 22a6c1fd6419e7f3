"""The roofline by hand-computed numbers, among them those of SmolLM2-135M's own shapes."""

import pytest

from engine.analysis import roofline
from engine.analysis.roofline import LeastTime, Network, Work
from engine.machine import Limits
from tests.made_rows import row

# 30 blocks of 576 x 576 twice, 192 x 576 twice, 1536 x 576 three times; 49152 x 576 embeddings, tied; 61 norms of 576.
BODY, TABLE, NORMS = 30 * 576 * (2 * 576 + 2 * 192 + 3 * 1536), 49_152 * 576, 61 * 576
LIMITS = Limits("cpu", 2, 32e9, {"float32": 140e9, "bfloat16": 35e9}, 0.0, "2026-11-21T00:00:00+00:00", "2.13.0")


def sized(recipe: str = "dense", **metrics: float | None):
    whole = {
        "weight_bytes": 2.0 * (BODY + TABLE + NORMS),
        "parameters": float(BODY + TABLE + NORMS),
        "embedding_bytes": 2.0 * TABLE,
        "head_bytes": 0.0,
        "kv_cache_bytes_per_token": 23_040.0,
    }
    return row(recipe, metrics={**whole, **metrics})


def test_a_tied_model_reads_and_multiplies_everything_once() -> None:
    found = roofline.network(sized(), sized())
    assert found == Network(269_030_016, BODY + NORMS, TABLE, 23_040)


def test_one_word_does_two_operations_a_weight_and_reads_the_cache() -> None:
    done = roofline.work(Network(100, 30, 10, 4), "decode", batch=3, tokens=7)
    assert done == Work(100 + 3 * 7 * 4, 2 * 3 * (30 + 10))


def test_a_prompt_asks_the_head_for_its_last_token_only() -> None:
    done = roofline.work(Network(100, 30, 10, 4), "prefill", batch=3, tokens=7)
    assert done == Work(100 + 3 * 7 * 4, 2 * 3 * (7 * 30 + 10))


def test_the_slower_of_memory_and_arithmetic_decides() -> None:
    least = roofline.least_time(Work(64e6, 70e6), LIMITS)
    assert least == LeastTime(2.0, 0.5)
    assert (least.ms, least.decided_by) == (2.0, "memory")
    assert LeastTime(1.0, 3.0).decided_by == "arithmetic"


def test_the_default_model_waits_for_memory_with_one_reader_and_for_arithmetic_with_a_prompt() -> None:
    word = roofline.expected(sized(), sized(), "decode", LIMITS)
    prompt = roofline.expected(sized(), sized(), "prefill", LIMITS)
    assert word is not None
    assert prompt is not None
    assert word.memory_ms == pytest.approx((269_030_016 + 160 * 23_040) / 32e6)
    assert word.arithmetic_ms == pytest.approx(269_030_016 / 140e6)
    assert word.decided_by == "memory"
    assert prompt.arithmetic_ms == pytest.approx(2 * (128 * (BODY + NORMS) + TABLE) / 140e6)
    assert prompt.decided_by == "arithmetic"


def test_packed_weights_are_fewer_bytes_and_the_same_arithmetic() -> None:
    packed = sized("quantize:rtn,bits=4", weight_bytes=113_000_000.0)
    at = [roofline.expected(packed, sized(), "decode", LIMITS, batch) for batch in (1, 512)]
    dense = [roofline.expected(sized(), sized(), "decode", LIMITS, batch) for batch in (1, 512)]
    assert at[0].ms < 0.5 * dense[0].ms  # type: ignore[union-attr]
    assert at[1].ms == dense[1].ms  # type: ignore[union-attr]


def test_an_embedding_that_is_only_looked_up_is_neither_read_nor_multiplied() -> None:
    untied = sized(
        weight_bytes=2.0 * (BODY + 2 * TABLE + NORMS),
        parameters=float(BODY + 2 * TABLE + NORMS),
        head_bytes=2.0 * TABLE,
    )
    assert roofline.network(untied, untied) == Network(269_030_016, BODY + NORMS, TABLE, 23_040)


def test_a_quantized_embedding_holds_as_many_numbers_as_before() -> None:
    both = sized("quantize:rtn,bits=8,targets=linears+embedding", weight_bytes=1.4e8, embedding_bytes=float(TABLE))
    named = sized("quantize:rtn,bits=4,targets=linears+head", weight_bytes=0.7e8, embedding_bytes=TABLE / 2)
    for found in (roofline.network(both, sized()), roofline.network(named, sized())):
        assert found is not None
        assert found.head_weights == TABLE


def test_a_sliced_head_reads_the_embedding_it_shares_and_the_matrix_before_it() -> None:
    width, body = 512, 30 * (512 * (2 * 576 + 2 * 192 + 3 * 1536)) + 61 * 512
    mixing, table = width**2, 49_152 * width
    sliced = sized(
        "slice:slicegpt,fraction=0.1",
        weight_bytes=2.0 * (body + table + mixing),
        parameters=float(body + table + mixing),
        embedding_bytes=2.0 * table,
        head_bytes=2.0 * mixing,
    )
    found = roofline.network(sliced, sized())
    assert found == Network(2 * (body + table + mixing), body, table + mixing, 23_040)


def test_a_head_that_slicing_parted_is_read_instead_of_the_embedding() -> None:
    parted = sized(
        "slice:slicegpt,fraction=0.1,head=untied",
        weight_bytes=2.0 * (BODY + 2 * TABLE),
        parameters=float(BODY + 2 * TABLE),
        head_bytes=2.0 * TABLE,
    )
    assert roofline.network(parted, sized()) == Network(2 * (BODY + TABLE), BODY, TABLE, 23_040)


def test_nothing_is_said_of_a_size_that_was_not_measured() -> None:
    assert roofline.network(sized(parameters=None), sized()) is None
    assert roofline.expected(sized(embedding_bytes=None), sized(), "decode", LIMITS) is None


def test_a_simulated_result_has_no_measured_time() -> None:
    assert roofline.measured_ms(row(metrics={"prefill_ms": 300.0}), "prefill") == 300.0
    assert roofline.measured_ms(row(metrics={"decode_ms_per_token": 20.0}), "decode") == 20.0
    assert roofline.measured_ms(row(metrics={"prefill_ms": 300.0}, simulated=True), "prefill") is None
