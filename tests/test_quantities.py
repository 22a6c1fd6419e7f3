import math

import pytest

from engine import quantities
from tests.made_rows import DENSE_BYTES


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("weight_bytes", 86.42e6, "86.4 MB"),
        ("weight_bytes", DENSE_BYTES, "269 MB"),
        ("weight_bytes", 1_234e6, "1,234 MB"),
        ("norms_bytes", 70_272, "70.3 kB"),
        ("norms_bytes", 350_000, "0.35 MB"),
        ("norms_bytes", 0, "0 MB"),
        ("mcnemar_p", 0.00293, "0.3%"),
        ("compression_ratio", 3.1, "3.1x"),
        ("compression_ratio", 12.3, "12x"),
        ("decode_speedup", 0.85, "0.85x"),
        ("decode_speedup", 1.08, "1.08x"),
        ("accuracy", 0.446, "44.6%"),
        ("accuracy_piqa", 0.446, "44.6%"),
        ("accuracy_change", -0.007, "−0.7 points"),
        ("accuracy_change", 0.012, "+1.2 points"),
        ("accuracy_change", -0.0001, "0.0 points"),
        ("decode_ms_per_token", 12.44, "12.4 ms"),
        ("perplexity", 27.94, "27.9"),
        ("perplexity", 1000.0, "1,000"),
        ("perplexity", 2.1e4, "over 1,000 ↑"),
        ("parameters", 134.515e6, "135 M"),
        ("kv_cache_bytes_per_token", 23040, "23,040 bytes"),
        ("questions", 300, "300"),
        ("kl_to_dense", 0.39, "0.390 nats"),
        ("kl_to_dense", 0.6323, "0.632 nats"),
        ("kl_to_dense", 0.0012, "0.0012 nats"),
        ("kl_to_dense", 1e-6, "under 0.0001 nats"),
        ("kl_to_dense", 0.0, "0 nats"),
        ("kl_to_dense", 1.234, "1.23 nats"),
        ("accuracy", None, "–"),
        ("perplexity", math.inf, "–"),
    ],
)
def test_numbers(name: str, value: float | None, text: str) -> None:
    assert quantities.format_value(name, value) == text


@pytest.mark.parametrize(("p", "text"), [(None, "–"), (0.0004, "under 0.1%"), (0.034, "3.4%"), (0.34, "34%")])
def test_how_often_chance_does_as_much(p: float | None, text: str) -> None:
    assert quantities.by_chance(p) == text


def test_numbers_with_their_interval_take_the_longer_arm() -> None:
    assert quantities.with_interval("accuracy_retention", 0.98, 0.965, 1.0) == "98% ± 2"
    assert quantities.with_interval("accuracy_retention", 0.983, 0.98, 0.988) == "98.3% ± 0.5"
    assert quantities.with_interval("accuracy_change", -0.007, -0.017, 0.003) == "−0.7 ± 1.0 points"
    assert quantities.with_interval("accuracy", 0.446, None, None) == "44.6%"


def test_operations_have_three_digits() -> None:
    assert [quantities.operations(flop) for flop in (269e6, 27.24e9, 1.5e12)] == [
        "269 MFLOP",
        "27.2 GFLOP",
        "1,500 GFLOP",
    ]


def test_a_span_names_both_ends_with_their_units() -> None:
    assert quantities.span("weight_bytes", 86.42e6, 89.9e6) == "86.4 MB to 89.9 MB"
    assert quantities.span("accuracy", 0.41, 0.472) == "41.0% to 47.2%"
