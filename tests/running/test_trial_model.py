"""A trial's model and its data are those that its id covers, or it is refused."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from engine import perplexity_text
from engine.errors import InputError
from tests.tiny_trial import PIQA, PROTOCOL, MakeJob, run


def test_a_changed_model_is_refused(make_job: MakeJob) -> None:
    with pytest.raises(InputError, match=r"the model .* has changed"):
        run(make_job("dense", "size", weights_sha256="0" * 64))


def test_changed_data_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("dense", "accuracy")
    with (tmp_path / "data" / "piqa.jsonl").open("a") as file:
        file.write(json.dumps(PIQA[0]) + "\n")
    with pytest.raises(InputError, match="the data of 'piqa' has changed"):
        run(job)


def test_a_changed_perplexity_text_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text("Once upon a time there was a mill.")
    covered = [[perplexity_text.NAME, perplexity_text.sha256(str(file), None)]]
    protocol = {**asdict(PROTOCOL), "perplexity_text": str(file)}
    job = make_job("dense", "perplexity", protocol=protocol, data_sha256=covered)
    assert run(job).metrics()["perplexity"] > 1
    file.write_text("Once upon a time there was an inn.")
    with pytest.raises(InputError, match="the data of 'perplexity_text' has changed"):
        run(job)


def test_a_gpu_that_is_not_there_is_one_sentence(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="use device=cpu"):
        run(make_job("dense", "size", protocol={**asdict(PROTOCOL), "device": "cuda"}))
