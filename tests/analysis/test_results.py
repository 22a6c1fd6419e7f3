import json
import math
import zlib

import pytest

from engine import stats
from engine.analysis.front import FLATTERED_NOTE
from engine.analysis.results import Derived, analyse, derive, verdict
from engine.metrics import metric
from engine.outcome.row import Row
from engine.store.items import ItemResult, pack, unpack
from tests.made_rows import TASKS, answers, row, sweep

ROWS, ITEMS = sweep()
CHANCE = {"accuracy_chance": 0.3}


def test_a_trial_is_compared_with_dense_item_by_item() -> None:
    got = derive({"accuracy": 0.46, **CHANCE}, {t: answers(46) for t in TASKS}, {}, {t: answers(50) for t in TASKS})
    pairs = [stats.Pairs(both=46, only_compressed=0, only_dense=4, neither=50)] * 2
    assert got.metrics["accuracy"] == pytest.approx(0.46)
    assert got.metrics["accuracy_change"] == pytest.approx(-0.04)
    assert got.metrics["accuracy_change_low"] == pytest.approx(stats.accuracy_change(pairs).low)
    assert got.metrics["accuracy_retention"] == pytest.approx(0.92)
    assert got.metrics["retention_above_chance"] == pytest.approx(0.8)
    assert (got.metrics["flips"], got.metrics["questions"]) == (pytest.approx(0.04), 200)
    assert (got.metrics["accuracy_low"], got.metrics["accuracy_high"]) == stats.macro_accuracy([(46, 100)] * 2)[1:]
    assert got.metrics["accuracy_piqa"] == pytest.approx(0.46)
    assert got.reasons == {}


def test_answers_are_paired_by_item_id_whatever_their_order() -> None:
    ours = answers(46)
    straight = derive({}, {"piqa": ours}, {}, {"piqa": answers(50)})
    mixed = derive({}, {"piqa": ours[::-1]}, {}, {"piqa": answers(50)})
    assert straight.metrics == mixed.metrics


def test_flips_to_either_side_are_counted_and_tested() -> None:
    ours = answers(46) + [ItemResult(100 + i, (-2.0, -1.0), 1, 1, True) for i in range(3)]
    dense = answers(50) + [ItemResult(100 + i, (-1.0, -2.0), 0, 0, False) for i in range(3)]
    got = derive({}, {"piqa": ours}, {}, {"piqa": dense}).metrics
    assert (got["flips_to_wrong"], got["flips_to_right"]) == (4, 3)
    assert got["mcnemar_p"] == stats.mcnemar_p([stats.Pairs(46, 3, 4, 50)])


def test_standard_errors_are_lm_evals() -> None:
    got = derive({}, {"piqa": answers(46), "openbookqa": answers(10, 50)}, None, None).metrics
    each = [math.sqrt(0.46 * 0.54 / 99), math.sqrt(0.2 * 0.8 / 49)]
    assert [got["accuracy_piqa_stderr"], got["accuracy_openbookqa_stderr"]] == pytest.approx(each)
    assert got["accuracy_stderr"] == pytest.approx(math.hypot(*each) / 2)


@pytest.mark.parametrize("dense", [None, "itself", "another"])
def test_a_task_of_one_item_has_no_standard_error_and_says_why(dense: str | None) -> None:
    ours = {"piqa": answers(1, 1)}
    theirs = {None: None, "itself": ours, "another": {"piqa": answers(0, 1)}}[dense]
    got = derive({}, ours, None if dense is None else {}, theirs)
    for name in ("accuracy_piqa_stderr", "accuracy_stderr"):
        assert got.metrics[name] is None
        assert got.reasons[name] == "a single item has no spread"


