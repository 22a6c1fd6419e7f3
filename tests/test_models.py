from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from engine import checkpoint, models
from engine.errors import InputError
from engine.measure import size
from engine.methods import compress
from engine.models import LanguageModel
from engine.sources import Source
from engine.spec import parse


def test_anatomy_names_every_weight_of_each_family(each_family: LanguageModel) -> None:
    anatomy = each_family.anatomy
    known = [layer.weight for _, layer in anatomy.linears()]
    known += [norm.weight for block in anatomy.blocks for norm, _ in block.readers]
    known += [anatomy.embedding.weight, anatomy.final_norm.weight]
    known += [anatomy.head.weight] if anatomy.head is not None else []
    within_attention = ("q_norm", "k_norm")
    others = {
        name
        for name, parameter in each_family.network.named_parameters()
        if not any(parameter is weight for weight in known) and not name.endswith(".bias")
    }
    assert all(name.split(".")[-2] in within_attention for name in others)


def test_a_tied_head_is_none(tiny_model) -> None:
    assert tiny_model("llama").anatomy.head is None
    assert tiny_model("mistral").anatomy.head is not None


@pytest.fixture
def bloom(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    config = BloomConfig(vocab_size=264, hidden_size=32, n_layer=2, n_head=2, bos_token_id=256, eos_token_id=257)
    BloomForCausalLM(config).save_pretrained(tmp_path / "bloom")
    tiny_tokenizer.save_pretrained(tmp_path / "bloom")
    return models.load(Source("bloom", tmp_path / "bloom", None, "0" * 64, "bloom", 1, {}))


def test_another_family_is_refused_by_name_before_any_work(bloom: LanguageModel) -> None:
    with pytest.raises(
        InputError, match="quantize:rtn does not know the model family 'bloom'; it knows: llama, mistral"
    ):
        compress(bloom, parse("quantize:rtn"), None, lambda *_: None)


def test_another_family_loads_and_is_measured_dense(bloom: LanguageModel, windows: Tensor, tmp_path: Path) -> None:
    compress(bloom, parse("dense"), None, lambda *_: None)
    checkpoint.save(bloom, tmp_path / "saved")
    measured = size.measure(bloom, tmp_path / "saved")
    assert measured.metrics["weight_bytes"] == 2 * measured.metrics["parameters"]
    assert measured.metrics["embedding_bytes"] == 264 * 32 * 2
    assert not measured.simulated
    running = checkpoint.load(tmp_path / "saved", torch.float32)
    torch.testing.assert_close(running.network(windows).logits, bloom.network(windows).logits, rtol=0, atol=0.05)


def test_a_folder_that_transformers_can_t_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't load the model 'nothing'"):
        models.load(Source("nothing", tmp_path, None, "0" * 64, "llama", 1, {}))
