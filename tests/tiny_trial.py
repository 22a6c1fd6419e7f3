"""A job of a trial on a tiny random llama and a few questions, and the events of its run."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import assets, tasks, trial
from engine.measure import machine_load
from engine.network import sources
from engine.paths import cache_dir
from engine.running.job import Job
from engine.spec import Protocol, Trial, parse
from engine.system.events import Events

MakeJob = Callable[..., dict[str, Any]]
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


@pytest.fixture
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
def make_job(tiny_folder: Callable[[str], Path], tmp_path: Path, small_world: None) -> MakeJob:
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


def run(job: dict[str, Any]) -> Told:
    """The events of a job that runs in this process."""
    stream = io.StringIO()
    trial.run(Job.from_dict(job), Events(stream))
    return read(stream.getvalue())


def read(text: str) -> Told:
    return Told(json.loads(line) for line in text.splitlines())
