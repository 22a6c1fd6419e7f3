"""A trial from its job to its events, on a tiny random llama."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import trial
from engine.analysis.results import COMPARED
from engine.metrics import METRICS, metric
from engine.running import efficiency
from engine.running.job import Job
from engine.system.events import Events
from tests.tiny_trial import MakeJob, Told, read, run

QUALITY = ("perplexity", "accuracy")
ROOT = Path(trial.__file__).parents[1]


def loglikelihoods(told: Told) -> list[float]:
    """Of every choice of every answer, in order."""
    return [value for event in told.of("items") for item in event["items"] for value in item["loglikelihoods"]]


def test_a_compressed_trial_measures_everything_in_order(make_job: MakeJob) -> None:
    told = run(
        make_job("quantize:rtn,bits=8,group_size=16", "layers", "size", "latency", "memory", "perplexity", "accuracy")
    )
    order = [stage.split(":")[0] for stage in told.stages()]
    assert list(dict.fromkeys(order)) == [
        *("load", "dense reference", "dense continuations", "layers", "compress", "size"),
        *("perplexity", "greedy continuations", "kernel agreement", "accuracy", "memory", "latency"),
    ]
    metrics = told.metrics()
    assert {name for name in metrics if metrics[name] is None} == set()
    by_measure = {metric(name).measure for name in metrics}
    assert by_measure == {"size", "latency", "memory", "perplexity", "accuracy"}
    assert set(METRICS) - set(metrics) <= {*COMPARED, "questions", "perplexity_ratio"}  # what needs the dense trial's
    assert told.of("simulated") == [{"event": "simulated", "value": False}]
    assert [event["name"] for event in told.of("profile")] == ["layers"]
    assert len(told.of("profile")[0]["content"]["blocks"]) == 4


def test_only_the_measures_asked_for_are_told(make_job: MakeJob) -> None:
    told = run(make_job("quantize:rtn,bits=8,group_size=16", "perplexity"))
    assert {name.removesuffix("_low").removesuffix("_high") for name in told.metrics()} == {
        *("perplexity", "kl_to_dense", "loss_change", "top1_agreement", "greedy_match_tokens", "kernel_top1_agreement"),
    }
    assert not told.of("items")


@pytest.mark.parametrize("recipe", ["prune:sparsegpt,sparsity=0.5", "slice:slicegpt,fraction=0.1"])
def test_a_later_share_is_answered_by_the_model_kept_from_the_first(
    make_job: MakeJob, tmp_path: Path, recipe: str
) -> None:
    whole = loglikelihoods(run(make_job(recipe, "accuracy")))
    job = {**make_job(recipe, "accuracy"), "halfway": str(tmp_path / "halfway" / "one")}
    (tmp_path / "halfway").mkdir()
    first = run({**job, "share": 0.3})
    assert "compress" in first.stages()
    known = {event["task"]: event["items"] for event in first.of("items")}
    rest = {**job, "share": 1.0, "answered": known}
    more = run(rest)
    assert "compress" not in more.stages()
    assert loglikelihoods(more) == pytest.approx(whole, abs=1e-4)  # rounded to bf16, they would be 0.01 off
    weights = tmp_path / "halfway" / "one" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    again = run(rest)
    assert "compress" in again.stages()
    assert loglikelihoods(again) == pytest.approx(whole, abs=1e-4)
    assert not weights.exists()  # nothing is left to be asked


def test_a_disk_without_room_for_the_model_between_shares_costs_nothing_but_time(
    make_job: MakeJob, tmp_path: Path
) -> None:
    (tmp_path / "halfway").write_text("a file, so that no folder can be made in it")
    job = {**make_job("quantize:rtn,bits=4", "accuracy"), "halfway": str(tmp_path / "halfway" / "one")}
    assert [len(event["items"]) for event in run({**job, "share": 0.3}).of("items")] == [1, 1]


def test_progress_reaches_the_total_of_its_stage(make_job: MakeJob) -> None:
    told = run(make_job("dense", "perplexity", "accuracy"))
    reached: dict[str, tuple[int, int]] = {}
    stage = ""
    for event in told:
        if event["event"] == "stage":
            stage = event["stage"]
        elif event["event"] == "progress":
            reached[stage] = (event["done"], event["total"])
    assert reached["perplexity"] == (3, 3)
    assert reached["accuracy: piqa"] == (3, 3)


def test_the_same_job_gives_the_same_numbers(make_job: MakeJob) -> None:
    recipe = "slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4,group_size=8"
    first, second = (run(make_job(recipe, "size", *QUALITY)).metrics() for _ in range(2))
    assert first == second


def test_what_was_measured_before_a_failure_is_out_already(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(efficiency.memory, "measure", out_of_memory)
    stream = io.StringIO()
    with pytest.raises(MemoryError):
        trial.run(Job.from_dict(make_job("dense", "size", "perplexity", "memory")), Events(stream))
    metrics = read(stream.getvalue()).metrics()
    assert metrics["weight_bytes"]
    assert metrics["perplexity"]


def test_as_a_process_it_fails_with_a_reason_and_a_traceback(make_job: MakeJob) -> None:
    job = make_job("dense", "size", weights_sha256="0" * 64)
    done = in_process(json.dumps(job))
    assert done.returncode == 1
    last = read(done.stdout)[-1]
    assert last["event"] == "failed"
    assert "has changed" in last["reason"]
    assert "InputError" in last["traceback"]


def test_as_a_process_it_ends_with_done(make_job: MakeJob) -> None:
    done = in_process(json.dumps(make_job("quantize:rtn,bits=4,group_size=16", "size")))
    assert done.returncode == 0, done.stderr
    assert read(done.stdout)[-1] == {"event": "done"}


def in_process(job: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "engine.trial"]
    return subprocess.run(
        command, input=job, capture_output=True, text=True, check=False, cwd=ROOT, env=dict(os.environ)
    )
