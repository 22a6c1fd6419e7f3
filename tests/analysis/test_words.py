from dataclasses import replace

import pytest

from engine.analysis import words
from engine.analysis.budget import Fitting
from engine.analysis.front import find_front
from tests.made_rows import DENSE_BYTES, row, sweep

ROWS = sweep()[0]
DENSE, EIGHT, FOUR, TWO, ZEROS, LAYERS, SLICED, BOTH = ROWS
KEPT = {
    "retention": 0.9, "retention_low": 0.86, "retention_high": 0.94,
    "change": -0.05, "change_low": -0.07, "change_high": -0.03,
}  # fmt: skip
LOST = {"accuracy_change": -0.044, "accuracy_change_low": -0.065, "accuracy_change_high": -0.023}


def test_the_answer_in_two_sentences() -> None:
    assert words.answer(BOTH, DENSE) == (
        "2.6x smaller (102 MB, was 269 in bf16). Keeps 86% ± 7 of accuracy; guessing would keep 60%."
    )


def test_no_loss_is_never_claimed_only_not_detected() -> None:
    assert words.quality(EIGHT) == "No loss detected on 200 questions; it could be up to 1.4 points."
    assert words.change(EIGHT, "accuracy") == words.quality(EIGHT)
    assert words.change(FOUR, "accuracy") == "−4.0 ± 3.1 points"


def test_dense_is_not_compared_with_itself() -> None:
    assert words.answer(DENSE, DENSE) == "269 MB in bf16. Answers 50.0% right; guessing gets 30.0%."
    assert words.change(DENSE, "accuracy") == ""


def test_sizes_that_did_not_fall() -> None:
    assert words.size(ZEROS, DENSE) == "269 MB, the size of the original in bf16."
    grown = replace(SLICED, metrics={"weight_bytes": DENSE_BYTES * 1.05, "compression_ratio": 1 / 1.05})
    assert words.size(grown, DENSE) == "1.05x larger (282 MB, was 269 in bf16)."
    assert words.size(row(metrics={}), None) == ""


@pytest.mark.parametrize(
    ("weight", "said"),
    [(35_000.0, "35.0 kB, was 70.0 kB"), (60_000.0, "60.0 kB, was 0.12 MB"), (600_000.0, "0.6 MB, was 1.20")],
)
def test_the_size_of_a_tiny_model_is_in_kilobytes(weight: float, said: str) -> None:
    tiny = row(metrics={"weight_bytes": weight, "compression_ratio": 2.0})
    assert words.size(tiny, None) == f"2.0x smaller ({said} in bf16)."


def test_why_it_is_not_smaller() -> None:
    said = "40% of the weights are zero; the file is no smaller: a stored zero costs as much as any number."
    assert words.why_not_smaller(ZEROS, DENSE) == said
    half = replace(ZEROS, metrics={**ZEROS.metrics, "nonzero_parameters": 67.25e6})
    for rule in ("magnitude", "wanda", "sparsegpt"):
        pruned = replace(half, recipe=f"prune:{rule},sparsity=0.5")
        assert words.why_not_smaller(pruned, DENSE).startswith("Half the weights are zero; the file is no smaller")
        assert words.speed(pruned) == words.ZEROS_SIMULATED
    some = replace(half, recipe="quantize:rtn,bits=4,blocks=0 | prune:wanda")
    assert "The file leaves those of layers in 16 bits out" in words.why_not_smaller(some, DENSE)
    assert words.why_not_smaller(TWO, DENSE) == words.SIMULATED
    kept = replace(FOUR, metrics={**FOUR.metrics, "embedding_bytes": 56.6e6})
    assert words.why_not_smaller(kept, DENSE) == "The embedding was left in bf16; it is 50% of the file now."
    both = replace(kept, recipe="quantize:awq,bits=4 | quantize:rtn,bits=8,targets=embedding")
    assert (words.why_not_smaller(both, DENSE), words.short_label(both)) == ("", "4-bit + 8-bit embedding")
    assert words.why_not_smaller(SLICED, DENSE) == ""


def test_speed_is_said_of_real_kernels_only() -> None:
    assert words.speed(SLICED) == "1.12x faster per word."
    assert words.speed(replace(SLICED, metrics={"decode_speedup": 0.77})) == "1.3x slower per word."
    assert words.speed(replace(SLICED, metrics={"decode_speedup": 1.01})) == "As fast per word as the original."
    assert words.speed(TWO) == words.SIMULATED
    assert words.speed(ZEROS) == words.ZEROS_SIMULATED


def test_the_knee_is_a_point_or_a_range() -> None:
    found = find_front(ROWS)
    assert found.knee is not None
    sharp = replace(found, knee=replace(found.knee, low=FOUR, row=FOUR, high=FOUR))
    assert words.knee(sharp) == (
        "The knee: 4-bit, round to nearest, groups of 64 (113 MB). Beyond it accuracy falls off."
    )
    wide = replace(found, knee=replace(found.knee, low=BOTH, row=FOUR, high=EIGHT))
    assert words.knee(wide).startswith(
        "The knee lies between 102 MB and 167 MB: the questions asked can't tell closer."
    )
    assert words.knee(replace(found, knee=None)) == ""


