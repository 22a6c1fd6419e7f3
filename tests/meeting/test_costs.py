"""A stakeholder's units."""

import pytest

from engine.meeting.costs import cost_per_million, gigabytes, memory_bytes, money, tokens_per_second
from tests.made_rows import row

DENSE = row("dense", "0" * 16, metrics={"decode_tokens_per_s": 20.0, "peak_memory_bytes": 4e8})


def test_the_cost_of_a_million_tokens_is_the_price_of_the_hours_they_take() -> None:
    assert cost_per_million(100.0, 0.36) == pytest.approx(1.0)  # 10,000 s at 0.0001 a second
    assert cost_per_million(None, 1.0) is None
    assert cost_per_million(50.0, 0.0) == 0.0


def test_speed_is_the_originals_times_what_was_measured_side_by_side() -> None:
    fast = row("quantize:rtn,bits=8", "1" * 16, metrics={"decode_tokens_per_s": 99.0, "decode_speedup": 1.5})
    assert tokens_per_second(DENSE, DENSE) == 20.0
    assert tokens_per_second(fast, DENSE) == 30.0
    assert tokens_per_second(fast, None) == 99.0


def test_what_is_simulated_has_neither_speed_nor_memory() -> None:
    metrics = {"decode_tokens_per_s": 9.0, "decode_speedup": 1.0, "peak_memory_bytes": 1e9}
    held = row("quantize:rtn,bits=3", "1" * 16, metrics=metrics, simulated=True)
    assert tokens_per_second(held, DENSE) is None
    assert memory_bytes(held) is None


@pytest.mark.parametrize(
    ("amount", "says"), [(0.17e9, "0.17 GB"), (1e9, "1 GB"), (1.25e9, "1.2 GB"), (4e9, "4 GB"), (16.2e9, "16 GB")]
)
def test_memory_in_gigabytes(amount: float, says: str) -> None:
    assert gigabytes(amount) == says


@pytest.mark.parametrize(("amount", "says"), [(0.0, "0"), (0.0461, "0.046"), (1.768, "1.77"), (1234.4, "1,234")])
def test_money_has_no_currency(amount: float, says: str) -> None:
    assert money(amount) == says
