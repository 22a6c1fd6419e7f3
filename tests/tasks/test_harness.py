"""`lm_eval:<name>`: tasks of the harness, with task files and records of the test's own; the child is a real one."""

import json
from importlib import metadata

import pytest

from engine import tasks
from engine.errors import InputError
from engine.tasks import harness, harness_items
from tests.tasks import lm_eval_tasks

DOCS = [
    {"question": "One?", "options": ["a", "bb "], "answer": 1, "several": [0, 1], "far": 0},
    {"question": "Two? ", "options": ["c", "d"], "answer": 0, "several": [1], "far": 7},
]
CHOICE = {
    "output_type": "multiple_choice",
    "test_split": "test",
    "training_split": "train",
    "doc_to_text": "Q: {{question}}\nA:",
    "doc_to_choice": "options",
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
}
WORD = {
    "output_type": "loglikelihood",
    "test_split": "test",
    "doc_to_text": "question",
    "doc_to_target": " {{options[0]}}",
    "metric_list": [{"metric": "perplexity"}, {"metric": "acc"}],
}


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def built(folder, name="mine", docs=DOCS, **config):
    """The records of a task, made in this process."""
    lm_eval_tasks.write(folder, name, docs, **config)
    return list(harness_items.records(name, harness_items.load(name, str(folder))))


def test_the_items_of_a_task_are_loaded_through_a_child(data):
    lm_eval_tasks.write(data, "mine", DOCS, **CHOICE)
    items = tasks.load("lm_eval:mine", None, data)
    assert [item.requests for item in items] == [
        (("Q: One?\nA:", " a"), ("Q: One?\nA:", " bb ")),
        (("Q: Two? \nA:", " c"), ("Q: Two? \nA:", " d")),
    ]
    assert [(item.id, item.gold, item.lengths) for item in items] == [(0, 1, (1, 3)), (1, 0, (1, 1))]
    assert tasks.get("lm_eval:mine").normalised
    assert len(tasks.load("lm_eval:mine", 1, data)) == 1


def test_the_sha256_covers_the_items_and_follows_the_data(data):
    lm_eval_tasks.write(data, "mine", DOCS, **CHOICE)
    before = tasks.task_sha256("lm_eval:mine", data)
    assert tasks.task_sha256("lm_eval:mine", data) == before
    lm_eval_tasks.write(data, "mine", [DOCS[0], {**DOCS[1], "answer": 1}], **CHOICE)
    assert tasks.task_sha256("lm_eval:mine", data) != before


def test_items_that_are_there_are_not_built_again(data, monkeypatch):
    lm_eval_tasks.write(data, "mine", DOCS, **CHOICE)
    path = harness.file("lm_eval:mine", data)

    def fail(*args):
        raise AssertionError("built again")

    monkeypatch.setattr(harness, "_build", fail)
    assert harness.file("lm_eval:mine", data) == path


def test_a_refusal_of_the_child_is_the_users_sentence(data):
    lm_eval_tasks.write(data, "mine", DOCS, **{**CHOICE, "output_type": "generate_until"})
    with pytest.raises(InputError) as raised:
        tasks.load("lm_eval:mine", None, data)
    assert str(raised.value) == (
        "lm_eval:mine asks for generate_until; only multiple_choice and loglikelihood tasks scored by accuracy "
        "can be taken"
    )


def test_data_that_is_not_there_is_one_sentence(data):
    lm_eval_tasks.write(data, "mine", DOCS, **{**CHOICE, "dataset_kwargs": {"data_files": "nowhere.jsonl"}})
    with pytest.raises(InputError, match=r"^lm-eval could not make the items of lm_eval:mine: [^\n]*nowhere.jsonl"):
        tasks.load("lm_eval:mine", None, data)


def test_data_of_the_hub_without_network_says_what_to_do(data):
    lm_eval_tasks.write(data, "mine", DOCS, **{**CHOICE, "dataset_path": "owner/set", "dataset_kwargs": {}})
    with pytest.raises(InputError, match=r"lm_eval:mine: [^\n]*owner/set[^\n]*; try again with a network, or give"):
        tasks.load("lm_eval:mine", None, data)


