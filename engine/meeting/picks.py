"""The results that a meeting decides between: the knee, the smallest within a margin, the best that fits a memory.

What a pick is made from is a front: only results that stand on it are considered, and results that are simulated or
flattered never, but for a simulated knee that nothing smaller on the front stands in for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.analysis import words
from engine.analysis.front import Front, best_of, is_dense, may_be_picked
from engine.analysis.limits import Limit, smallest_within
from engine.meeting.costs import gigabytes, memory_bytes
from engine.meeting.terms import Terms
from engine.metrics import METRICS
from engine.outcome.row import Row

KINDS = {
    "knee": "The knee",
    "within": "Smallest within the margin",
    "fits": "Best that fits the memory",
    "original": "The original",
}


@dataclass(frozen=True)
class Choice:
    """One pick: what it is called, its result (None where there is none), and why it is that one."""

    name: str
    row: Row | None
    why: str


def choose(front: Front, terms: Terms) -> list[Choice]:
    """The picks in their order; one result that is picked twice stands once, under both names."""
    found: list[Choice] = []
    for kind in terms.picks:
        choice = _choice(front, kind, terms)
        same = next((n for n, c in enumerate(found) if c.row and choice.row and c.row is choice.row), None)
        if same is None:
            found.append(choice)
        else:
            name = choice.name[0].lower() + choice.name[1:]
            found[same] = replace(
                found[same], name=f"{found[same].name}, {name}", why=f"{found[same].why} {choice.why}"
            )
    return found


def recommended(choices: Sequence[Choice]) -> Choice | None:
    """The first pick that is a result."""
    return next((choice for choice in choices if choice.row is not None), None)


def within(front: Front, points: float) -> Row | None:
    """The smallest real result that is shown to lose at most so many points of the front's quality; maybe the original.

    Of accuracy the whole 95% interval of the paired change must lie above; of the next word, the share itself. Other
    qualities have no points: then only the original is within.
    """
    change = f"{front.y.name}_change"
    if front.y.name == "top1_agreement":
        limit = Limit("top1_agreement", 1 - points / 100)
    elif change in METRICS:
        limit = Limit(change, -points / 100)
    else:
        return front.dense
    return smallest_within(front.points, [limit]).row


def fits(front: Front, memory: float) -> Row | None:
    """The real result of best quality that was measured to run within so many bytes, the smaller one of two equals."""
    sound = [row for row in front.points if may_be_picked(row)]
    return best_of([row for row in sound if (need := memory_bytes(row)) is not None and need <= memory], front.y)


def _choice(front: Front, kind: str, terms: Terms) -> Choice:
    if kind == "knee":
        return _knee(front)
    if kind == "within":
        name = f"Smallest within {_margin(terms.points)}"
        row = within(front, terms.points)
        return Choice(name, row, _why_within(row, front, terms.points))
    if kind == "fits":
        row = fits(front, terms.memory_bytes)
        budget = gigabytes(terms.memory_bytes)
        why = f"The best that was measured to run in {budget}." if row else f"Nothing was measured to run in {budget}."
        return Choice(f"Best that fits {budget}", row, why)
    if kind == "original":
        return Choice(KINDS[kind], front.dense, "What all others are compared with.")
    row = next((row for row in front.points if row.trial_id == kind), None)
    return Choice("Chosen", row, "Chosen by hand." if row else "It is not on these axes.")


def _knee(front: Front) -> Choice:
    """The knee; of one that is simulated the next smaller step of the front that runs, where there is one."""
    row, why = front.knee.row if front.knee else None, words.knee(front) or words.NO_KNEE
    if row is not None and row.simulated:
        size = row.value("weight_bytes") or 0.0
        steps = [one for one in front.points if one.trial_id in front.best_ids and may_be_picked(one)]
        if below := best_of([one for one in steps if (one.value("weight_bytes") or 0.0) < size], front.y):
            why = f"{why} The result there is simulated; this is the next smaller one that runs."
            return Choice("Next to the knee", below, why)
    return Choice(KINDS["knee"], row, why)


def _why_within(row: Row | None, front: Front, points: float) -> str:
    if front.y.name == "top1_agreement":
        what = f"to keep the original's next word {100 - points:g}% of the time"
    else:
        quality = words.short_name(front.y).lower()
        what = f"to stay within {_margin(points)} of the original's {quality}, at 95% confidence"
    if row is None or is_dense(row):
        return f"No smaller result is shown {what}."
    return f"The smallest that is shown {what}."


def _margin(points: float) -> str:
    return f"{points:g} point{'' if points == 1 else 's'}"