def test_the_pick_in_words() -> None:
    assert words.picked(Fitting(FOUR, BOTH), "120 MB", DENSE).startswith(
        "Best within 120 MB: 4-bit, round to nearest, groups of 64. 2.4x smaller (113 MB, was 269 in bf16). Keeps 92%"
    )
    assert words.picked(Fitting(None, BOTH), "50 MB", DENSE).startswith(
        "Nothing measured fits 50 MB; the smallest is 10% of"
    )
    assert words.picked(Fitting(None, None), "50 MB", None) == "Nothing has been measured yet."


def test_short_labels_grow_only_where_they_are_alike() -> None:
    recipes = ("quantize:rtn,bits=4", "quantize:rtn,bits=4,targets=linears+embedding", "quantize:rtn,bits=8")
    rows = [row(recipe, f"{n:016x}") for n, recipe in enumerate(recipes)]
    assert list(words.distinct_labels(rows).values()) == ["4-bit", "4-bit (linears, embedding)", "8-bit"]
    groups = [row(f"quantize:rtn,bits=4,group_size={g}", f"{g:016x}") for g in (64, 32)]
    assert list(words.distinct_labels(groups).values()) == ["4-bit, groups of 64", "4-bit, groups of 32"]


def test_the_protocol_names_machine_threads_format_batch_and_n() -> None:
    assert words.protocol(DENSE, 200) == ["Test CPU", "2 threads", "fp32", "batch 1", "n = 200 questions"]


def test_next_words_name_how_much_text_they_were_compared_on() -> None:
    assert words.text_read(DENSE) == ["n = 32 x 512 tokens"]
    own = replace(DENSE, protocol={**DENSE.protocol, "perplexity_text": "notes.txt"})
    assert words.text_read(own) == ["n = up to 32 x 512 tokens"], "a short text has fewer windows"
    assert words.text_read(replace(DENSE, protocol={})) == []


def test_where_the_original_guesses_the_next_word_is_named_and_the_loss_that_was_found() -> None:
    dense = row(metrics={"accuracy": 0.3, "accuracy_low": 0.25, "accuracy_chance": 0.36, "questions": 300.0})
    small = row(
        "quantize:rtn", metrics={"top1_agreement": 0.772, "accuracy_change_low": -0.02, "accuracy_change_high": 0.02}
    )
    same = "The next word stays the original's 77% of the time."
    assert words.quality(small, dense) == same
    asked = {"questions": 300.0, "accuracy_change": 0.0}
    unclear, lost = (replace(small, metrics={**small.metrics, **asked, **more}) for more in ({}, LOST))
    assert words.quality(unclear, dense) == f"{same} No loss detected on 300 questions; it could be up to 2.0 points."
    assert words.quality(lost, dense) == f"{same} A loss of 4.4 ± 2.1 points was found on 300 questions."
    assert "300 questions" in words.guessing(dense)
    assert "30.0%, no better than guessing (36.0%)" in words.guessing(dense)
    assert words.guessing(row(metrics={"accuracy_low": 0.4, "accuracy_chance": 0.36})) == ""


def test_what_is_kept_is_counted_by_length_where_the_original_only_so_does_better_than_guessing() -> None:
    guess = {"accuracy": 0.3, "accuracy_low": 0.25, "accuracy_chance": 0.36, "questions": 300.0}
    dense = row(metrics={**guess, "accuracy_norm": 0.5, "accuracy_norm_low": 0.45})
    lost = {f"accuracy_norm_{name}": value for name, value in KEPT.items()}
    small = row("quantize:rtn", metrics={**guess, "accuracy_norm": 0.45, **lost})
    assert words.quality(dense) == "Answers 50.0% right; guessing gets 36.0%."
    assert words.quality(small, dense) == "Keeps 90% ± 4 of accuracy; guessing would keep 72%."
    assert words.change(small, "accuracy_norm") == "−5.0 ± 2.0 points"
    assert words.guessing(dense) == ""


def test_where_and_when_results_were_measured_is_said_where_all_of_them_know_it() -> None:
    assert words.measured_on(ROWS) == "Test CPU, 21 November 2025"
    other = replace(ROWS[0], environment={"cpu": "Other CPU", "date": "2026-01-02T03:04:05+00:00"})
    assert words.measured_on([*ROWS, other]) == "2 machines, 2 January 2026"
    assert words.measured_on([*ROWS, replace(ROWS[0], environment={"cpu": "Test CPU"})]) == ""
    assert words.measured_on([replace(ROWS[0], state="failed")]) == words.measured_on([]) == ""
