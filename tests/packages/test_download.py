"""pip itself runs here, on a folder of wheels in place of an index."""

import hashlib
import zipfile
from dataclasses import replace

import pytest

from engine.errors import InputError
from engine.packages import download
from engine.packages.download import Wheel


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A small wheel that pip finds without network, and its pins."""
    index = tmp_path / "index"
    index.mkdir()
    path = index / "kneepoint_probe-1.0-py3-none-any.whl"
    info = "kneepoint_probe-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("probe/data.txt", "data")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: kneepoint-probe\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    content = path.read_bytes()
    return Wheel("kneepoint-probe", "1.0", len(content), hashlib.sha256(content).hexdigest())


def test_pip_brings_the_wheel_and_a_second_call_does_not_ask_it(wheel, tmp_path, monkeypatch):
    stages = []
    path = download.fetch(wheel, tmp_path / "into", stages.append)
    assert download.sha256(path) == wheel.sha256
    assert (stages[-1].stage, stages[-1].done) == ("downloading kneepoint-probe", wheel.size)
    monkeypatch.setattr(download, "_run_pip", None)
    assert download.fetch(wheel, tmp_path / "into", stages.append) == path
    assert [p.name for p in path.parent.iterdir()] == [wheel.filename]


def test_a_wrong_sha256_never_counts_as_present(wheel, tmp_path):
    wrong = replace(wheel, sha256="0" * 64)
    with pytest.raises(InputError, match=r"in 3 tries: the file's sha256 is"):
        download.fetch(wrong, tmp_path / "into", lambda progress: None, pause_seconds=0)
    assert list((tmp_path / "into").iterdir()) == []


def test_a_damaged_file_from_before_is_brought_again(wheel, tmp_path):
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / wheel.filename).write_bytes(b"half")
    assert download.sha256(download.fetch(wheel, tmp_path / "into", lambda progress: None)) == wheel.sha256


def test_it_tries_again_and_says_so(wheel, tmp_path, monkeypatch):
    real, calls, stages = download._run_pip, [], []

    def flaky(*arguments):
        calls.append(1)
        return "the connection broke" if len(calls) < 3 else real(*arguments)

    monkeypatch.setattr(download, "_run_pip", flaky)
    download.fetch(wheel, tmp_path / "into", lambda p: stages.append(p.stage), pause_seconds=0)
    assert len(calls) == 3
    assert "downloading kneepoint-probe (try 3 of 3)" in stages


def test_a_full_disk_is_not_tried_again(wheel, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(download, "_run_pip", lambda *a: calls.append(1) or "[Errno 28] No space left on device")
    with pytest.raises(InputError, match="is full"):
        download.fetch(wheel, tmp_path / "into", lambda progress: None, pause_seconds=0)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("WARNING: Retrying after NewConnectionError('x')\nERROR: No matching", "can't be reached"),
        ("/usr/bin/python: No module named pip", "has no pip"),
        ("ERROR: Could not get https://index.example/simple/x", "Could not get the index"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "No space left"),
        ("", "without a reason"),
    ],
)
def test_pips_reason_is_one_line_without_addresses(log, words):
    assert words in download._last_words(log)
