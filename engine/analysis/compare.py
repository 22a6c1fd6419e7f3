"""Results side by side: how each compares with one of them, the base, on the questions that both answered.

Only results of one comparison (the same weights, items and protocol) and one origin are paired. Against the original
everything was derived when a result came in; against any other base it is derived here from the answers of both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engine import stats
from engine.analysis.front import is_dense, telling_score
from engine.analysis.results import COMPARED, Items, derive
from engine.outcome.row import Row

LETTERS = "ABCD"  # what results side by side are called
_OTHER = "measured on another model, other questions or under another protocol"
_ELSEWHERE = "one is recorded and the other measured here"
_NO_ANSWERS = "their single answers were not recorded, so they are paired with the original only"
_ENDS = ("", "_low", "_high")


@dataclass(frozen=True)
class Against:
    """How a result compares with the base.

    metrics: those of `engine.analysis.results.COMPARED` with their intervals, as seen from the base; missing: why there
    are none; both are empty for the base itself.
    """

    row: Row
    base: Row
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    missing: str = ""

    @property
    def paired(self) -> bool:
        return bool(self.metrics)

    def estimate(self, name: str) -> stats.Estimate | None:
        """One of the compared metrics with its interval, or None where it is not known."""
        value, low, high = (self.metrics.get(f"{name}{end}") for end in _ENDS)
        return None if value is None or low is None or high is None else stats.Estimate(value, low, high)

    @property
    def verdict(self) -> stats.Verdict | None:
        """Whether the result's answers can be told from the base's; None where they are not paired."""
        change, asked = self.estimate(f"{telling_score(self.base)}_change"), self.row.value("questions")
        return None if change is None or not asked else stats.verdict(change, int(asked))


def against(row: Row, base: Row, items_of: Callable[[str], Items]) -> Against:
    """Compare a result with the base. items_of: trial id -> its answers, asked only where the base is not dense."""
    if same(row, base):
        return Against(row, base)
    if missing := why_unpaired(row, base):
        return Against(row, base, missing=missing)
    if is_dense(base):
        metrics: Mapping[str, float | None] = row.metrics
        reasons = row.reasons
    else:
        answered, theirs = items_of(row.trial_id), items_of(base.trial_id)
        if row.recorded and not (answered and theirs):
            return Against(row, base, missing=_NO_ANSWERS)
        metrics, reasons = derive(row.metrics, answered, base.metrics, theirs)
    found = {f"{name}{end}": metrics.get(f"{name}{end}") for name in COMPARED for end in _ENDS}
    if found["accuracy_change"] is None:
        why = reasons.get("accuracy_change", "no questions were asked of one of them")
        return Against(row, base, missing=why)
    return Against(row, base, found)


def why_unpaired(row: Row, base: Row) -> str:
    """Why two results can't be paired question by question; empty where they can."""
    if row.comparison_id != base.comparison_id:
        return _OTHER
    return _ELSEWHERE if row.recorded != base.recorded else ""


def same(row: Row, other: Row) -> bool:
    """Whether two rows are one result: of the same trial and the same origin."""
    return row.trial_id == other.trial_id and row.recorded == other.recorded


def letters(rows: Sequence[Row]) -> list[str]:
    """The letter of each of up to four results."""
    return list(LETTERS[: len(rows)])
