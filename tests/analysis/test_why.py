"""Every sentence and the numbers that call for it, on the hand-computed model of `test_passes`."""

from dataclasses import replace

import pytest

from engine.analysis import why
from engine.analysis.why import case, sentences, unrewarded
from engine.recorded import recorded
from tests.analysis.test_passes import DENSE, FOUR, LIMITS, PACKED, SKIPPED, TIMES, made
from tests.made_rows import row

SLICED = {
    "weight_bytes": 160e6, "parameters": 80e6, "nonzero_parameters": 80e6, "linears_bytes": 127e6,
    "embedding_bytes": 32e6, "head_bytes": 1e6,
}  # fmt: skip


def of(found, limits=LIMITS, dense=DENSE):
    return case(found, dense, limits)


def test_zeros_are_stored_and_multiplied() -> None:
    half = made("prune:magnitude,sparsity=0.5", nonzero_parameters=50e6)
    assert why.zeros(of(half)).startswith("Half the weights are zero; the file is no smaller: a stored zero")
    assert why.zeros_multiplied(of(half)) == (
        "Zeros are multiplied like any number: a word takes 200 MFLOP, as many as the original's."
    )
    left_out = made("prune:magnitude,sparsity=0.5", nonzero_parameters=60e6, linears_bytes=90e6, weight_bytes=130e6)
    assert why.zeros(of(left_out)).startswith("40% of the weights are zero. The file leaves them out and has a bit")
    assert why.zeros_multiplied(of(left_out)) == why.zeros_multiplied(of(half))
    assert why.bytes_moved(of(left_out)) == ""  # as many as the original's: zeros are read while it runs
    assert why.zeros(of(FOUR)) == why.zeros_multiplied(of(FOUR)) == ""


def test_what_a_cut_across_packed_groups_left_in_16_bits_is_not_said_to_be_packed() -> None:
    cut = {"parameters": 90e6, "nonzero_parameters": 90e6, "scales_zeros_bytes": 3e6}  # 70 of 80 million are left
    recipe = "quantize:rtn,bits=4,group_size=-1 | prune:neurons,fraction=0.2"
    whole = of(made(recipe, weight_bytes=78e6, linears_bytes=35e6, **cut))
    some = of(made(recipe, weight_bytes=108e6, linears_bytes=65e6, **cut))
    none = of(made("quantize:bnb | prune:neurons | prune:heads", weight_bytes=180e6, linears_bytes=140e6, **cut))
    assert whole.formats.packed["linears"].widths == ()
    assert why.packed(whole).startswith("Its linears take 4 bits instead of 16")
    assert some.formats.packed["linears"].widths == (4, 16)
    assert why.packed(some) == ""
    assert why.unpacked(none).startswith("The pruning came after the rounding and took the matrices off their grid")


def test_zeros_that_a_kernel_leaves_out_are_neither_read_nor_multiplied() -> None:
    assert why.zeros(of(SKIPPED)).endswith("in bf16, cuSPARSELt leaves them out of memory and of the arithmetic too.")
    assert why.zeros_multiplied(of(SKIPPED)) == why.no_kernel(of(SKIPPED)) == ""
    assert why.zeros_skipped(of(SKIPPED)) == (
        "cuSPARSELt multiplies without the zeros, two of every four: a word takes 120 MFLOP instead of 200 MFLOP."
    )
    assert why.bytes_moved(of(SKIPPED)).startswith("A word moves 130 MB, the original's 200 MB")
    in_fp32 = replace(SKIPPED, environment={**SKIPPED.environment, "compressed_decode_dtype": "float32"})
    assert why.zeros_skipped(of(in_fp32)) == why.zeros_skipped(of(FOUR)) == ""


def test_zeros_in_fewer_layers_are_not_as_many_operations() -> None:
    both = "prune:layers,count=1 | prune:magnitude,sparsity=0.5"
    fewer = made(both, parameters=80e6, nonzero_parameters=40e6, linears_bytes=120e6, weight_bytes=160e6)
    assert why.zeros_multiplied(of(fewer)) == ""