def test_length_normalised_accuracy_is_compared_too() -> None:
    """By length this one is right on the first 40 of 100 items and dense on the first 50, whatever acc says."""
    ours = [ItemResult(i, (), 0, 1, i >= 90, i < 40) for i in range(100)]
    dense = [ItemResult(i, (), 0, 1, i >= 90, i < 50) for i in range(100)]
    got = derive({"accuracy_chance": 0.1}, {"piqa": ours}, {}, {"piqa": dense}).metrics
    by_length = [stats.Pairs(both=40, only_compressed=0, only_dense=10, neither=50)]
    change = stats.accuracy_change(by_length)
    assert [got[f"accuracy_norm_change{end}"] for end in ("", "_low", "_high")] == pytest.approx(list(change))
    assert (got["accuracy_norm_piqa"], got["accuracy_norm_piqa_low"]) == (0.4, stats.wilson(40, 100).low)
    kept = stats.retention(by_length)
    assert kept is not None
    above = stats.retention(by_length, 0.1)
    assert above is not None
    assert [got[f"retention_norm_above_chance{end}"] for end in ("", "_low", "_high")] == pytest.approx(list(above))
    assert [got[f"accuracy_norm_retention{end}"] for end in ("", "_low", "_high")] == pytest.approx(list(kept))
    assert (got["accuracy_norm"], got["accuracy"]) == (0.4, 0.1)


def test_a_task_without_acc_norm_counts_with_its_acc() -> None:
    answer = ItemResult(0, (-1.0, -2.0), 0, 1, True, False)
    assert derive({}, {"winogrande": [answer]}, None, None).metrics["accuracy_norm"] == 1.0
    assert derive({}, {"piqa": [answer]}, None, None).metrics["accuracy_norm"] == 0.0


def test_answers_of_older_stores_are_read_and_say_what_follows_from_them() -> None:
    old: list[list[object]] = [[n, [-1.0, -2.0], 0, 1, n == 0] for n in range(3)]  # by acc right, wrong, wrong
    old.append([3, [-3.0, -1.0], 1, 1, False])
    read = {"piqa": unpack(zlib.compress(json.dumps(old).encode()))}
    assert [answer.correct_norm for answer in read["piqa"]] == [None] * 4
    assert derive({}, read, None, None).metrics["accuracy_norm_piqa"] == 0.5


def test_what_older_answers_leave_open_is_taken_from_the_measured_share_and_not_compared() -> None:
    """Of four choices, a wrong one by acc and another by acc_norm: right or not, only the measured share knows."""
    open_one = {"hellaswag": [ItemResult(0, (0.0,) * 4, 0, 1, False), ItemResult(1, (0.0,) * 4, 2, 2, True)]}
    got = derive({"accuracy_norm_hellaswag": 1.0}, open_one, {}, open_one | {})
    assert got.metrics["accuracy_norm_low"] == pytest.approx(stats.wilson(2, 2).low)
    assert got.metrics["accuracy_norm_change"] is None
    assert "earlier version" in got.reasons["accuracy_norm_change"]
    assert "accuracy_norm" not in derive({}, open_one, None, None).metrics


def test_an_answer_is_kept_with_whether_it_is_right_by_length() -> None:
    answer = ItemResult.from_dict(
        {"id": 3, "loglikelihoods": [-1.0, math.nan], "choice": None, "choice_norm": None, "correct": False}
    )
    known = answer._replace(correct_norm=True)
    assert unpack(pack([answer, known])) == [answer, known]
    assert known.to_dict()["correct_norm"] is True
    assert ItemResult.from_dict(known.to_dict()) == known


def test_the_verdict_names_its_questions_and_interval() -> None:
    by_recipe = {r.recipe.partition(",group")[0]: r for r in ROWS}
    alike, worse = (verdict(by_recipe[f"quantize:rtn,bits={bits}"], "accuracy") for bits in (8, 2))
    assert alike is not None
    assert worse is not None
    assert (alike.standing, alike.questions, worse.standing) == ("not distinguishable", 200, "worse")
    assert alike.low < 0 < alike.high
    assert verdict(by_recipe["dense"], "accuracy") is None


