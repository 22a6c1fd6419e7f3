"""Metrics: every name has one definition, and derived names have theirs."""

import pytest

from engine.metrics import METRICS, metric
from engine.spec import MEASURES


def test_every_metric_is_whole() -> None:
    for one in METRICS.values():
        assert one.label
        assert one.definition.endswith(".")
        assert one.measure in MEASURES


def test_derived_names_carry_their_base() -> None:
    assert metric("accuracy_norm_piqa").label == "Accuracy, by length on PIQA"
    assert metric("accuracy_blimp_island_effects_low").label.startswith("Accuracy on BLiMP, island effects, lower")
    assert metric("accuracy_lm_eval:sciq").label == "Accuracy on lm_eval:sciq"
    assert metric("decode_speedup_low").timed
    assert metric("accuracy_piqa_high").unit == "%"
    with pytest.raises(KeyError):
        metric("latency")


def test_the_perplexity_of_a_task_is_measured_with_its_accuracy() -> None:
    found = metric("perplexity_lambada_openai")
    assert (found.label, found.measure, found.better) == ("Perplexity on LAMBADA", "accuracy", "lower")
