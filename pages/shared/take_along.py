"""What a page gives away to take along: its numbers as CSV."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.front import Front, telling_quality
from engine.row import Row
from pages.shared import stored
from pages.shared.results_table import csv_of


def csv_button(rows: Sequence[Row], front: Front, key: str) -> None:
    """Every number of the rows behind the page's charts and tables, in the store's own units.

    front: which of them stand on it is a column.
    """
    make = partial(csv_of, rows, front)
    st.download_button("Download CSV", make, "kneepoint.csv", "text/csv", key=key, on_click="ignore")


def front_of(row: Row) -> Front:
    """The front of size and quality that a result is compared on."""
    group = stored.group_of(row)
    rows = group.rows if group else (row,)
    return stored.front_of(rows, "weight_bytes", telling_quality(rows, row.comparison_id), row.comparison_id)
