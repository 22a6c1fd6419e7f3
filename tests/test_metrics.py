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
    assert metric("decode_speedup_low").timed
    assert metric("accuracy_piqa_high").unit == "%"
    with pytest.raises(KeyError):
        metric("latency")
