"""The command line as a process: what ends it, said in one sentence or not at all."""

import errno
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
