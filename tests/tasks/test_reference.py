"""Every task's requests and answers beside those of lm-evaluation-harness itself, on records in the hub's columns."""

import json
from itertools import groupby, islice
from math import inf
from random import Random

import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from engine import tasks
from engine.checkpoints import fp32
from engine.measure.zero_shot import Evaluator
from engine.methods import compress
from engine.spec import parse
from tests.tasks import lm_eval_tasks

FOUR = ["A", "B", "C", "D"]
RECORDS = {
    "piqa": [
        {"goal": "How to keep bread soft", "sol1": "leave it out", "sol2": "put it in  a bag ", "label": 1},
        {"goal": "“Fold” a {{napkin}} ", "sol1": "It's [easy]:\nhalve it", "sol2": "burn it", "label": 0},
        {"goal": "empty", "sol1": "", "sol2": " two", "label": 1},
    ],
    "hellaswag": [
        {
            "activity_label": "Baking cookies",
            "ctx_a": "A woman opens [substeps] an oven.",
            "ctx_b": "she THEN",
            "endings": ["sits down.", " takes a  tray out [title] and smiles. ", "is [step]", "12"],
            "label": "1",
        },
        {
            "activity_label": "Home and garden",
            "ctx_a": "[header] How to prune [title] Wait for    winter.",
            "ctx_b": "",
            "endings": ["Cut.", "Don't cut.", "Naïvely wait.", ""],
            "label": "0",
        },
    ],
    "arc_easy": [
        {
            "question": "Why is ice slippery?",
            "choices": {"text": ["p", "q  r", "s", "t"], "label": FOUR},
            "answerKey": "C",
        },
        {"question": "2 + 2 = ", "choices": {"text": ["3", "4", "5"], "label": ["1", "2", "3"]}, "answerKey": "2"},
        {"question": "Only?", "choices": {"text": ["this"], "label": ["A"]}, "answerKey": "A"},
    ],
    "arc_challenge": [
        {"question": "What melts?", "choices": {"text": ["wax", "“rock”"], "label": ["A", "B"]}, "answerKey": "B"},
    ],
    "winogrande": [
        {"sentence": "Al thanked Bo because _ had helped. ", "option1": "Al", "option2": "Bo", "answer": "2"},
        {"sentence": "_ was too big, so the box and _ stayed.", "option1": "The cat", "option2": "It", "answer": "1"},
        {"sentence": "The key fit the lock, not the _", "option1": "door's", "option2": "safe", "answer": "2"},
    ],
    "lambada_openai": [
        {"text": "he looked at the sea and thought of the sea"},
        {"text": "“two  spaces”, a\nline break and [brackets]"},
        {"text": "single"},
        {"text": "it ends in a space "},
    ],
    "openbookqa": [
        {"question_stem": "A fox", "choices": {"text": ["a", "a", "b", "c"], "label": FOUR}, "answerKey": " D"},
        {"question_stem": "Frost forms ", "choices": {"text": ["x", "", "b ", "c"], "label": FOUR}, "answerKey": "A"},
    ],
    "boolq": [
        {"passage": "Fuel -- It burns.\n\nIt does.", "question": "does fuel burn", "label": 1},
        {"passage": "Ice -- Cold.", "question": "is ice hot?", "label": 0},
    ],
    "copa": [
        {"premise": "The man fell.", "question": "cause", "choice1": "He TRIPPED.", "choice2": "Il a ri.", "label": 0},
        {"premise": " It rained! ", "question": "effect", "choice1": "We left.", "choice2": "I left.", "label": 1},
        {"premise": "It snowed.", "question": "effect", "choice1": "Same.", "choice2": "same.", "label": 1},
    ],
    "social_iqa": [
        {"context": "Kai ran.", "question": "Why?", "answerA": "a", "answerB": "to win ", "answerC": "c", "label": "2"},
        {
            "context": "Lee sat",
            "question": "How?",
            "answerA": "x",
            "answerB": "y",
            "answerC": 'it\'s "z"',
            "label": "3",
        },
    ],
    "commonsense_qa": [
        {
            "question": " Where do books live? ",
            "choices": {"label": [*FOUR, "E"], "text": ["shelf", "the  sea", "", "D", "“e”"]},
            "answerKey": "A",
        },
        {"question": "Who", "choices": {"label": [*FOUR, "E"], "text": list("vwxyz")}, "answerKey": "E"},
    ],
    "blimp": [
        {"sentence_good": "Who left?", "sentence_bad": "Left who?", "linguistics_term": "island_effects", "UID": "u"},
        {"sentence_good": "She's in.", "sentence_bad": "She're  in.", "linguistics_term": "binding", "UID": "u"},
    ],
}
FILES = {
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "winogrande": "winogrande/default.yaml",
    "lambada_openai": "lambada/lambada_openai.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "copa": "super_glue/copa/default.yaml",
    "social_iqa": "siqa/siqa.yaml",
    "commonsense_qa": "commonsense_qa/default.yaml",
    "blimp": "blimp/adjunct_island.yaml",
}


