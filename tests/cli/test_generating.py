"""`generate` on the command line: texts, partings, and what is refused."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.running import compressed, exporter, lane
from engine.store import Store
from tests.running.test_writer import compress_here

RECIPES = ("dense", "quantize:rtn,bits=8,group_size=32")


@pytest.fixture
def url(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store whose lane is a thread, that compresses in this process."""
    monkeypatch.setattr(compressed, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(exporter, "run_in_child", compress_here)
    monkeypatch.setattr(lane, "ensure_running", serve)
    Store(url).close()
    return url


def serve(url: str) -> bool:
    threading.Thread(target=lane.serve, args=(url, print, threading.Event(), 1.0), daemon=True).start()
    return True


def test_every_text_is_printed_under_its_recipe(
    url: str, tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tiny_folder("llama"))
    command = ["generate", "Why?", *RECIPES, "--model", model, "--tokens", "6", "--plain", "--store", url]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "dense: 6 tokens, " in printed
    assert "quantize:rtn,bits=8,group_size=32: 6 tokens, " in printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["", "dense"], "write a prompt"),
        (["Why?", *["dense"] * 5], "takes 1 to 4 trials or recipes, got 5"),
        (["Why?", "dense", "--tokens", "0"], "number of tokens must be in [1, 512], got 0"),
        (["Why?", "0123456789abcdef"], "there is no trial '0123456789abcdef'"),
        (["Why?", "quantize:rtn,bits=9"], "bits must be"),
    ],
)
def test_what_can_not_be_asked_is_refused_in_a_sentence(
    url: str, tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str], arguments, says: str
) -> None:
    command = ["generate", *arguments, "--model", str(tiny_folder("llama"))]
    assert main([*command, "--store", url]) == 2
    assert says in capsys.readouterr().err
