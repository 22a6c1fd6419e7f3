"""Tasks from the hub, with stand-ins for the network and for the `datasets` library."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine import tasks
from engine.errors import InputError
from engine.packages import download
from engine.tasks import hub
from engine.tasks.hub import HubData

SOURCE = HubData("owner/set", "ab" * 20, "test", ("one", "two"))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch):
    """Answers every configuration with two rows; what was asked for."""
    asked = []

    def load_rows(source, config):
        asked.append((source.dataset, source.revision, source.split, config))
        return [{"config": config, "n": 0, "text": "“é”"}, {"config": config, "n": 1, "text": ""}]

    monkeypatch.setattr(hub, "load_rows", load_rows)
    return asked


def fail_with(monkeypatch, error):
    def load_rows(source, config):
        raise error

    monkeypatch.setattr(hub, "load_rows", load_rows)


def test_configurations_are_written_one_after_the_other_and_asked_for_once(asked):
    assert hub.downloaded("task", SOURCE) is None
    path = hub.fetch("task", SOURCE)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(row["config"], row["n"]) for row in rows] == [("one", 0), ("one", 1), ("two", 0), ("two", 1)]
    assert rows[0] == {"config": "one", "n": 0, "text": "“é”"}
    assert hub.fetch("task", SOURCE) == hub.downloaded("task", SOURCE) == path
    assert asked == [("owner/set", "ab" * 20, "test", config) for config in ("one", "two")]


def test_the_commit_and_the_sha256_are_kept_with_the_file(asked):
    path = hub.fetch("task", SOURCE)
    facts = json.loads((path.parent / "kneepoint-complete.json").read_text())
    assert (facts["dataset"], facts["revision"], facts["records"]) == ("owner/set", "ab" * 20, 4)
    assert facts["sha256"] == download.sha256(path)


def test_another_commit_is_another_file(asked):
    hub.fetch("task", SOURCE)
    moved = HubData("owner/set", "cd" * 20, "test", ("one",))
    assert hub.downloaded("task", moved) is None
    assert len(hub.fetch("task", moved).read_text().splitlines()) == 2


def test_a_download_that_breaks_off_leaves_nothing(monkeypatch):
    def load_rows(source, config):
        if config == "two":
            raise ConnectionError("the line broke.\nTry again")
        return [{"n": 0}]

    monkeypatch.setattr(hub, "load_rows", load_rows)
    with pytest.raises(InputError) as raised:
        hub.fetch("task", SOURCE)
    assert str(raised.value) == (
        "task could not be taken from the hub, owner/set (the line broke. Try again): try again with a network, "
        "or give a folder with task.jsonl as --data or KNEEPOINT_DATA"
    )
    assert hub.downloaded("task", SOURCE) is None


def test_a_full_disk_and_a_missing_library_say_so(monkeypatch):
    fail_with(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(InputError, match=r"disk of .* is full; nothing was kept of task"):
        hub.fetch("task", SOURCE)
    fail_with(monkeypatch, ModuleNotFoundError("No module named 'datasets'"))
    with pytest.raises(InputError, match=r"task .*`datasets` library is not installed\): `pip install datasets`"):
        hub.fetch("task", SOURCE)


def test_without_the_library_its_import_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError):
        hub.load_rows(SOURCE, "one")


@pytest.mark.parametrize("kind", ["dataset", "http", "value", "caused"])
def test_whatever_the_library_raises_is_an_os_error(monkeypatch, kind):
    import datasets
    from huggingface_hub.utils import httpx

    def load_dataset(path, name, **options):
        assert (path, name) == ("owner/set", "one")
        assert options == {"split": "test", "revision": "ab" * 20}
        if kind == "caused":
            raise datasets.exceptions.DatasetGenerationError("generating") from OSError("the cause")
        raise {
            "dataset": datasets.exceptions.DatasetGenerationError("words"),
            "http": httpx.ReadTimeout("words"),
            "value": ValueError("words"),
        }[kind]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(OSError, match="the cause" if kind == "caused" else "words"):
        hub.load_rows(SOURCE, "one")


def test_a_local_data_set_gives_rows_as_json_takes_them(tmp_path, monkeypatch):
    """Through the real library: a folder of JSON lines stands in for the hub's repository."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "test.jsonl").write_text('{"label": 1, "choices": {"text": ["a"], "label": ["A"]}}\n')
    source = HubData(str(tmp_path / "set"), "main", "test")
    path = hub.fetch("task", source)
    assert json.loads(path.read_text()) == {"label": 1, "choices": {"text": ["a"], "label": ["A"]}}


def test_every_pin_is_a_commit():
    pins = {name: task.hub for name, task in tasks.TASKS.items() if task.hub}
    assert pins.keys() == {
        *("hellaswag", "arc_easy", "arc_challenge", "winogrande"),
        *("lambada_openai", "copa", "blimp"),
    }
    assert all(len(pin.revision) == 40 and set(pin.revision) <= set("0123456789abcdef") for pin in pins.values())
    assert len(set(pins["blimp"].configs)) == 67


def test_a_data_folder_goes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "load_rows", lambda source, config: [{"text": "from the hub"}])
    (tmp_path / "lambada_openai.jsonl").write_text('{"text": "from the folder"}')
    assert tasks.load("lambada_openai", None, tmp_path)[0].options == ("folder",)
    assert tasks.load("lambada_openai")[0].options == ("hub",)


def test_listing_tasks_imports_no_library():
    code = "import sys; from engine import tasks; tasks.overview(); sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
