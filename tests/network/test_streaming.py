import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine.network import streaming
from engine.network.streaming import home
from engine.network.walk_memory import peak_bytes
from tests.conftest import SIZES

ROOT = Path(__file__).parents[2]
RECIPES = {  # every method that walks on some family, every family that lays its parts out otherwise
    "llama": "slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4,group_size=8,targets=linears+embedding | prune:wanda",
    "qwen3": "prune:wanda,pattern=2:4 | quantize:gptq,bits=4,group_size=16,statistics=dense",
    "gemma2": "prune:neurons,fraction=0.5,importance=taylor | prune:layers,count=1 | quantize:rtn,group_size=16",
    "phi": "prune:heads,fraction=0.5,unit=queries,importance=wanda | prune:sparsegpt,sparsity=0.5,damping=1",
    "opt": "prune:heads,fraction=0.25,importance=taylor | quantize:gptq,bits=4,group_size=8,damping=1",
    "gpt2": "prune:wanda | quantize:awq,bits=4,group_size=16,clip=false",
}
LLAMA_2_7B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "vocab_size": 32000,
    "tie_word_embeddings": False,
}


@pytest.fixture(scope="module")
def compared(
    tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, float]]:
    """By family, a streamed model beside one that was compressed where it lives."""
    asked = {family: (str(tiny_folder(family)), recipe) for family, recipe in RECIPES.items()}
    command = [sys.executable, "-m", "tests.streamed"]
    own = {**os.environ, "KNEEPOINT_CACHE": str(tmp_path_factory.mktemp("cache"))}
    done = subprocess.run(command, cwd=ROOT, env=own, input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("family", RECIPES)
def test_a_streamed_model_becomes_what_it_becomes_at_home(compared: dict[str, dict[str, float]], family: str) -> None:
    assert compared[family]["alike"] > 0.95
    assert compared[family]["logits_alike"]


@pytest.mark.parametrize("family", RECIPES)
def test_one_block_at_a_time_is_on_the_device_and_nothing_stays(
    compared: dict[str, dict[str, float]], family: str
) -> None:
    assert compared[family]["blocks_together"] == 1
    assert compared[family]["left_bytes"] == 0


def test_walking_takes_no_more_than_is_counted(compared: dict[str, dict[str, float]]) -> None:
    for family in ("qwen3", "opt"):
        found = compared[family]
        assert found["bound_bytes"] / 4 < found["most_bytes"] <= found["bound_bytes"]


@pytest.mark.parametrize(("windows", "tokens", "gigabytes"), [(32, 512, 10.3), (32, 2048, 12.2)])
def test_seven_billion_parameters_fit_24_gigabytes(windows: int, tokens: int, gigabytes: float) -> None:
    assert peak_bytes(LLAMA_2_7B, windows, tokens) / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_only_a_model_that_has_no_room_on_the_gpu_stays_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "free_bytes", lambda device: 24e9)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert home(2_000_000_000, LLAMA_2_7B, gpu) == gpu
    assert home(2_000_000_001, LLAMA_2_7B, gpu) == cpu
    assert home(7_000_000_000, LLAMA_2_7B, cpu) == cpu
    assert home(7_000_000_000, {**SIZES, "model_type": "bloom"}, gpu) == gpu  # whose blocks are not known
