"""Results as a table: the keyboard's way to every point."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from engine.analysis import words
from engine.analysis.front import Front, own_value
from engine.metrics import METRICS, summary
from engine.outcome.row import Row
from engine.plots.palette import family
from pages.shared import markup, stored
from pages.shared.frame import narrow
from pages.shared.result_words import short_verdict

_SCALES = {
    "MB": (1e-6, "%.1f MB"),
    "%": (100.0, "%.1f%%"),
    "points": (100.0, "%+.1f"),
    "x": (1.0, "%.2fx"),
    "ms": (1.0, "%.1f ms"),
}
_WIDE = 270  # pixels of a result's name, which leave room for what it comes to in a window of 1280


def draw_table(rows: Sequence[Row], front: Front, key: str, on_row: Callable[[str], None]) -> None:
    """The finished rows, on the front first; choosing a row calls `on_row` with its trial id."""
    shown, cells = _cells(rows, front, stored.stamp(rows), front.x.name, front.y.name)

    def chosen() -> None:
        picked = st.session_state[key].selection.rows
        if picked and picked[0] < len(shown):
            on_row(shown[picked[0]].trial_id)

    st.dataframe(
        cells,
        key=key,
        hide_index=True,
        on_select=chosen,
        selection_mode="single-row",
        height=min(38 + 35 * len(shown), 420),
        column_config=_config(front.score),
        placeholder="–",
    )
    if narrow():
        markup.soft("Scroll the table sideways for more columns.")


@st.cache_resource(show_spinner=False, max_entries=8)
def _cells(_rows: Sequence[Row], _front: Front, key: int, x: str, y: str) -> tuple[list[Row], pd.DataFrame]:
    """The finished rows in the table's order, with their cells."""
    done = (row for row in _rows if row.state == "done")
    shown = sorted(done, key=lambda row: (row.trial_id not in _front.best_ids, _size(row)))
    return shown, frame_of(shown, _front)


def frame_of(rows: Sequence[Row], front: Front) -> pd.DataFrame:
    """The table's cells in the units they are shown in."""
    columns: dict[str, list[object]] = {
        "Result": [f"{family(row.family).glyph} {row.label}{words.marks(row)}" for row in rows]
    }
    score = front.score
    for name in _names(score):
        scale = _SCALES.get(METRICS[name].unit, (1.0, ""))[0]
        columns[METRICS[name].label] = [None if (v := own_value(row, name)) is None else v * scale for row in rows]
        if name == score:
            columns["Against the original"] = [short_verdict(row, score) for row in rows]
        if name == f"{score}_change":
            columns["Standing"] = [_standing(row, front) for row in rows]
    return pd.DataFrame(columns)


def _names(score: str) -> list[str]:
    return [*summary(score), "decode_ms_per_token"]


def _config(score: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Result": st.column_config.TextColumn(width=200 if narrow() else _WIDE, pinned=not narrow()),
        "Against the original": st.column_config.TextColumn(
            help="Accuracy on the same questions: better or worse where the 95% interval of the change leaves zero out."
        ),
        "Standing": st.column_config.TextColumn(
            help="Simulated: no kernel here runs it packed, so it has no speed or memory."
        ),
    }
    for name in _names(score):
        found = METRICS[name]
        format = _SCALES.get(found.unit, (1.0, "%.1f"))[1]
        head = "Change (points)" if found.unit == "points" else found.label  # short enough to be whole at 1440 pixels
        config[found.label] = st.column_config.NumberColumn(head, format=format, help=found.definition)
    return config


def _standing(row: Row, front: Front) -> str:
    words_of = ["front"] if row.trial_id in front.best_ids else []
    return ", ".join([*words_of, *(["simulated"] if row.simulated else [])])


def _size(row: Row) -> float:
    return row.value("weight_bytes") or float("inf")