def test_flips_count_answers_that_changed_from_wrong_to_wrong() -> None:
    ours = {"piqa": [ItemResult(0, (), 2, 2, False), ItemResult(1, (), 0, 0, True)]}
    dense = {"piqa": [ItemResult(0, (), 1, 1, False), ItemResult(1, (), 0, 0, True)]}
    assert derive({}, ours, {}, dense).metrics["flips"] == 0.5


def test_without_choices_being_right_or_not_is_the_answer() -> None:
    ours = {"lambada": [ItemResult(0, (-1.0,), None, None, True)]}
    dense = {"lambada": [ItemResult(0, (-2.0,), None, None, False)]}
    assert derive({}, ours, {}, dense).metrics["flips"] == 1.0


def test_dense_is_itself_exactly() -> None:
    items = {"piqa": answers(50)}
    got = derive(CHANCE, items, CHANCE, items).metrics
    assert (got["accuracy_change_low"], got["accuracy_retention_high"], got["flips"]) == (0.0, 1.0, 0.0)


def test_everything_derived_is_a_metric_with_a_definition() -> None:
    derived = derive({}, {"piqa": answers(46)}, {}, {"piqa": answers(50)}).metrics
    assert all(metric(name).definition for name in derived)
    assert metric("accuracy_piqa_stderr").label == "Accuracy on PIQA, standard error"
    assert metric("accuracy_stderr").better == "none"


def test_without_dense_there_are_intervals_and_a_reason() -> None:
    got = derive({}, {"piqa": answers(46)}, None, None)
    assert got.metrics["accuracy_low"] is not None
    assert got.metrics["accuracy_retention"] is None
    assert "not been measured" in got.reasons["accuracy_retention"]


def test_other_items_are_not_compared() -> None:
    other = {"piqa": [ItemResult(i + 500, (), 0, 0, True) for i in range(9)]}
    assert "other items" in derive({}, {"piqa": answers(46)}, {}, other).reasons["flips"]


def test_a_dense_model_that_guesses_has_no_retention_above_guessing() -> None:
    got = derive({"accuracy_chance": 0.5}, {"piqa": answers(46)}, {}, {"piqa": answers(50)})
    assert got.metrics["retention_above_chance"] is None
    assert "guessing" in got.reasons["retention_above_chance"]


def test_analyse_reads_each_trials_answers_once() -> None:
    asked: list[str] = []

    def items_of(trial: str) -> dict[str, list[ItemResult]]:
        asked.append(trial)
        return ITEMS[trial]  # type: ignore[return-value]

    bare = [row(r.recipe, r.trial_id, metrics={"accuracy": r.value("accuracy"), **CHANCE}) for r in ROWS]
    memo: dict[tuple[object, ...], Derived] = {}
    first = analyse(bare, items_of, memo)
    assert sorted(asked) == sorted(r.trial_id for r in ROWS)
    assert analyse(bare, items_of, memo) == first
    assert analyse(first, items_of, {}) == first  # what is stored is not derived again
    assert len(asked) == len(ROWS)


def test_a_trial_that_finished_before_dense_is_compared_once_dense_is_there() -> None:
    ours, dense = ROWS[2], ROWS[0]
    alone = analyse([row(ours.recipe, ours.trial_id, metrics={"accuracy": 0.46})], ITEMS.__getitem__, {})[0]
    assert alone.value("accuracy_retention") is None
    both = analyse([alone, dense], ITEMS.__getitem__, {})
    assert both[0].value("accuracy_retention") == pytest.approx(0.92)
    assert "accuracy_retention" not in both[0].reasons


def test_analyse_marks_flattered_results_and_passes_unfinished_ones_through() -> None:
    grid = row("quantize:rtn,bits=4,group_size=32,symmetric=false", "a" * 16)
    waiting = Row("b" * 16, "group", "m", "dense", {}, state="queued")
    marked, same = analyse([grid, waiting], lambda _: {}, {})
    assert marked.notes == (FLATTERED_NOTE,)
    assert analyse([marked], lambda _: {}, {})[0].notes == (FLATTERED_NOTE,)
    assert same is waiting