@pytest.fixture(autouse=True)
def own_data_sets(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.fixture
def both(request, tmp_path):
    """name -> (our items, what lm-eval asks of each document)"""

    def read(name):
        records = RECORDS[name]
        lm_eval_tasks.write(tmp_path, name, records, include=FILES.get(name, f"{name}/{name}.yaml"))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        task = lm_eval_tasks.load(tmp_path, name)
        asked = [list(group) for _, group in groupby(task.instances, key=lambda instance: instance.doc_id)]
        return tasks.load(name, None, tmp_path), task, asked

    return read


def test_every_task_has_records_here():
    assert RECORDS.keys() == tasks.TASKS.keys()


@pytest.mark.parametrize("name", RECORDS)
def test_the_requests_are_lm_evals(name, both):
    items, _, asked = both(name)
    assert [item.requests for item in items] == [tuple(one.args for one in instances) for instances in asked]


@pytest.mark.filterwarnings("ignore:divide by zero")  # lm-eval's, for an empty choice
@pytest.mark.parametrize("name", sorted(RECORDS.keys() - {"lambada_openai"}))
def test_an_answer_is_right_by_acc_and_acc_norm_where_lm_evals_is(name, both):
    """lm-eval is told every choice in turn to be the likeliest, and then log-likelihoods drawn at random."""
    items, task, asked = both(name)
    random = Random(0)
    for item, instances in zip(items, asked, strict=True):
        count = len(instances)
        given = [[-0.5 if k == choice else -9.0 for k in range(count)] for choice in range(count)]
        given += [[random.uniform(-30, -1) for _ in range(count)] for _ in range(20)]
        for scores in given:
            theirs = task.process_results(instances[0].doc, [(score, False) for score in scores])
            assert theirs["acc"] == (scores.index(max(scores)) == item.gold)
            assert ("acc_norm" in theirs) == tasks.get(name).normalised
            if "acc_norm" in theirs:
                normed = [score / n if n else -inf for score, n in zip(scores, item.lengths, strict=True)]
                assert theirs["acc_norm"] == (normed.index(max(normed)) == item.gold)


@pytest.mark.fetched
@pytest.mark.parametrize("recipe", ["dense", "quantize:rtn,bits=4,group_size=16", "prune:magnitude,sparsity=0.5"])
def test_thirty_questions_of_three_tasks_are_answered_as_lm_eval_answers_them(recipe, tiny_llama, tmp_path):
    """The default data, a token a byte: much of BoolQ's passages is cut from the left."""
    compress(tiny_llama, parse(recipe), None, lambda *_: None)
    network = fp32.dequantized(tiny_llama)
    evaluator = Evaluator(network, tiny_llama.tokenizer)
    harness = HFLM(network, tokenizer=tiny_llama.tokenizer, batch_size=16)
    for name in ("piqa", "openbookqa", "boolq"):
        items = tasks.load(name, 30)
        (file,) = tasks.task_files(name)
        records = [json.loads(line) for line in islice(file.open(encoding="utf-8"), 30)]
        lm_eval_tasks.write(tmp_path, name, records, include=FILES.get(name, f"{name}/{name}.yaml"))
        task = lm_eval_tasks.load(tmp_path, name)
        theirs = iter(harness.loglikelihood(task.instances, disable_tqdm=True))
        for record, item, answer in zip(task.eval_docs, items, evaluator.answer(items), strict=True):
            scores = [next(theirs) for _ in item.requests]
            assert answer["loglikelihoods"] == pytest.approx([score for score, _ in scores], abs=0.01)
            found = task.process_results(record, scores)
            assert found["acc"] == answer["correct"]
            assert found.get("acc_norm", found["acc"]) == answer["correct_norm" if "acc_norm" in found else "correct"]


def test_lambada_has_no_choice_and_is_right_where_every_token_is_the_models_own(both):
    items, task, asked = both("lambada_openai")
    assert {item.gold for item in items} == {None}
    for greedy in (True, False):
        theirs = task.process_results(asked[0][0].doc, [(-3.0, greedy)])
        assert theirs == {"acc": int(greedy), "perplexity": -3.0}


def test_the_hub_has_each_data_set_where_lm_eval_looks_for_it():
    pinned = {name: task.hub for name, task in tasks.TASKS.items() if task.hub}
    folders = {str((lm_eval_tasks.TASKS / FILES.get(name, f"{name}/{name}.yaml")).parent) for name in pinned}
    index = TaskManager(include_path=sorted(folders), include_defaults=False).task_index
    for name, source in pinned.items():
        names = [one for one in index if one.startswith("blimp_")] if name == "blimp" else [name]
        configs = [index[one].cfg for one in names]
        for config in configs:
            split = config.get("test_split") or config["validation_split"]
            assert (source.dataset, source.split) == (config["dataset_path"], split)
        assert sorted(map(str, source.configs)) == sorted(str(config["dataset_name"]) for config in configs)