EMBEDDING = made(
    "quantize:rtn,bits=4,targets=embedding", weight_bytes=171e6, embedding_bytes=10e6, scales_zeros_bytes=1e6
)
MIXED = made(
    "quantize:rtn,bits=4,symmetric=false | quantize:rtn,bits=8,targets=embedding",
    **{"weight_bytes": 66e6, "linears_bytes": 40e6, "embedding_bytes": 20e6, "scales_zeros_bytes": 6e6},
)
FEWER = made(
    "prune:layers,count=9 | quantize:rtn,bits=8", weight_bytes=62e6, linears_bytes=20e6, scales_zeros_bytes=2e6
)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            FOUR,
            "Its linears take 4 bits instead of 16, but the file is 2.4x smaller, not 4x: the embedding is 20% of the "
            "original and was left at 16 bits, and scales add 5.00 MB.",
        ),
        (
            EMBEDDING,
            "Its embedding takes 4 bits instead of 16, but the file is 1.17x smaller, not 4x: the linears are 80% of "
            "the original and were left at 16 bits, and scales add 1.00 MB.",
        ),
        (
            MIXED,
            "Its linears take 4 bits instead of 16, but the file is 3.0x smaller, not 4x: the embedding is 20% of the "
            "original and takes 8 bits, and scales and zero points add 6.00 MB.",
        ),
        (FEWER, "The embedding is 20% of the original and was left at 16 bits, and scales add 2.00 MB."),
        (DENSE, ""),
    ],
    ids=["linears", "embedding", "two widths and zero points", "as small as its bits", "dense"],
)
def test_fewer_bits_do_not_shrink_what_was_left_wider(found, said) -> None:
    assert why.packed(of(found)) == said


def test_a_library_that_expands_at_every_use_is_named_with_what_a_word_took() -> None:
    slower = made("quantize:bnb", **PACKED, **TIMES | {"decode_speedup": 0.05})
    assert why.library(of(slower)) == (
        "bitsandbytes expands each matrix anew at every use on a CPU: that saves memory, and a word took 20x as long "
        "as the original's."
    )
    assert why.no_kernel(of(slower)) == ""
    on_gpu = replace(slower, protocol={**slower.protocol, "device": "cuda"})
    assert why.library(of(on_gpu)) == why.library(of(FOUR)) == ""


def test_a_slice_after_rounding_is_said() -> None:
    undone = made("quantize:rtn,bits=4 | slice:slicegpt,fraction=0.2", **SLICED)
    assert "took the matrices off their grid: they are stored in 16 bits again" in why.unpacked(of(undone))
    assert why.packed(of(undone)) == ""
    pruned = made("quantize:rtn,bits=4 | prune:sparsegpt")
    assert why.unpacked(of(pruned)).startswith("The pruning came after the rounding")
    assert why.unpacked(of(FOUR)) == why.unpacked(of(made("slice:slicegpt,fraction=0.2", **SLICED))) == ""


def test_removed_layers_leave_the_embedding() -> None:
    fewer = made("prune:layers,count=6", parameters=84e6, linears_bytes=128e6, weight_bytes=168e6)
    assert why.fewer_layers(of(fewer)) == (
        "20% of the linears are gone, but not the embedding, 20% of the original: the file is 16% smaller."
    )
    packed = made("prune:layers,count=6 | quantize:rtn,bits=4", parameters=84e6, linears_bytes=32e6, weight_bytes=76e6)
    assert why.fewer_layers(of(packed)) == "20% of the linears are gone, but not the embedding, 20% of the original."
    assert why.fewer_layers(of(made("prune:layers,count=0"))) == why.fewer_layers(of(FOUR)) == ""


def test_a_slice_leaves_as_many_matrices() -> None:
    assert why.narrower(of(made("slice:slicegpt,fraction=0.2", **SLICED))) == (
        "Every matrix lost rows or columns, so 20% of the numbers are gone; but there are no fewer matrices, each with "
        "its own call."
    )
    both = made("prune:layers,count=3 | slice:slicegpt,fraction=0.2", **SLICED)
    assert why.narrower(of(both)).endswith("20% of the numbers are gone, with those of the removed layers.")
    assert why.narrower(of(made("slice:slicegpt,fraction=0"))) == why.narrower(of(FOUR)) == ""


