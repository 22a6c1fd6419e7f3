"""What a page gives away to take along: its numbers as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from engine.analysis.front import Front, flattered, telling_quality
from engine.outcome.row import Row
from pages.shared import stored
from pages.shared.result_words import short_verdict


def csv_button(rows: Sequence[Row], front: Front, key: str) -> None:
    """Every number of the rows behind the page's charts and tables, in the store's own units.

    front: which of them stand on it is a column.
    """
    make = partial(results_csv, rows, front)
    st.download_button("Download CSV", make, "kneepoint.csv", "text/csv", key=key, on_click="ignore")


def front_of(row: Row) -> Front:
    """The front of size and quality that a result is compared on."""
    group = stored.group_of(row)
    rows = group.rows if group else (row,)
    return stored.front_of(rows, "weight_bytes", telling_quality(rows, row.comparison_id), row.comparison_id)


def results_csv(rows: Sequence[Row], front: Front) -> str:
    """Every number of the rows in the store's own units, one line a result."""
    names = sorted({name for row in rows for name in row.metrics})
    lines = [{**_said(row, front), **{name: row.metrics.get(name) for name in names}} for row in rows]
    return csv_of(list(lines[0]) if lines else [], (line.values() for line in lines))


def csv_of(heads: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return text.getvalue()


def _said(row: Row, front: Front) -> dict[str, str | bool]:
    return {
        "trial": row.trial_id,
        "model": _inert(row.model),
        "recipe": row.recipe,
        "words": row.label,
        "state": row.state,
        "origin": "recorded" if row.recorded else "measured here",
        "on_front": row.trial_id in front.best_ids,
        "verdict": short_verdict(row, front.score),
        "simulated": row.simulated,
        "flattered": flattered(row),
        "reason": _inert(row.reason),
    }


def _inert(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
