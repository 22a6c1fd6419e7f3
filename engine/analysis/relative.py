"""Results as shares of their own original, so that several models and sweeps can stand on one front."""

from collections.abc import Sequence
from dataclasses import replace

from engine.analysis.front import is_dense
from engine.metrics import SCORES
from engine.outcome.row import Row

TOGETHER = "together"  # the comparison that results of several comparisons are put into
RELATIVE = {
    **{score: f"{score}_change" for score in SCORES},
    "top1_agreement": "top1_agreement",
    "perplexity": "perplexity_ratio",
}


def relative(rows: Sequence[Row]) -> list[Row]:
    """The rows in their order, finished ones with `perplexity_ratio` against the original of their comparison."""
    dense = {row.comparison_id: row for row in rows if row.state == "done" and is_dense(row)}
    return [_with_ratio(row, dense.get(row.comparison_id)) for row in rows]


def together(*groups: Sequence[Row]) -> list[Row]:
    """The rows of several comparisons as if of one, each result once, those of the first group first.

    Only metrics that are relative to a result's own original, or true of it alone, may then be compared.
    """
    rows: dict[str, Row] = {}
    for group in groups:
        for row in relative(group):
            rows.setdefault(row.trial_id, replace(row, comparison_id=TOGETHER))
    return list(rows.values())


def _with_ratio(row: Row, dense: Row | None) -> Row:
    ours, theirs = row.value("perplexity"), dense.value("perplexity") if dense else None
    if row.state != "done" or not ours or not theirs:
        return row
    return replace(row, metrics={**row.metrics, "perplexity_ratio": ours / theirs})
