"""Numbers with their units and sensible digits, the same wherever a result is shown.

Bytes are given in MB of 10^6 bytes; shares, stored in [0, 1], in percent; differences of accuracy in percentage points,
with a true minus sign.
"""

import math

from engine.metrics import metric

MINUS, PLUS_MINUS, UP, NOTHING = "\u2212", "\u00b1", "\u2191", "\u2013"
PERPLEXITY_LIMIT, PERPLEXITY_RATIO_LIMIT = 1000.0, 50.0  # where an axis ends; what lies beyond is drawn there


def format_value(name: str, value: float | None) -> str:
    """A metric's value with its unit and sensible digits: 86.4 MB, 3.1x, 44.6%, 12.4 ms; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    unit = metric(name).unit
    if name == "mcnemar_p":
        return by_chance(value)
    if name.startswith("perplexity") and not unit:
        return f"over {PERPLEXITY_LIMIT:,.0f} {UP}" if value > PERPLEXITY_LIMIT else _digits(value)
    if unit == "MB":
        return byte_count(value)
    if unit == "%":
        return f"{_signed(100 * value)}%"
    if unit == "points":
        return f"{_signed(100 * value, plus=True)} points"
    if unit == "x":
        return times(value)
    if unit == "M":
        return f"{_digits(value / 1e6)} M"
    if unit == "questions":
        return f"{value:,.0f}"
    if unit == "nats":
        return f"{nats(value)} nats"
    return f"{_digits(value)} {unit}".strip()


def byte_count(value: float) -> str:
    """Bytes with their unit: 86.4 MB, 1,234 MB, 0.35 MB, and below a tenth of one 70.3 kB."""
    return f"{_digits(value / 1e6)} MB" if abs(value) >= 1e5 or value == 0 else f"{_digits(value / 1e3)} kB"


def nats(value: float | None) -> str:
    """Nats a token, to a ten-thousandth: 1.23, 0.390, 0.0123, under 0.0001."""
    if value is None:
        return NOTHING
    size = abs(value)
    if size >= 0.9995 or value == 0:
        return _digits(value)
    return "under 0.0001" if size < 0.00005 else _minus(f"{value:.{4 if size < 0.09995 else 3}f}")


def by_chance(p: float | None) -> str:
    """How often chance does as much, from a p-value: 34%, 3.4%, under 0.1%."""
    if p is None:
        return NOTHING
    return "under 0.1%" if p < 0.001 else f"{100 * p:.{1 if p < 0.1 else 0}f}%"


def operations(flop: float) -> str:
    """Floating-point operations: 269 MFLOP, 27.2 GFLOP."""
    return f"{_digits(flop / 1e9)} GFLOP" if flop >= 1e9 else f"{_digits(flop / 1e6)} MFLOP"


def times(ratio: float) -> str:
    """A ratio: 3.1x, 12x; with two decimals near and below one, 1.08x and 0.85x."""
    return f"{ratio:.2f}x" if ratio < 1.195 else f"{ratio:.1f}x" if ratio < 9.95 else f"{ratio:,.0f}x"


def with_interval(name: str, value: float | None, low: float | None, high: float | None) -> str:
    """A value with the longer arm of its interval: "98% ± 2", "-0.7 ± 1.0 points" (with a true minus)."""
    if value is None or low is None or high is None:
        return format_value(name, value)
    arm = 100 * max(value - low, high - value)
    if metric(name).unit == "points":
        return f"{_signed(100 * value, plus=True)} {PLUS_MINUS} {arm:.1f} points"
    digits = 1 if arm < 0.95 else 0
    return f"{_signed(100 * value, digits)}% {PLUS_MINUS} {arm:.{digits}f}"


def span(name: str, low: float, high: float) -> str:
    """Two values of a metric as what lies between them: "86.0 MB to 89.9 MB"."""
    return f"{format_value(name, low)} to {format_value(name, high)}"


def _digits(value: float) -> str:
    """Three significant digits, none invented: 0.0123, 1.23, 12.3, 123, 1,234."""
    size = abs(value)
    if size >= 99.95:
        return _minus(f"{value:,.0f}")
    if size >= 9.995:
        return _minus(f"{value:.1f}")
    if size >= 0.9995 or size == 0:
        return _minus(f"{value:.2f}") if size else "0"
    return _minus(f"{value:.3g}")


def _signed(value: float, digits: int = 1, plus: bool = False) -> str:
    text = f"{value:+.{digits}f}" if plus else f"{value:.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else _minus(text)


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