def test_without_the_harness_it_says_how_to_have_it(monkeypatch):
    def version(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(InputError, match=r"lm_eval:sciq needs lm-evaluation-harness.*pip install lm_eval==0.4.13"):
        tasks.load("lm_eval:sciq")


def test_a_continuation_without_choices_is_an_item_without_gold(data):
    first, second = built(data, **WORD)
    assert first == {"requests": [("One?", " a")], "options": ["a"], "gold": None}
    assert second["requests"] == [("Two? ", " c")]


def test_few_shot_examples_are_drawn_as_lm_eval_draws_them(data):
    docs = [{"question": f"{n}?", "options": ["x", "y"], "answer": n % 2} for n in range(9)]
    records = built(data, docs=docs, **CHOICE, num_fewshot=2)
    task = harness_items.load("mine", str(data))
    task.set_fewshot_seed(seed=1234)  # lm_eval.simple_evaluate's default
    task.build_all_requests()
    assert [pair for record in records for pair in record["requests"]] == [one.args for one in task.instances]
    assert records[0]["requests"][0][0].count("Q: ") == 3


def test_an_answer_may_be_named_by_its_text_and_a_choice_may_stand_in_the_context(data):
    by_text = built(data, docs=[{**DOCS[0], "answer": "bb "}], **CHOICE)
    assert by_text[0]["gold"] == 1
    contexts = {**CHOICE, "doc_to_text": "answer", "doc_to_target": "question", "metric_list": [{"metric": "acc"}]}
    assert built(data, "other", **contexts)[0] == {
        "requests": [("a", " One?"), ("bb ", " One?")],
        "options": ["a", "bb "],
        "gold": 1,
    }


def test_scores_without_context_are_left_out(data):
    config = {**CHOICE, "metric_list": [{"metric": "acc"}, {"metric": "acc_mutual_info"}]}
    assert [len(record["requests"]) for record in built(data, **config)] == [2, 2]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"output_type": "loglikelihood_rolling"}, "asks for loglikelihood_rolling"),
        ({"metric_list": [{"metric": "brier_score"}]}, "has no accuracy, only brier_score"),
        ({"doc_to_target": "several"}, "document 0 has several right answers"),
        ({"doc_to_target": "far"}, "document 1 has the answer 7, which is none of its 2 choices"),
        ({"doc_to_target": "question"}, "document 0 has the answer 'One\\?', which is none of its 2 choices"),
    ],
)
def test_what_cannot_be_answered_so_is_refused(data, config, words):
    with pytest.raises(InputError, match=words):
        built(data, **{**CHOICE, **config})


def test_a_rule_of_its_own_is_refused(data):
    (data / "rules.py").write_text("def process_results(doc, results):\n    return {'acc': 1}\n")
    lm_eval_tasks.write(data, "mine", DOCS, **CHOICE)
    with (data / "mine.yaml").open("a") as file:
        file.write("process_results: !function rules.process_results\n")
    with pytest.raises(InputError, match="scores answers by a rule of its own"):
        harness_items.load("mine", str(data))


def test_a_group_is_refused_by_naming_a_task_in_it(data):
    lm_eval_tasks.write(data, "mine", DOCS, **CHOICE, tag="many")
    (data / "all.yaml").write_text(json.dumps({"group": "all", "task": ["mine"]}))
    (data / "outer.yaml").write_text(json.dumps({"group": "outer", "task": ["all", "mine"]}))
    for name in ("many", "all", "outer"):
        with pytest.raises(InputError, match=f"lm_eval:{name} is a group; .* such as lm_eval:mine"):
            harness_items.load(name, str(data))


def test_a_name_that_no_file_may_have_is_kept_apart_from_its_like(data):
    folders = {harness._folder(name) for name in ("lm_eval:../a", "lm_eval:.._a", "lm_eval:" + "x" * 300)}
    assert len(folders) == 3
    assert {folder.parent.name for folder in folders} == {"lm_eval"}
    assert all(len(folder.name) < 80 and "/" not in folder.name for folder in folders)
