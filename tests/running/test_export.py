"""Export: what is written is the compressed model, whole or not at all."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.__main__ import main
from engine.checkpoints import checkpoint, fp32
from engine.errors import InputError
from engine.methods import compress
from engine.models import LanguageModel
from engine.running import exporter, trial_model
from engine.running.export import export
from engine.running.model_card import model_card
from engine.spec import parse
from engine.system.events import Events
from engine.trials import make_unmeasured
from tests.fake_trial import made

RECIPE = "quantize:rtn,bits=8,group_size=32"


def make(folder: Path, model: Path, format: str, recipe: str = RECIPE) -> None:
    job = {"trial": make_unmeasured(str(model), parse(recipe)).to_dict(), "folder": str(folder), "format": format}
    work_dir = folder.parent / "work"
    work_dir.mkdir()
    export({**job, "work_dir": str(work_dir), "card": "# A card"}, Events(io.StringIO()))


def test_a_plain_export_is_the_compressed_model_for_transformers(
    tmp_path: Path, tiny_folder: Callable[[str], Path], tiny_llama: LanguageModel
) -> None:
    make(tmp_path / "made", tiny_folder("llama"), "plain")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "made", dtype=torch.float32)
    compress(tiny_llama, parse(RECIPE), None, lambda stage, done, total: None)
    expected = fp32.dequantized(tiny_llama).state_dict()
    assert ours.state_dict().keys() == expected.keys()
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, expected[name].bfloat16().float()), name  # the file is bf16


def test_a_packed_export_is_the_checkpoint_that_a_trial_measures(
    tmp_path: Path, tiny_folder: Callable[[str], Path], tiny_llama: LanguageModel
) -> None:
    make(tmp_path / "made", tiny_folder("llama"), "packed")
    compress(tiny_llama, parse(RECIPE), None, lambda stage, done, total: None)
    checkpoint.save(tiny_llama, tmp_path / "expected")
    made, expected = (tmp_path / name / "model.safetensors" for name in ("made", "expected"))
    assert made.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("format", ["plain", "packed"])
def test_the_code_in_the_card_loads_the_folder(tmp_path: Path, tiny_folder: Callable[[str], Path], format: str) -> None:
    make(tmp_path / "made", tiny_folder("llama"), format)
    card = model_card(make_unmeasured(str(tiny_folder("llama")), parse(RECIPE)), format)
    shown = "\n".join(line[4:] for line in card.split("## How it was made")[0].splitlines() if line.startswith("    "))
    names: dict[str, Any] = {}
    exec(shown.replace("this folder", str(tmp_path / "made")), names)
    network = names["model"] if format == "plain" else names["model"].network
    assert network.config.model_type == "llama"
    assert network(input_ids=torch.ones(1, 3, dtype=torch.long)).logits.isfinite().all()


@pytest.mark.parametrize("format", ["plain", "packed"])
def test_the_weights_may_be_read_by_whoever_may_read_the_rest(
    tmp_path: Path, tiny_folder: Callable[[str], Path], format: str
) -> None:
    make(tmp_path / "made", tiny_folder("llama"), format)
    assert len({path.stat().st_mode for path in (tmp_path / "made").iterdir()}) == 1


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_an_export_that_fails_or_is_stopped_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    half = (
        "import json, pathlib, sys, time; job = json.load(sys.stdin);"
        "pathlib.Path(job['work_dir'], 'half').write_text('written'); print(json.dumps({'event': 'note'}), flush=True);"
        f"{'time.sleep(200)' if state == 'cancelled' else 'sys.exit(1)'}"
    )
    monkeypatch.setattr(exporter, "EXPORT", (sys.executable, "-c", half))
    written: list[Path] = []
    outcome = exporter.write(
        made(), "plain", tmp_path / "made", lambda event: written.extend(tmp_path.glob("*/half")),
        cancelled=lambda: state == "cancelled" and bool(written),
    )  # fmt: skip
    assert (outcome.state, len(written)) == (state, 1)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_into_an_empty_folder(
    tmp_path: Path, tiny_folder: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "made").mkdir()
    assert main(["export", RECIPE, str(tmp_path / "made"), "--model", str(tiny_folder("llama"))]) == 0
    assert "(plain)" in capsys.readouterr().err
    assert json.loads((tmp_path / "made" / "config.json").read_text())["model_type"] == "llama"
    card = (tmp_path / "made" / "README.md").read_text()
    assert RECIPE in card
    assert str(tiny_folder("llama")) not in card  # its path says nothing elsewhere


def test_a_folder_beside_which_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"can't write into the folder '.*gone': No such file"):
        exporter.write(made(8), "plain", tmp_path / "gone" / "made", lambda _: None, lambda: False)


@pytest.mark.parametrize(
    ("family", "recipe", "says"),
    [
        ("llama", "slice:slicegpt,fraction=0.25", "slice with head=untied, or export it packed"),
        ("gpt2", "prune:heads,fraction=0.25", "no standard configuration of the model family 'gpt2' has fewer heads"),
    ],
)
def test_a_model_that_no_standard_configuration_expresses_is_refused_before_the_work(
    tmp_path: Path, tiny_folder: Callable[[str], Path], capsys, monkeypatch, family: str, recipe: str, says: str
) -> None:
    monkeypatch.setattr(trial_model, "load", lambda *_: pytest.fail("the work began"))
    assert main(["export", recipe, str(tmp_path / "made"), "--model", str(tiny_folder(family))]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "made").exists()
