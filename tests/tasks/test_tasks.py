import hashlib
import json

import pytest

from engine import tasks
from engine.errors import InputError
from engine.tasks.task import Item, item

PIQA = {"goal": "g", "sol1": "a", "sol2": "b", "label": 0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


def write(folder, name, *records):
    folder.mkdir(exist_ok=True)
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_limit_takes_the_first_and_ids_are_places_in_the_file(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA, "", {**PIQA, "goal": "h"}, {**PIQA, "goal": "i"})
    items = tasks.load("piqa", 2, data)
    assert [(one.id, one.context) for one in items] == [(0, "Question: g\nAnswer:"), (1, "Question: h\nAnswer:")]
    assert len(tasks.load("piqa", None, data)) == 3


def test_lines_past_the_limit_are_not_judged(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA, "not JSON")
    assert len(tasks.load("piqa", 1, data)) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"goal": "g", "sol1": "a", "label": 0}, "line 2: column 'sol2' is missing"),
        ({**PIQA, "label": 5}, "line 2: column 'label' must be 0 or 1, got 5"),
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: a record must be a JSON object"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path, line, words):
    data = write(tmp_path / "data", "piqa", PIQA, line)
    with pytest.raises(InputError, match=words) as raised:
        tasks.load("piqa", None, data)
    assert str(data / "piqa.jsonl") in str(raised.value)


def test_a_file_in_another_encoding_or_without_records_is_refused(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA)
    (data / "piqa.jsonl").write_bytes(b'{"goal": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        tasks.load("piqa", None, data)
    (data / "piqa.jsonl").write_bytes(b"\n")
    with pytest.raises(InputError, match="no records"):
        tasks.load("piqa", None, data)


def test_an_unknown_task_suggests_the_near_one():
    with pytest.raises(InputError, match="did you mean 'openbookqa'"):
        tasks.load("openbokqa")


def test_a_task_without_data_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="engine fetch"):
        tasks.load("piqa")
    with pytest.raises(InputError, match="--data or KNEEPOINT_DATA"):
        tasks.load("hellaswag")
    with pytest.raises(InputError, match="does not exist"):
        tasks.load("piqa", None, tmp_path / "nowhere")


def test_the_sha256_is_the_files(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA)
    assert tasks.task_sha256("piqa", data) == hashlib.sha256((data / "piqa.jsonl").read_bytes()).hexdigest()


def test_chance_is_the_better_of_uniform_and_constant():
    two = [item(i, "c", ("a", "b"), gold) for i, gold in enumerate((0, 1, 0, 0))]
    assert tasks.chance(two) == 0.75
    mixed = [item(0, "c", ("a", "b"), 0), item(1, "c", ("a", "b", "c", "d"), 1), item(2, "c", ("a", "b"), 1)]
    assert tasks.chance(mixed) == 2 / 3
    even = [Item(0, (("c", " a"),) * 4, tuple("abcd"), 0), Item(1, (("c", " a"),) * 4, tuple("abcd"), 1)]
    assert tasks.chance(even) == 0.5


def test_overview_lists_every_task_with_its_items(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA, PIQA)
    rows = {row.name: row for row in tasks.overview(data)}
    assert rows.keys() == tasks.TASKS.keys()
    assert (rows["piqa"].items, rows["piqa"].origin) == (2, str(data / "piqa.jsonl"))
    assert rows["hellaswag"].items is None
    assert "--data" in rows["hellaswag"].origin
