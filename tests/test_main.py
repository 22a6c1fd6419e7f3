"""The command line as a process: what ends it, said in one sentence or not at all."""

import errno
import io
import subprocess
import sys

import pytest

from engine import worker
from engine.__main__ import main


def test_a_full_disk_is_one_sentence(url: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/store.db.lock")

    monkeypatch.setattr(worker, "hold", refuse)
    assert main(["worker", "--store", url]) == 2
    assert capsys.readouterr().err == (
        "error: the disk of /full/store.db.lock is full; free some space, then run it again\n"
    )


def test_what_a_terminal_has_no_letter_for_is_a_question_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr("engine.__main__.command", lambda name: lambda args: print("2.0 – 3.0", flush=True))
    main(["methods"])
    assert written.getvalue() == b"2.0 ? 3.0\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m engine methods | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dense")
    assert done.stderr == ""


def test_fetch_which_stands_before_every_start_imports_little() -> None:
    probe = (
        "import sys, engine.__main__; from engine.cli.arguments import command; command('catalog:fetch'); "
        "print(*{'numpy', 'plotly', 'sqlalchemy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
