"""Protocols and trials: what the id covers, and what it does not."""

from dataclasses import replace

import pytest

from engine.errors import InputError
from engine.spec import Protocol, Trial, parse, parse_measures, parse_tasks

TRIAL = Trial("m", None, "ab" * 32, parse("quantize:rtn"), Protocol(), (("piqa", "cd" * 32),))


def test_the_id_is_stable_across_versions_of_this_file() -> None:
    """Results in users' stores are found by this hash: a change here orphans them and must be deliberate."""
    assert TRIAL.id == "1d4fe391d2abb779"


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, weights_sha256="00" * 32),
        replace(TRIAL, recipe=parse("quantize:rtn,bits=3")),
        replace(TRIAL, protocol=Protocol(limit=100)),
        replace(TRIAL, protocol=Protocol(seed=1)),
        replace(TRIAL, data_sha256=(("piqa", "ef" * 32),)),
        replace(TRIAL, data_sha256=(("perplexity_text", "ef" * 32), ("piqa", "cd" * 32))),
    ],
)
def test_what_changes_a_result_changes_the_id(other: Trial) -> None:
    assert other.id != TRIAL.id


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, model="another name for the same weights"),
        replace(TRIAL, data_dir="/elsewhere"),
        replace(TRIAL, protocol=Protocol(perplexity_text="/elsewhere/the_same.txt")),
        replace(TRIAL, protocol=Protocol(tasks=("commonsense_qa", "piqa", "openbookqa"))),
        replace(TRIAL, recipe=parse("quantize:rtn,bits=4,group_size=64,symmetric=true")),
    ],
)
def test_what_changes_no_result_keeps_the_id(other: Trial) -> None:
    assert other.id == TRIAL.id


def test_a_trial_shares_its_comparison_with_dense_only_under_one_protocol() -> None:
    assert TRIAL.dense().comparison_id == TRIAL.comparison_id
    assert TRIAL.dense().id != TRIAL.id
    assert replace(TRIAL, protocol=Protocol(limit=100)).comparison_id != TRIAL.comparison_id


def test_a_trial_survives_json() -> None:
    assert Trial.from_dict(TRIAL.to_dict()) == TRIAL


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"limits": 3}, "did you mean 'limit'?"),
        ({"limit": 0}, "limit must be in [1, 1000000], got 0"),
        ({"limit": 10**20}, "limit must be in [1, 1000000], got 1"),
        ({"seed": 2**32}, "seed must be in [0, 4294967295]"),
        ({"sequence_length": 10**7}, "sequence_length must be in [8, 1000000]"),
        ({"perplexity_windows": 10**6}, "perplexity_windows must be in [1, 100000]"),
        ({"calibration_windows": 10**6}, "calibration_windows must be in [1, 100000]"),
        ({"prompt_tokens": 10**7}, "prompt_tokens must be in [1, 1000000]"),
        ({"decode_tokens": 10**7}, "decode_tokens must be in [10, 1000000]"),
        ({"tasks": "piqa"}, "tasks must be a list, got 'piqa'"),
        ({"tasks": [[1]]}, "tasks must be a word, got [1]"),
        ({"limit": "ten"}, "got 'ten'"),
        ({"tasks": []}, "tasks"),
        ({"tasks": ["piqa", "piqa"]}, "twice"),
        ({"dtype": "float16"}, "float32"),
    ],
)
def test_wrong_protocols_get_one_sentence(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=r".") as caught:
        Protocol.from_dict(values)
    assert words in str(caught.value)


def test_measures_run_in_one_order_whatever_was_typed() -> None:
    assert parse_measures("accuracy, size") == ("size", "accuracy")
    with pytest.raises(InputError, match="did you mean 'memory'"):
        parse_measures("memroy")


def test_an_empty_task_name_is_refused() -> None:
    assert parse_tasks("piqa, boolq") == ("piqa", "boolq")
    with pytest.raises(InputError, match="tasks"):
        parse_tasks("piqa,,boolq")


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        (("five",), ("piqa", "winogrande", "hellaswag", "arc_easy", "arc_challenge")),
        (("boolq", "hellaswag", "five"), ("boolq", "hellaswag", "piqa", "winogrande", "arc_easy", "arc_challenge")),
    ],
)
def test_a_group_of_tasks_stands_for_its_members(tasks: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert Protocol(tasks=tasks).tasks == expected
    assert replace(TRIAL, protocol=Protocol(tasks=tasks)).id == replace(TRIAL, protocol=Protocol(tasks=expected)).id


def test_a_group_does_not_hide_a_task_that_is_named_twice_or_is_no_name() -> None:
    with pytest.raises(InputError, match="none twice"):
        Protocol(tasks=("piqa", "piqa"))
    with pytest.raises(InputError, match="tasks must be a word"):
        Protocol.from_dict({"tasks": ["five", ["piqa"]]})
