"""What a page gives away to take along: its numbers as CSV."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from engine.front import Front
from engine.row import Row
from pages.shared.results_table import csv_of


def csv_button(rows: Sequence[Row], front: Front, key: str) -> None:
    """Every number of the rows behind the page's charts and tables, in the store's own units."""
    make = partial(csv_of, rows, front)
    st.download_button("Download CSV", make, "kneepoint.csv", "text/csv", key=key, on_click="ignore")
