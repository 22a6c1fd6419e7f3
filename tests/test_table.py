import io

import pandas as pd
import pytest

from engine.row import Row
from engine.table import TRIAL, csv_text, table_frame
from tests.made_rows import row, sweep

ROWS = sweep()[0]


def test_values_are_in_the_headers_units_and_missing_where_not_measured() -> None:
    frame = table_frame(ROWS).set_index(TRIAL)
    four = frame.loc[ROWS[2].trial_id]
    assert four["Weights (MB)"] == pytest.approx(0.42 * 269.030016)
    assert four["Accuracy (%)"] == pytest.approx(46)
    assert four["Change in accuracy (points)"] == pytest.approx(-4)
    assert pd.isna(frame.loc[ROWS[3].trial_id, "Decoding speed-up (x)"])
    assert "Peak memory (MB)" not in frame.columns


def test_the_table_says_what_the_front_shows() -> None:
    frame = table_frame(ROWS)
    assert frame["Front"].isin(["yes", "knee"]).tolist() == [i in (1, 2, 3, 7) for i in range(len(ROWS))]
    assert frame["Front"].tolist().count("knee") == 1
    assert frame["Simulated"].tolist().count("yes") == 2


def test_failed_trials_have_a_line_with_their_reason() -> None:
    failed = Row("f" * 16, "group", "m", "prune:layers,count=3", {}, state="failed", reason="ran out of memory")
    assert table_frame([*ROWS, failed]).iloc[-1][["State", "Failure"]].tolist() == ["failed", "ran out of memory"]


def test_no_rows_give_an_empty_table() -> None:
    assert len(table_frame([])) == 0


def test_csv_reads_back_and_runs_no_formula() -> None:
    evil = row(model='=HYPERLINK("http://x")', metrics={"weight_bytes": 1e6, "accuracy": 0.5, "accuracy_change": -0.1})
    read = pd.read_csv(io.StringIO(csv_text(table_frame([evil]))), dtype={TRIAL: str})
    assert read["Model"][0] == '\'=HYPERLINK("http://x")'
    assert read["Change in accuracy (points)"][0] == -10
    assert read[TRIAL][0] == evil.trial_id