def test_a_head_of_its_own_is_stored_apart() -> None:
    parted = made("slice:slicegpt,fraction=0.2,head=untied", **{**SLICED, "head_bytes": 32e6})
    assert why.parted_head(of(parted)) == "The head no longer shares the embedding, and is stored apart: 32.0 MB."
    assert why.parted_head(of(made("slice:slicegpt,fraction=0.2", **SLICED))) == ""
    untied = made(head_bytes=40e6)
    assert why.parted_head(of(parted, dense=untied)) == ""


def test_a_width_without_a_kernel_claims_no_time() -> None:
    three = made("quantize:rtn,bits=3", weight_bytes=75e6, linears_bytes=30e6, scales_zeros_bytes=5e6)
    assert why.no_kernel(of(three)) == (
        "Simulated: no real kernel for 3-bit weights, so no time is claimed; they run expanded, 200 MB in memory for "
        "75.0 MB stored."
    )
    odd = made("quantize:rtn,bits=4,group_size=9", resident_weight_bytes=None)
    assert why.no_kernel(of(odd)) == (
        "Simulated: no real kernel for 4-bit weights in groups of 9, so no time is claimed."
    )
    assert why.bytes_moved(of(three)) == why.overhead(of(three)) == why.no_kernel(of(FOUR)) == ""


def test_a_table_that_is_only_looked_up_needs_no_kernel() -> None:
    untied = made(head_bytes=40e6)
    looked_up = made("quantize:rtn,bits=3,targets=embedding", head_bytes=40e6)
    assert why.no_kernel(of(looked_up, dense=untied)) == ""


def test_reading_less_saves_what_the_memory_needs_for_it() -> None:
    assert why.bytes_moved(of(FOUR)) == (
        "A word moves 85.0 MB, the original's 200 MB: at the memory's full speed that saves 5.75 ms, where the "
        "original took 33.0 ms."
    )
    assert why.bytes_moved(of(FOUR, None)) == "A word moves 85.0 MB, the original's 200 MB."
    assert why.bytes_moved(of(made("prune:magnitude,sparsity=0.5", **TIMES))) == ""


def test_reading_more_is_said_as_well() -> None:
    wide = made("slice:slicegpt,fraction=0.2", {"compressed_decode_dtype": "float32"}, **SLICED, **TIMES)
    assert "A word moves 320 MB, the original's 200 MB: at the memory's full speed that costs 6.00 ms more" in (
        why.bytes_moved(of(wide))
    )
    assert why.wide_numbers(of(wide)) == (
        "It decoded in fp32, the faster format in that run, so its 16-bit numbers were read as 32 bits each."
    )


def test_the_original_in_fp32_is_said_too() -> None:
    one = made("quantize:rtn,bits=4", {"dense_decode_dtype": "float32"}, **PACKED, **TIMES)
    assert why.wide_numbers(of(one)).startswith("The original decoded in fp32")
    ran = {"compressed_decode_dtype": "float32", "dense_decode_dtype": "float32"}
    both = made("quantize:rtn,bits=4", ran, **PACKED, **TIMES)
    assert why.wide_numbers(of(both)).startswith("Both decoded in fp32, the faster format in that run, so their 16-bit")
    assert why.wide_numbers(of(FOUR)) == ""


def test_the_original_s_word_is_held_against_the_memory() -> None:
    assert why.bytes_moved(of(DENSE)) == (
        "A word moves 200 MB, which takes 10.0 ms at the memory's full speed; it took 40.0 ms."
    )
    assert why.bytes_moved(of(DENSE, None)) == "A word moves 200 MB."


def test_many_sequences_at_once_wait_for_arithmetic() -> None:
    many = replace(FOUR, protocol={**FOUR.protocol, "batch_size": 64})
    assert why.bytes_moved(of(many)) == (
        "A word for each of 64 sequences moves 85.0 MB in 4.25 ms at best, but its arithmetic, 12.8 GFLOP in 128 ms, "
        "takes longer."
    )


def test_what_goes_beyond_reading_and_arithmetic_is_overhead() -> None:
    assert why.overhead(of(FOUR)) == (
        "86% of a word's time, 25.8 ms (the original: 23.0 ms), goes beyond reading and arithmetic: Python, starting "
        "small operations, norms, attention, unpacking, and whatever runs below full speed."
    )
    alone = why.overhead(of(DENSE))
    assert alone.startswith("75% of a word's time, 30.0 ms, goes beyond")
    assert "unpacking" not in alone
    assert why.overhead(of(FOUR, None)) == ""


