"""What a trial tells of bytes, memory and time, on a tiny random llama."""

import io
from dataclasses import asdict

import pytest

from engine import models
from engine.measure import size
from engine.running import efficiency, trial_model
from engine.running.job import Job
from engine.system.events import Events
from tests.tiny_trial import PROTOCOL, MakeJob, read, run


@pytest.mark.parametrize(
    ("recipe", "said"),
    [("quantize:rtn,bits=3,group_size=16", "3-bit weights"), ("quantize:kv_cache,group_size=8", "8-bit KV cache")],
)
def test_what_has_no_kernel_is_simulated_and_never_timed(make_job: MakeJob, recipe: str, said: str) -> None:
    told = run(make_job(recipe, "size", "latency", "latency_grid"))
    assert told.of("simulated")[-1]["value"] is True
    assert {told.metrics()[name] for name in efficiency.LATENCY_METRICS} == {None}
    assert set(efficiency.LATENCY_METRICS) == set(told.reasons())
    assert said in told.reasons()["prefill_ms"]
    assert not any("latency" in stage for stage in told.stages())
    assert "Not timed by batch and prompt" in told.of("notes")[-1]["texts"][0]
    assert not told.of("profile")


def test_masked_zeros_are_timed_and_flagged_simulated(make_job: MakeJob) -> None:
    told = run(make_job("prune:magnitude,sparsity=0.5", "latency"))
    assert told.of("simulated")[-1]["value"] is True
    assert told.metrics()["decode_ms_per_token"] is not None


def test_on_a_gpu_what_left_zeros_out_is_told(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = size.Size({"weight_bytes": 1.0}, False, "", "CUTLASS")
    monkeypatch.setattr(size, "measure", lambda model, folder: counted)
    job = Job.from_dict(make_job("prune:magnitude,pattern=2:4", protocol={**asdict(PROTOCOL), "device": "cuda"}))
    stream = io.StringIO()
    efficiency.measure_size(job, models.load(trial_model.find_source(job.trial)), Events(stream))
    told = read(stream.getvalue())
    assert told.of("simulated")[-1]["value"] is False
    assert told.of("environment")[-1]["environment"] == {"zeros_kernel": "CUTLASS"}


def test_the_environment_says_what_ran_it_and_which_number_format_won(make_job: MakeJob) -> None:
    told = run(make_job("dense", "latency"))
    facts = {name: value for event in told.of("environment") for name, value in event["environment"].items()}
    assert facts["threads"] == 1
    assert facts["torch"]
    assert facts["dense_decode_dtype"] in ("float32", "bfloat16")
