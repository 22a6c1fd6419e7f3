"""A decision in words, for a meeting: the recommendation, what is gained, what it costs, what breaks."""

from dataclasses import dataclass

from engine import quantities
from engine.analysis import words
from engine.analysis.front import FLATTERED_NOTE, Front, flattered, is_dense
from engine.meeting.costs import cost_per_million, gigabytes, memory_bytes, money, tokens_per_second
from engine.meeting.terms import Terms
from engine.outcome.row import Row


@dataclass(frozen=True)
class Decision:
    """Four answers: what to use by name, the others in sentences."""

    recommendation: str
    gain: str
    cost: str
    breaks: str


@dataclass(frozen=True)
class Units:
    """A result in a stakeholder's units, as texts; a dash stands for what is not known."""

    weights: str
    quality: str
    memory: str
    fits: str  # "fits", "does not fit" or the dash
    tokens_per_second: str
    cost_per_million: str


def decide(row: Row, front: Front) -> Decision:
    """What to say of a result that is recommended, beside the original of its front."""
    dense = front.dense
    if is_dense(row):
        return Decision(
            "Keep the original model",
            f"{words.size(row, dense)} Nothing is saved.",
            _sentences("Nothing.", words.quality(row, dense)),
            "Nothing changes.",
        )
    return Decision(
        f"{row.label}{words.marks(row)}",
        _sentences(words.size(row, dense), words.speed(row), _memory(row, dense)),
        _sentences(words.quality(row, dense), words.perplexity(row, dense)),
        _sentences(_changed(row), _beyond(row, front), FLATTERED_NOTE if flattered(row) else ""),
    )


def units(row: Row, front: Front, terms: Terms) -> Units:
    """A result's figures for the table of picks."""
    speed, need = tokens_per_second(row, front.dense), memory_bytes(row)
    cost = cost_per_million(speed, terms.price_per_hour)
    return Units(
        weights=quantities.format_value("weight_bytes", row.value("weight_bytes")),
        quality=quantities.format_value(front.y.name, row.value(front.y.name)),
        memory=quantities.NOTHING if need is None else gigabytes(need),
        fits=quantities.NOTHING if need is None else "fits" if need <= terms.memory_bytes else "does not fit",
        tokens_per_second=quantities.NOTHING if speed is None else f"{speed:.{1 if speed < 99.5 else 0}f}",
        cost_per_million=quantities.NOTHING if cost is None else money(cost),
    )


def _memory(row: Row, dense: Row | None) -> str:
    now, before = memory_bytes(row), memory_bytes(dense) if dense else None
    if now is None:
        return ""
    was = f", the original {gigabytes(before)}" if before else ""
    return f"Runs in {gigabytes(now)} of memory{was}."


def _changed(row: Row) -> str:
    """How many answers are different now, and which way they went."""
    flips, asked = row.value("flips"), row.value("questions")
    if flips is None or not asked:
        return ""
    said = f"{quantities.format_value('flips', flips)} of {asked:,.0f} answers are different now"
    wrong, right = row.value("flips_to_wrong"), row.value("flips_to_right")
    detail = "" if wrong is None or right is None else f": {wrong:,.0f} went wrong, {right:,.0f} came right"
    return f"{said}{detail}."


def _beyond(row: Row, front: Front) -> str:
    """What the next smaller result of the front would keep."""
    if front.x.name != "weight_bytes":
        return ""
    size = row.value("weight_bytes") or 0.0
    smaller = [other for other in front.best if (other.value("weight_bytes") or 0.0) < size]
    if not smaller:
        return "No smaller result stands on the front."
    below = smaller[-1]
    value = words.short_name(front.y).lower()
    there, here = (quantities.format_value(front.y.name, one.value(front.y.name)) for one in (below, row))
    name = words.distinct_labels([row, below])[below.trial_id]
    return f"One step smaller, {name}: {value} {there}, here {here}."


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)
