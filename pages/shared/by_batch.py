"""Compare's section "Speed by batch and prompt": times as fast as the original, panel by panel."""

from collections.abc import Sequence

import streamlit as st

from engine.outcome.latency_cells import NAME, LatencyGrid
from engine.outcome.row import Row
from engine.plots.batches import CSV_HEADS, batch_figure, csv_data
from pages.shared import chart, frame, markup, side_profiles, take_along

_COST = "It compresses them once more and times twelve cases beside the original, which takes minutes."
_ABOUT = (
    "The original's time over the result's, both timed in turns in one run, each in the number format that is faster "
    "for it there. Above the dashed line the result is faster. Whiskers: 95% intervals; milliseconds on hover."
)


def draw(rows: Sequence[Row]) -> None:
    """The section; nothing where the original is alone."""
    if all(row.recipe == "dense" for row in rows):
        return
    every = side_profiles.read(rows, NAME, LatencyGrid.from_dict)
    found = {letter: pair for letter, pair in every.items() if pair[0].recipe != "dense" and pair[1].cells}
    markup.head("Speed by batch and prompt")
    if found:
        figure = batch_figure(found, frame.theme(), compact=frame.narrow())
        alt = "Times as fast as the original, by batch, for three prompts and for decoding"
        chart.draw(figure, key="compare:batches", alt=alt, name="batch-and-prompt")
        disturbed = any(cell.disturbed for _, grid in found.values() for cell in grid.cells)
        markup.soft(_ABOUT + (" Open marks: timed beside other load." if disturbed else ""))
        st.download_button(
            "Times as CSV", lambda: take_along.csv_of(CSV_HEADS, csv_data(found)), "kneepoint-batches.csv",
            "text/csv", key="compare:batches:csv", on_click="ignore",
        )  # fmt: skip
    side_profiles.draw_missing(rows, every, NAME, "Times by batch and prompt", _COST)