def test_a_word_quicker_than_the_limits_is_no_overhead() -> None:
    quick = replace(FOUR, metrics={**FOUR.metrics, "decode_ms_per_token": 4.0})
    assert why.overhead(of(quick)).startswith("A word took less than the machine's limits allow")


@pytest.mark.parametrize(
    ("high", "end"),
    [(0.9, "gain nothing from packing; it took 1.3x as long as the original's."), (1.1, "gain nothing from packing.")],
)
def test_a_prompt_expands_packed_weights(high, end) -> None:
    found = replace(FOUR, metrics={**FOUR.metrics, "prefill_speedup_high": high})
    said = why.expanded(of(found))
    assert said.startswith("Weights are expanded to fp32 before the prompt's matrix products")
    assert said.endswith(end)


def test_a_short_prompt_and_unpacked_weights_are_not_expanded() -> None:
    short = replace(FOUR, protocol={**FOUR.protocol, "prompt_tokens": 10})
    table = made("quantize:rtn,bits=4,targets=embedding", embedding_bytes=10e6)
    assert why.expanded(of(short)) == why.expanded(of(table)) == why.expanded(of(DENSE)) == ""


def test_a_prompt_waits_for_arithmetic() -> None:
    assert why.prompt(of(DENSE)) == (
        "A prompt waits for arithmetic, not for memory: 20.5 GFLOP take at least 205 ms, however small the file."
    )
    fewer = made("prune:layers,count=6", parameters=60e6, linears_bytes=80e6, weight_bytes=120e6)
    assert why.prompt(of(fewer)) == "A prompt waits for arithmetic: 10.3 GFLOP instead of 20.5 GFLOP allow 2.0x."
    speed = {"prefill_speedup": 1.5, "prefill_speedup_low": 1.4, "prefill_speedup_high": 1.6}
    timed = replace(fewer, metrics={**fewer.metrics, **speed})
    assert why.prompt(of(timed)).endswith("allow 2.0x; measured 1.5x (1.4x to 1.6x).")
    zeros = made("prune:magnitude,sparsity=0.5", nonzero_parameters=50e6)
    assert why.prompt(of(zeros)) == (
        "A prompt waits for arithmetic, and has as much of it as the original's: 20.5 GFLOP."
    )
    assert why.prompt(of(FOUR)) == why.prompt(of(DENSE, None)) == ""


def test_at_most_five_are_said_and_the_bytes_come_first() -> None:
    recipe = "prune:layers,count=2 | prune:magnitude,sparsity=0.5 | quantize:rtn,bits=4"
    ran = {"compressed_decode_dtype": "float32"}
    everything = made(
        recipe, ran, **{**PACKED, "parameters": 84e6, "nonzero_parameters": 40e6, "linears_bytes": 32e6}, **TIMES
    )
    said = sentences(of(everything))
    assert len(said) == 5
    assert "are zero" in said[0]
    assert "4 bits instead of 16" in said[1]
    assert "linears are gone" in said[2]


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert sentences(of(row("prune:layers,count=3"), dense=row())) == []


def test_every_recorded_result_has_two_to_five_sentences() -> None:
    rows = [row for row in recorded() if row.metrics]
    dense = next(found for found in rows if found.recipe == "dense")
    limits = replace(LIMITS, cpu=str(dense.environment["cpu"]), threads=int(dense.environment["threads"]))
    for found in rows:
        assert 2 <= len(sentences(case(found, dense, limits))) <= 5


@pytest.mark.parametrize(("speed", "said"), [(0.77, "1.3x slower per word."), (1.01, "as fast per word as before.")])
def test_a_file_that_shrinks_without_getting_faster_asks_why(speed, said) -> None:
    found = made("quantize:rtn,bits=4", compression_ratio=2.0, decode_speedup=speed)
    assert unrewarded(found) == f"2.0x smaller, but {said}"
    assert unrewarded(replace(found, simulated=True)) == ""


@pytest.mark.parametrize(("ratio", "speed"), [(2.0, 1.2), (1.1, 0.5), (2.0, None)])
def test_a_file_that_got_faster_or_hardly_shrank_or_was_not_timed_asks_nothing(ratio, speed) -> None:
    assert unrewarded(made("quantize:rtn,bits=4", compression_ratio=ratio, decode_speedup=speed)) == ""
