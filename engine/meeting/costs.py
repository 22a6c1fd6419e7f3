"""What a stakeholder asks of a result: does it fit, how fast is it, what does a million tokens cost.

Speeds are those of one sequence at a time on the machine that measured. The original's tokens a second are its own;
those of a compressed model are the original's times the speed-up that was measured side by side, since times of
different hours on one machine differ by more than many methods do.
"""

from engine.outcome.row import Row

SECONDS_PER_HOUR = 3600
HOW = (
    "Tokens a second: the original's, times the speed-up measured beside it; one sequence at a time, on the machine "
    "named here. Cost: the hourly price over the tokens of an hour at that speed. Serving many at once is cheaper."
)


def tokens_per_second(row: Row, dense: Row | None) -> float | None:
    """Tokens decoded a second, one sequence at a time; None where that is not known of a real kernel."""
    if row.simulated:
        return None
    base, ratio = dense.value("decode_tokens_per_s") if dense else None, row.value("decode_speedup")
    if row.recipe == "dense" or not base or not ratio:
        return row.value("decode_tokens_per_s")
    return base * ratio


def cost_per_million(speed: float | None, price_per_hour: float) -> float | None:
    """The price of a million tokens at `speed` tokens a second, in the currency of the price."""
    return None if not speed else price_per_hour * 1e6 / (speed * SECONDS_PER_HOUR)


def memory_bytes(row: Row) -> float | None:
    """The peak memory of running it; None where it was not measured or is not that of a real kernel."""
    return None if row.simulated else row.value("peak_memory_bytes")


def gigabytes(value: float) -> str:
    """Bytes as GB of 10^9: 0.17 GB, 1.2 GB, 16 GB."""
    amount = value / 1e9
    digits = 2 if amount < 0.995 else 1 if amount < 9.95 and round(amount, 1) % 1 else 0
    return f"{amount:,.{digits}f} GB"


def money(value: float) -> str:
    """A price: 0.046, 1.77, 123."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"
