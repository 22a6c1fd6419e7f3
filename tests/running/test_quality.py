"""What a trial tells of next words, answers and layers, on a tiny random llama."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from engine import trial
from engine.errors import InputError
from engine.measure import references
from engine.measure.encoder import Encoder
from engine.outcome.sensitivity import Sensitivity
from engine.running import quality, trial_model
from engine.running.job import Job
from engine.spec import Trial
from engine.system.events import Events
from tests.tiny_trial import PIQA, PROTOCOL, MakeJob, read, run


def test_answers_of_every_task_go_out(make_job: MakeJob) -> None:
    told = run(make_job("dense", "accuracy"))
    answers = {event["task"]: event["items"] for event in told.of("items")}
    assert {task: [answer["id"] for answer in given] for task, given in answers.items()} == {
        "piqa": [0, 1, 2],
        "openbookqa": [0, 1, 2],
    }
    right = [sum(a["correct"] for a in given) / 3 for given in answers.values()]
    assert told.metrics()["accuracy"] == pytest.approx(sum(right) / 2)


def test_a_share_of_the_questions_goes_on_from_what_was_answered(make_job: MakeJob) -> None:
    whole = {event["task"]: event["items"] for event in run(make_job("dense", "accuracy")).of("items")}
    job = {**make_job("dense", "accuracy"), "share": 0.3}  # one round of three: one item of each task
    first = {event["task"]: event["items"] for event in run(job).of("items")}
    assert [len(answers) for answers in first.values()] == [1, 1]
    known = {task: [{**answer, "choice": 99} for answer in answers] for task, answers in first.items()}
    more = {event["task"]: event["items"] for event in run({**job, "share": 1.0, "answered": known}).of("items")}
    for task, answers in more.items():
        kept = known[task][0]
        assert answers[kept["id"]] == kept  # not asked again
        asked, others = ([a for a in found if a["id"] != kept["id"]] for found in (answers, whole[task]))
        assert [(a["id"], a["choice"], a["correct"]) for a in asked] == [
            (a["id"], a["choice"], a["correct"]) for a in others
        ]


def test_an_answer_longer_than_the_model_reads_is_refused_before_any_work(make_job: MakeJob, tmp_path: Path) -> None:
    with (tmp_path / "data" / "piqa.jsonl").open("a") as file:
        file.write(json.dumps(PIQA[0] | {"sol2": "push " * 200}) + "\n")
    job = make_job("quantize:rtn,bits=8", "accuracy", "perplexity")
    job["trial"]["protocol"]["limit"] = 5
    stream = io.StringIO()
    with pytest.raises(InputError, match=r"^piqa, item 4, choice 1: .* and the model reads at most 512 at once"):
        trial.run(Job.from_dict(job), Events(stream))
    assert read(stream.getvalue()).stages() == ["load"]


def test_an_answer_without_a_token_is_refused_with_its_task(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """As only a tokenizer that merges across the boundary has them, found when the question is asked."""
    monkeypatch.setattr(quality.zero_shot, "refuse_unscorable", lambda *_: None)
    monkeypatch.setattr(Encoder, "pair", lambda self, context, continuation: ([1], []))
    with pytest.raises(InputError, match=r"^piqa, item 0, choice 0: 1 tokens of context and 0 to score"):
        run(make_job("dense", "accuracy"))


def test_sensitivity_is_a_profile_of_the_original_and_measured_by_itself(
    make_job: MakeJob,
) -> None:
    told = run(make_job("dense", "sensitivity"))
    assert not told.of("metrics")
    (profile,) = told.of("profile")
    found = Sensitivity.from_dict(profile["content"])
    assert (profile["name"], found.blocks, found.windows, found.tokens) == ("sensitivity", 4, 4, 16)
    assert max(loss or 0.0 for loss in found.bits[2].loss) > max(loss or 0.0 for loss in found.bits[8].loss) > 0
    for asked in (("dense", "sensitivity", "size"), ("quantize:rtn,bits=8,group_size=16", "sensitivity")):
        with pytest.raises(InputError, match="by itself"):
            run(make_job(*asked))


def test_dense_agrees_with_itself_and_leaves_its_reference(make_job: MakeJob) -> None:
    job = make_job("dense", "perplexity", "latency", "memory")
    told = run(job)
    metrics = told.metrics()
    assert metrics["top1_agreement"] == 1
    assert metrics["decode_speedup"] == metrics["prefill_speedup"] == 1
    assert told.reasons() == {"compress_peak_memory_bytes": "nothing was compressed"}
    kept = references.load(Trial.from_dict(job["trial"]).comparison_id, (3, 15), (50, 32))
    assert kept is not None
    assert "dense reference" not in told.stages()


def test_the_reference_is_computed_once(make_job: MakeJob) -> None:
    recipe = "quantize:rtn,bits=2,group_size=16"
    alone = run(make_job(recipe, "perplexity"))
    again = run(make_job(recipe, "perplexity"))
    assert "dense reference" in alone.stages()
    assert "dense reference" not in again.stages()
    assert alone.metrics()["top1_agreement"] == again.metrics()["top1_agreement"]


def test_windows_longer_than_the_model_was_made_for_are_noted(make_job: MakeJob) -> None:
    protocol = asdict(replace(PROTOCOL, sequence_length=600, perplexity_windows=1))
    told = run(make_job("dense", "perplexity", protocol=protocol))
    (said,) = told.of("notes")
    assert said["measure"] == "perplexity"
    assert "600 tokens are longer than the 512" in said["texts"][0]


def test_numbers_that_overflow_become_null_with_a_reason(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    original = trial_model.models.load_to_run

    def broken(*args: Any) -> Any:
        model = original(*args)
        model.network.get_input_embeddings().weight.data[:] = float("nan")
        return model

    monkeypatch.setattr(trial_model.models, "load_to_run", broken)
    told = run(make_job("dense", "perplexity"))
    assert told.metrics()["perplexity"] is None
    assert "not a number" in told.reasons()["perplexity"]
