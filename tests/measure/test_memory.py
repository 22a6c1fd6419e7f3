"""Peak memory of a fresh process that loads a checkpoint and generates."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engine.checkpoints import checkpoint
from engine.measure import memory
from engine.models import LanguageModel
from engine.network.sources import Source
from engine.spec import Protocol

PROTOCOL = Protocol(prompt_tokens=4, decode_tokens=10)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A checkpoint of 101 MB, nearly all of it in two MLPs."""
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=1024,
        intermediate_size=8192,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    with torch.device("meta"):
        network = LlamaForCausalLM(config)
    network = network.to_empty(device="cpu").requires_grad_(False).eval()
    for parameter in network.parameters():
        parameter.fill_(0.01)
    words = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")))
    source = Source("wide", tmp_path, None, "0" * 64, "llama", network.num_parameters(), config.to_dict())
    checkpoint.save(LanguageModel(network, words, source), tmp_path / "packed")
    return tmp_path / "packed"


def test_the_weights_are_counted_once_and_the_libraries_are_not(packed: Path) -> None:
    weight_bytes = sum(tensor.nbytes for tensor in load_file(packed / "model.safetensors").values())
    assert weight_bytes > 10**8
    peak = memory.measure(packed, PROTOCOL, threads=1)
    assert weight_bytes <= peak < 1.4 * weight_bytes


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is no packed checkpoint"):
        memory.measure(tmp_path, PROTOCOL, threads=1)


def test_what_a_checkpoint_runs_on_is_loaded_before_the_peak_is_read(tmp_path: Path, monkeypatch) -> None:
    packed = {
        "a": {"format": "nf4"},
        "b": {"format": "int8"},
        "c": {"format": "nf4"},
        "d": {"bits": 4},
        "e": {"bits": 3},
    }
    (tmp_path / checkpoint.LAYOUT).write_text(json.dumps({"packed": packed}))
    loaded: list[str] = []
    quantized, linear = memory.quantized, memory.PackedLinear
    monkeypatch.setattr(memory, "quantized", lambda weight, format: loaded.append(format) or quantized(weight, format))
    monkeypatch.setattr(memory, "PackedLinear", lambda matrix: loaded.append(str(matrix.bits)) or linear(matrix))
    memory.load_kernels(tmp_path)
    assert loaded == ["int8", "nf4", "4"]
