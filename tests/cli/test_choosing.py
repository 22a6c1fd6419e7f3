"""`front`: the table it prints and the JSON it writes."""

import gc
import json
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from engine.__main__ import main
from engine.analysis.front import FLATTERED_NOTE
from engine.cli import choosing
from engine.outcome.kept import NOTHING_KEPT
from engine.recorded import Entry
from engine.store import version
from tests import fake_trial
from tests.cli.conftest import recipe, run
from tests.made_rows import row, sweep

pytestmark = pytest.mark.usefixtures("prepared")


def test_front_marks_the_trials_on_it_and_writes_all(tmp_path: Path, capsys) -> None:
    for bits in (fake_trial.WORKS, fake_trial.CHATTY):
        run(bits)
    capsys.readouterr()
    target = tmp_path / "front.json"
    assert main(["front", "--json", str(target)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines[recipe(3)].endswith("*")
    assert not lines[recipe(8)].endswith("*")
    written = {entry["recipe"]: entry for entry in json.loads(target.read_text())}
    assert {name: entry["on_front"] for name, entry in written.items()} == {
        "dense": False,
        recipe(3): True,
        recipe(8): False,
    }
    assert all("items" not in entry for entry in written.values())
    assert written[recipe(3)]["texts"] == fake_trial.written(3)[:5]
    assert not any("answers" in entry for entry in written.values())
    assert main(["front", "--answers", "--json", str(target)]) == 0
    assert all(set(entry["answers"]) == {"piqa"} for entry in json.loads(target.read_text()))


def test_what_only_reads_does_not_write_a_store_that_can_not_be_written(tmp_path: Path, monkeypatch, capsys) -> None:
    run(fake_trial.WORKS)
    gc.collect()  # closes the command's connections, which write what lies beside the file into it
    capsys.readouterr()

    def refused(*_: object) -> None:
        raise OperationalError("BEGIN IMMEDIATE", None, sqlite3.OperationalError("readonly database"))

    monkeypatch.setattr(version, "prepare", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK or Path(path).name != "store.db")
    assert main(["front"]) == 0
    assert recipe(8) in capsys.readouterr().out
    assert main(["report", str(tmp_path / "report.html")]) == 0


def test_front_says_where_the_knee_is_and_what_is_not_as_real_as_it_looks(monkeypatch, capsys) -> None:
    grid = "quantize:rtn,bits=4,group_size=32,symmetric=false"
    rows = [*sweep()[0], row(grid, metrics={"weight_bytes": 1e8, "accuracy": 0.5})]
    monkeypatch.setattr(choosing, "entries", lambda: {row.trial_id: Entry(row, NOTHING_KEPT) for row in rows})
    assert main(["front", "--recorded"]) == 0
    said = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    assert "yes" in lines["quantize:rtn,bits=2,group_size=64"]
    assert "yes" not in lines["quantize:rtn,bits=8,group_size=64"]
    assert f"{grid}†" in lines
    assert FLATTERED_NOTE in said
    assert "\nThe knee" in said
