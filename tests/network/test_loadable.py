"""What can't be loaded is refused before any work, once for the same files."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import assets, trials
from engine.errors import InputError
from engine.network import loadable, sources
from engine.network.loadable import refuse_unloadable
from engine.system.child import Outcome


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a tiny llama's folder, to harm."""
    copy: Path = shutil.copytree(tiny_folder("llama"), tmp_path / "mine")
    return copy


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that a process was started for, each of which finds nothing wrong."""
    asked: list[str] = []

    def run(job, *_: object) -> Outcome:
        asked.append(job["model"])
        return Outcome("done")

    monkeypatch.setattr(loadable, "run_in_child", run)
    return asked


def test_a_model_that_can_not_be_loaded_is_refused_before_any_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "refuse_unloadable", refuse_unloadable)
    (folder / "tokenizer.json").write_text("{}")
    says = rf"^can't load the tokenizer of the model '{folder}': KeyError 'added_tokens'$"
    with pytest.raises(InputError, match=says):
        trials.find_model(str(folder))
    monkeypatch.setattr(loadable, "LOOK", ("false",))  # remembered: no process is asked again
    with pytest.raises(InputError, match=says):
        trials.find_model(str(folder))


def test_a_model_that_can_be_loaded_is_not_refused(folder: Path, tmp_path: Path) -> None:
    refuse_unloadable(sources.resolve(str(folder)))
    assert len(list((tmp_path / "cache" / "loadable").iterdir())) == 1  # the process found it fine


def test_a_model_is_looked_at_once_until_a_file_of_it_changes(folder: Path, looks: list[str]) -> None:
    source = sources.resolve(str(folder))
    for change, times in (("", 1), ("", 1), ("special_tokens_map.json", 2)):
        if change:
            (folder / change).write_text("{}")
        loadable._said.cache_clear()  # as another process begins
        refuse_unloadable(source)
        assert looks == [str(folder)] * times


def test_the_default_model_needs_no_look(folder: Path, looks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "model_dir", lambda: folder)
    refuse_unloadable(sources.resolve(assets.MODEL_NAME))
    assert looks == []


def test_what_the_process_can_not_tell_is_left_to_the_trials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = sources.resolve(str(folder))
    monkeypatch.setattr(loadable, "LOOK", ("false",))
    refuse_unloadable(source)
    assert not (folder.parent / "cache" / "loadable").exists()


def test_it_imports_without_torch() -> None:
    code = "import sys, engine.network.loadable; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
