"""A trial from its job to its events, on a tiny random llama."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import assets, models, perplexity_text, references, sources, tasks, trial
from engine.errors import InputError
from engine.events import Events
from engine.measure import machine_load, size
from engine.metrics import METRICS, metric
from engine.paths import cache_dir
from engine.results import COMPARED
from engine.sensitivity import Sensitivity
from engine.spec import Protocol, Trial, parse

PROTOCOL = Protocol(
    tasks=("piqa", "openbookqa"),
    limit=3,
    threads=1,
    calibration_windows=2,
    sequence_length=16,
    perplexity_windows=3,
    prompt_tokens=8,
    decode_tokens=10,
)
QUALITY = ("perplexity", "accuracy")
TEXT = [f"The {noun} number {n} stood by the river and was seen by few." for n in range(30) for noun in ("mill", "inn")]
PIQA = [{"goal": f"open door {n}", "sol1": "push it", "sol2": "paint it blue", "label": n % 2} for n in range(4)]
OPENBOOKQA = [
    {
        "question_stem": f"the sun is number {n}",
        "choices": {"text": ["a star", "a stone", "a fish", "a tree"], "label": ["A", "B", "C", "D"]},
        "answerKey": "A",
    }
    for n in range(4)
]
ROOT = Path(trial.__file__).parents[1]


@pytest.fixture(autouse=True)
def small_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, passages without a download, and a machine that nobody else uses."""
    compiled = cache_dir() / "kernels"  # shared, as compiling takes longer than all the rest
    compiled.mkdir(exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(compiled)
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(assets, "text", lambda split: TEXT if split == "heldout" else TEXT[::-1])
    monkeypatch.setattr(machine_load, "other_cores", lambda start, end: 0.0)


@pytest.fixture
def make_job(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A job's content from a recipe and its measures."""
    data = tmp_path / "data"
    data.mkdir()
    for name, records in (("piqa", PIQA), ("openbookqa", OPENBOOKQA)):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    def make(recipe: str, *measures: str, **changes: Any) -> dict[str, Any]:
        source = sources.resolve(str(tiny_folder("llama")))
        hashes = {task: tasks.task_sha256(task, data) for task in PROTOCOL.tasks}
        asked = Trial(
            model=source.name,
            revision=None,
            weights_sha256=source.weights_sha256,
            recipe=parse(recipe),
            protocol=PROTOCOL,
            data_sha256=tuple(sorted(hashes.items())),
            data_dir=str(data),
        )
        work_dir = tmp_path / f"work-{asked.id}"
        return {"trial": {**asked.to_dict(), **changes}, "measures": list(measures), "work_dir": str(work_dir)}

    return make


class Told(list[dict[str, Any]]):
    """The events of a trial."""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self if event["event"] == kind]

    def metrics(self) -> dict[str, float | None]:
        return {name: value for event in self.of("metrics") for name, value in event["metrics"].items()}

    def reasons(self) -> dict[str, str]:
        return {name: why for event in self.of("metrics") for name, why in event["reasons"].items()}

    def stages(self) -> list[str]:
        return [event["stage"] for event in self.of("stage")]


def loglikelihoods(told: Told) -> list[float]:
    """Of every choice of every answer, in order."""
    return [value for event in told.of("items") for item in event["items"] for value in item["loglikelihoods"]]


def run(job: dict[str, Any]) -> Told:
    """The events of a job that runs in this process."""
    stream = io.StringIO()
    trial.run(trial.Job.from_dict(job), Events(stream))
    return read(stream.getvalue())


def read(text: str) -> Told:
    return Told(json.loads(line) for line in text.splitlines())


# ---- what a trial measures


def test_a_compressed_trial_measures_everything_in_order(make_job: Callable[..., dict[str, Any]]) -> None:
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


def test_only_the_measures_asked_for_are_told(make_job: Callable[..., dict[str, Any]]) -> None:
    told = run(make_job("quantize:rtn,bits=8,group_size=16", "perplexity"))
    assert {name.removesuffix("_low").removesuffix("_high") for name in told.metrics()} == {
        *("perplexity", "kl_to_dense", "loss_change", "top1_agreement", "greedy_match_tokens", "kernel_top1_agreement"),
    }
    assert not told.of("items")


def test_sensitivity_is_a_profile_of_the_original_and_measured_by_itself(
    make_job: Callable[..., dict[str, Any]],
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


def test_answers_of_every_task_go_out(make_job: Callable[..., dict[str, Any]]) -> None:
    told = run(make_job("dense", "accuracy"))
    answers = {event["task"]: event["items"] for event in told.of("items")}
    assert {task: [answer["id"] for answer in given] for task, given in answers.items()} == {
        "piqa": [0, 1, 2],
        "openbookqa": [0, 1, 2],
    }
    right = [sum(a["correct"] for a in given) / 3 for given in answers.values()]
    assert told.metrics()["accuracy"] == pytest.approx(sum(right) / 2)


def test_a_share_of_the_questions_goes_on_from_what_was_answered(make_job: Callable[..., dict[str, Any]]) -> None:
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


@pytest.mark.parametrize("recipe", ["prune:sparsegpt,sparsity=0.5", "slice:slicegpt,fraction=0.1"])
def test_a_later_share_is_answered_by_the_model_kept_from_the_first(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path, recipe: str
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
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "halfway").write_text("a file, so that no folder can be made in it")
    job = {**make_job("quantize:rtn,bits=4", "accuracy"), "halfway": str(tmp_path / "halfway" / "one")}
    assert [len(event["items"]) for event in run({**job, "share": 0.3}).of("items")] == [1, 1]


def test_progress_reaches_the_total_of_its_stage(make_job: Callable[..., dict[str, Any]]) -> None:
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


def test_the_environment_says_what_ran_it_and_which_number_format_won(make_job: Callable[..., dict[str, Any]]) -> None:
    told = run(make_job("dense", "latency"))
    facts = {name: value for event in told.of("environment") for name, value in event["environment"].items()}
    assert facts["threads"] == 1
    assert facts["torch"]
    assert facts["dense_decode_dtype"] in ("float32", "bfloat16")


def test_the_same_job_gives_the_same_numbers(make_job: Callable[..., dict[str, Any]]) -> None:
    recipe = "slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4,group_size=8"
    first, second = (run(make_job(recipe, "size", *QUALITY)).metrics() for _ in range(2))
    assert first == second


# ---- the dense model


def test_dense_agrees_with_itself_and_leaves_its_reference(make_job: Callable[..., dict[str, Any]]) -> None:
    job = make_job("dense", "perplexity", "latency", "memory")
    told = run(job)
    metrics = told.metrics()
    assert metrics["top1_agreement"] == 1
    assert metrics["decode_speedup"] == metrics["prefill_speedup"] == 1
    assert told.reasons() == {"compress_peak_memory_bytes": "nothing was compressed"}
    kept = references.load(Trial.from_dict(job["trial"]).comparison_id, (3, 15), (50, 32))
    assert kept is not None
    assert "dense reference" not in told.stages()


def test_the_reference_is_computed_once(make_job: Callable[..., dict[str, Any]]) -> None:
    recipe = "quantize:rtn,bits=2,group_size=16"
    alone = run(make_job(recipe, "perplexity"))
    again = run(make_job(recipe, "perplexity"))
    assert "dense reference" in alone.stages()
    assert "dense reference" not in again.stages()
    assert alone.metrics()["top1_agreement"] == again.metrics()["top1_agreement"]


# ---- what is simulated


@pytest.mark.parametrize(
    ("recipe", "said"),
    [("quantize:rtn,bits=3,group_size=16", "3-bit weights"), ("quantize:kv_cache,group_size=8", "8-bit KV cache")],
)
def test_what_has_no_kernel_is_simulated_and_never_timed(
    make_job: Callable[..., dict[str, Any]], recipe: str, said: str
) -> None:
    told = run(make_job(recipe, "size", "latency", "latency_grid"))
    assert told.of("simulated")[-1]["value"] is True
    assert {told.metrics()[name] for name in trial.LATENCY_METRICS} == {None}
    assert set(trial.LATENCY_METRICS) == set(told.reasons())
    assert said in told.reasons()["prefill_ms"]
    assert not any("latency" in stage for stage in told.stages())
    assert "Not timed by batch and prompt" in told.of("notes")[-1]["texts"][0]
    assert not told.of("profile")


def test_windows_longer_than_the_model_was_made_for_are_noted(make_job: Callable[..., dict[str, Any]]) -> None:
    protocol = asdict(replace(PROTOCOL, sequence_length=600, perplexity_windows=1))
    told = run(make_job("dense", "perplexity", protocol=protocol))
    (said,) = told.of("notes")
    assert said["measure"] == "perplexity"
    assert "600 tokens are longer than the 512" in said["texts"][0]


def test_masked_zeros_are_timed_and_flagged_simulated(make_job: Callable[..., dict[str, Any]]) -> None:
    told = run(make_job("prune:magnitude,sparsity=0.5", "latency"))
    assert told.of("simulated")[-1]["value"] is True
    assert told.metrics()["decode_ms_per_token"] is not None


def test_on_a_gpu_what_left_zeros_out_is_told(
    make_job: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = size.Size({"weight_bytes": 1.0}, False, "", "CUTLASS")
    monkeypatch.setattr(size, "measure", lambda model, folder: counted)
    job = trial.Job.from_dict(make_job("prune:magnitude,pattern=2:4", protocol={**asdict(PROTOCOL), "device": "cuda"}))
    stream = io.StringIO()
    trial.measure_size(job, models.load(trial.find_source(job.trial)), Events(stream))
    told = read(stream.getvalue())
    assert told.of("simulated")[-1]["value"] is False
    assert told.of("environment")[-1]["environment"] == {"zeros_kernel": "CUTLASS"}


# ---- what goes wrong


def test_a_changed_model_is_refused(make_job: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"the model .* has changed"):
        run(make_job("dense", "size", weights_sha256="0" * 64))


def test_changed_data_is_refused(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    job = make_job("dense", "accuracy")
    with (tmp_path / "data" / "piqa.jsonl").open("a") as file:
        file.write(json.dumps(PIQA[0]) + "\n")
    with pytest.raises(InputError, match="the data of 'piqa' has changed"):
        run(job)


def test_a_changed_perplexity_text_is_refused(make_job: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text("Once upon a time there was a mill.")
    covered = [[perplexity_text.NAME, perplexity_text.sha256(str(file), None)]]
    protocol = {**asdict(PROTOCOL), "perplexity_text": str(file)}
    job = make_job("dense", "perplexity", protocol=protocol, data_sha256=covered)
    assert run(job).metrics()["perplexity"] > 1
    file.write_text("Once upon a time there was an inn.")
    with pytest.raises(InputError, match="the data of 'perplexity_text' has changed"):
        run(job)


def test_a_gpu_that_is_not_there_is_one_sentence(
    make_job: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="use device=cpu"):
        run(make_job("dense", "size", protocol={**asdict(PROTOCOL), "device": "cuda"}))


def test_numbers_that_overflow_become_null_with_a_reason(
    make_job: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = trial.models.load_to_run

    def broken(*args: Any) -> Any:
        model = original(*args)
        model.network.get_input_embeddings().weight.data[:] = float("nan")
        return model

    monkeypatch.setattr(trial.models, "load_to_run", broken)
    told = run(make_job("dense", "perplexity"))
    assert told.metrics()["perplexity"] is None
    assert "not a number" in told.reasons()["perplexity"]


def test_an_answer_longer_than_the_model_reads_is_refused_before_any_work(
    make_job: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with (tmp_path / "data" / "piqa.jsonl").open("a") as file:
        file.write(json.dumps(PIQA[0] | {"sol2": "push " * 200}) + "\n")
    job = make_job("quantize:rtn,bits=8", "accuracy", "perplexity")
    job["trial"]["protocol"]["limit"] = 5
    stream = io.StringIO()
    with pytest.raises(InputError, match=r"item 4, choice 1: .* and the model reads at most 512 at once"):
        trial.run(trial.Job.from_dict(job), Events(stream))
    assert read(stream.getvalue()).stages() == ["load"]


def test_what_was_measured_before_a_failure_is_out_already(
    make_job: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(trial.memory, "measure", out_of_memory)
    stream = io.StringIO()
    with pytest.raises(MemoryError):
        trial.run(trial.Job.from_dict(make_job("dense", "size", "perplexity", "memory")), Events(stream))
    metrics = read(stream.getvalue()).metrics()
    assert metrics["weight_bytes"]
    assert metrics["perplexity"]


def test_as_a_process_it_fails_with_a_reason_and_a_traceback(make_job: Callable[..., dict[str, Any]]) -> None:
    job = make_job("dense", "size", weights_sha256="0" * 64)
    done = in_process(json.dumps(job))
    assert done.returncode == 1
    last = read(done.stdout)[-1]
    assert last["event"] == "failed"
    assert "has changed" in last["reason"]
    assert "InputError" in last["traceback"]


def test_as_a_process_it_ends_with_done(make_job: Callable[..., dict[str, Any]]) -> None:
    done = in_process(json.dumps(make_job("quantize:rtn,bits=4,group_size=16", "size")))
    assert done.returncode == 0, done.stderr
    assert read(done.stdout)[-1] == {"event": "done"}


def in_process(job: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "engine.trial"]
    return subprocess.run(
        command, input=job, capture_output=True, text=True, check=False, cwd=ROOT, env=dict(os.environ)
    )
