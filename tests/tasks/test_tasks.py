import hashlib
import json

import pytest

from engine import tasks
from engine.errors import InputError
from engine.tasks import hub
from engine.tasks.task import Item, item

PIQA = {"goal": "g", "sol1": "a", "sol2": "b", "label": 0}


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def fail(source, config):
        raise ConnectionError("no network here")

    monkeypatch.setattr(hub, "load_rows", fail)


def pair(subset, good="He sees.", term="agreement"):
    return {"sentence_good": good, "sentence_bad": "He see.", "linguistics_term": term, "UID": subset}


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
    assert len(tasks.load("piqa", 1000, data)) == 3


def test_a_limit_counts_within_each_subset_and_ids_stay_places_in_the_file(tmp_path):
    data = write(tmp_path / "data", "blimp", pair("a"), pair("b", term="binding"), pair("a"), pair("a"), pair("b"))
    assert [one.id for one in tasks.load("blimp", 2, data)] == [0, 1, 2, 4]
    assert [one.group for one in tasks.load("blimp", 1, data)] == ["agreement", "binding"]
    assert len(tasks.load("blimp", None, data)) == 5


def test_a_task_of_subsets_reads_a_file_for_each(tmp_path):
    write(tmp_path / "data", "blimp_b", pair("b", "Third."))
    data = write(tmp_path / "data", "blimp_a", pair("a", "First."), pair("a", "Second."))
    assert [path.name for path in tasks.task_files("blimp", data)] == ["blimp_a.jsonl", "blimp_b.jsonl"]
    items = tasks.load("blimp", None, data)
    assert [(one.id, one.options[0]) for one in items] == [(0, "First."), (1, "Second."), (2, "Third.")]
    both = tasks.task_sha256("blimp", data)
    write(data, "blimp_b", pair("b", "Changed."))
    assert tasks.task_sha256("blimp", data) != both
    write(data, "blimp_b", pair("b"), {"sentence_good": "x"})
    with pytest.raises(InputError, match=r"blimp_b\.jsonl, line 2: column 'UID' is missing"):
        tasks.load("blimp", None, data)


def test_the_subsets_may_lie_in_a_folder_of_their_own(tmp_path):
    folder = tmp_path / "data" / "blimp"
    folder.parent.mkdir()
    write(folder, "b", pair("b", "Third."))
    write(folder, "a", pair("a", "First."), pair("a", "Second."))
    assert [one.options[0] for one in tasks.load("blimp", 1, folder.parent)] == ["First.", "Third."]


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("piqa", "piqa.jsonl.gz"),
        ("piqa", "piqa.json"),
        ("piqa", "piqa/validation.jsonl"),
        ("arc_easy", "ARC-Easy.jsonl"),
        ("hellaswag", "hellaswag.parquet"),
        ("blimp", "blimp/adjunct_island.parquet"),
    ],
)
def test_data_under_a_name_that_is_not_read_is_not_passed_over_for_other_data(tmp_path, task, name):
    file = tmp_path / "data" / name
    file.parent.mkdir(parents=True)
    file.write_text("")
    shown = name.split("/")[0]
    with pytest.raises(InputError, match=rf"the data folder has '{shown}'.*, which is not read: .* {task}.jsonl there"):
        tasks.task_files(task, tmp_path / "data")
    assert tasks.overview(tmp_path / "data")  # what there is can still be listed


def test_a_link_to_nothing_is_told_from_the_file_that_would_be_read(tmp_path):
    (tmp_path / "piqa.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"the data folder has 'piqa.jsonl' \(no file\), which is not read"):
        tasks.task_files("piqa", tmp_path)


def test_other_files_of_the_folder_are_no_data_of_a_task(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA)
    for name in ("piqa.json", "boolq.yaml", "boolq_notes.jsonl", "boolq.md"):
        (data / name).write_text("")
    assert tasks.task_files("piqa", data) == (data / "piqa.jsonl",)
    with pytest.raises(InputError, match="the data of boolq is not on this machine yet"):
        tasks.task_files("boolq", data)


def test_one_file_goes_before_those_of_the_subsets(tmp_path):
    write(tmp_path / "data", "blimp_a", pair("a"))
    data = write(tmp_path / "data", "blimp", pair("a"), pair("a"))
    assert len(tasks.load("blimp", None, data)) == 2


def test_lines_past_the_limit_are_not_judged(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA, "not JSON")
    assert len(tasks.load("piqa", 1, data)) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"goal": "g", "sol1": "a", "label": 0}, "line 2: column 'sol2' is missing"),
        ({**PIQA, "label": 5}, "line 2: column 'label' must be 0 or 1, got 5"),
        ("{", "line 2: not JSON"),
        ({**PIQA, "goal": "half an emoji: \ud83d"}, "line 2: not JSON in UTF-8 .*surrogates"),
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


@pytest.mark.parametrize(("wrong", "said"), [("fiv", "did you mean 'five'"), ("mmlu", "copa, five, hellaswag")])
def test_a_group_of_tasks_is_offered_like_a_task(wrong, said):
    with pytest.raises(InputError, match=said):
        tasks.load(wrong)


def test_a_task_without_data_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"engine fetch.*piqa\.jsonl as --data"):
        tasks.load("piqa")
    with pytest.raises(InputError, match=r"hellaswag .*no network here.*hellaswag.jsonl as --data or KNEEPOINT_DATA"):
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


def test_a_place_that_is_always_right_is_no_answer_and_nothing_to_choose_from_no_chance():
    first = [item(i, "c", ("a", "b"), 0) for i in range(4)]
    assert tasks.chance(first) == 0.5
    words = [Item(i, (("c", " a"),), ("a",), None) for i in range(4)]
    assert tasks.chance(words) == 0


def test_overview_lists_every_task_with_its_items(tmp_path):
    data = write(tmp_path / "data", "piqa", PIQA, PIQA)
    rows = {row.name: row for row in tasks.overview(data)}
    assert rows.keys() == tasks.TASKS.keys()
    assert (rows["piqa"].items, rows["piqa"].origin) == (2, str(data / "piqa.jsonl"))
    assert (rows["hellaswag"].items, rows["hellaswag"].origin) == (None, "from the hub, at its first use")
    assert rows["boolq"].items is None


def test_overview_counts_a_downloaded_task_and_one_of_subsets(tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "load_rows", lambda source, config: [{"text": "a b"}, {"text": "c d"}])
    tasks.load("lambada_openai")
    data = write(tmp_path / "data", "blimp_a", pair("a"))
    write(data, "blimp_b", pair("b"), pair("b"))
    rows = {row.name: row for row in tasks.overview(data)}
    assert (rows["lambada_openai"].items, rows["lambada_openai"].origin) == (2, "the hub's EleutherAI/lambada_openai")
    assert rows["blimp"].items == 3
