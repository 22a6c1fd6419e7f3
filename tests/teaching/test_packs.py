"""Preparing a pack in a process of its own: once, whole, and in one sentence where it fails."""

import sys
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.network.sources import Source
from engine.outcome.row import Progress
from engine.spec import DEFAULT_MODEL
from engine.teaching import pack, packs

SHIPPED = packs.FOLDER / f"{DEFAULT_MODEL}.json"
WORKS = f"""
import json, shutil, sys
job = json.loads(sys.stdin.readline())
assert job["model"] == "a/model" and job["revision"] == "main"
print(json.dumps({{"event": "stage", "stage": "load the model", "total": 2}}))
print(json.dumps({{"event": "progress", "done": 1, "total": 2}}))
shutil.copy({str(SHIPPED)!r}, job["path"])
print(json.dumps({{"event": "done"}}))
"""
FAILS = """
import json
print(json.dumps({"event": "failed", "reason": "the family is not known", "traceback": ""}))
"""
LIES = """
import json
print(json.dumps({"event": "done"}))
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    return Source("a/model", tmp_path, "main", "ab" * 32, "llama", 1000, {})


def running(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_it_is_prepared_once_and_then_found(source: Source) -> None:
    told: list[Progress] = []
    assert packs.find(source) is None
    made = packs.prepare(source, told.append, running(WORKS))
    assert made.shape.layers == 30
    assert told == [Progress("load the model", 0, 2), Progress("load the model", 1, 2)]
    assert packs.find(source) == made
    assert packs.prepare(source, told.append, running(FAILS)) == made


def test_one_of_an_older_version_is_made_anew(source: Source) -> None:
    path = packs.place(source)
    path.parent.mkdir(parents=True)
    path.write_text(SHIPPED.read_text().replace(f'"version":{pack.VERSION}', f'"version":{pack.VERSION - 1}', 1))
    assert packs.find(source) is None
    made = packs.prepare(source, lambda progress: None, running(WORKS))
    assert made.lesson.speakers
    assert packs.find(source) == made


@pytest.mark.parametrize(("code", "words"), [(FAILS, "the family is not known"), (LIES, "no pictures of 'a/model'")])
def test_a_failure_is_a_sentence_and_leaves_nothing(source: Source, code: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        packs.prepare(source, lambda progress: None, running(code))
    assert packs.find(source) is None


def test_the_shipped_pack_is_only_for_the_weights_it_was_taken_from(source: Source) -> None:
    assert packs.shipped(DEFAULT_MODEL) is not None
    assert packs.shipped("../packs") is None
    other = Source(DEFAULT_MODEL, source.folder, None, "cd" * 32, "llama", 1000, {})
    assert packs.find(other) is None
