"""`report` and `save`: the files they write."""

from pathlib import Path

import pytest

from engine.__main__ import main
from tests import fake_trial
from tests.cli.conftest import run

pytestmark = pytest.mark.usefixtures("prepared")


def test_report_and_save_write_their_files(tmp_path: Path, capsys) -> None:
    run(fake_trial.WORKS)
    capsys.readouterr()
    assert main(["report", str(tmp_path / "report.html")]) == 0
    assert main(["report", str(tmp_path / "shipped.html"), "--recorded", "--memory", "0.5"]) == 0
    assert main(["save", str(tmp_path / "mine.kneepoint")]) == 0
    assert "2 finished trials are in" in capsys.readouterr().out
    assert "Measured by whoever wrote this report" in (tmp_path / "report.html").read_text()
    assert "Shipped with Kneepoint" in (tmp_path / "shipped.html").read_text()
    assert (tmp_path / "mine.kneepoint").read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(("name", "value"), [("price", "nan"), ("memory", "-1"), ("points", "inf")])
def test_a_report_needs_numbers(tmp_path: Path, capsys, name: str, value: str) -> None:
    assert main(["report", str(tmp_path / "report.html"), "--recorded", f"--{name}", value]) == 2
    assert f"--{name} must be a number that is not below 0" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()
