import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    MambaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from engine import models
from engine.checkpoints import checkpoint
from engine.errors import InputError
from engine.measure import size
from engine.methods import compress
from engine.models import LanguageModel
from engine.network.kv_cache import bytes_per_token
from engine.network.sources import Source
from engine.spec import parse
from tests.conftest import NETWORKS, OTHERS, source_of

SIZES = {"vocab_size": 264, "hidden_size": 32, "bos_token_id": 256, "eos_token_id": 257}


@pytest.fixture
def bloom(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    return another(BloomConfig(**SIZES, n_layer=2, n_head=2), tmp_path / "bloom", tiny_tokenizer)


def another(config: PreTrainedConfig, folder: Path, tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A random model of a family whose parts are not known."""
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return models.load(Source(folder.name, folder, None, "0" * 64, config.model_type, 1, {}))


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


@pytest.mark.parametrize(
    ("config", "numbers"),  # a token's, of all blocks
    [
        (BloomConfig(**SIZES, n_layer=2, n_head=4), 2 * 2 * 32),
        (FalconConfig(**SIZES, num_hidden_layers=2, num_attention_heads=4), 2 * 2 * 8),  # one key head for all
        (MambaConfig(**SIZES, num_hidden_layers=2), 0),
    ],
)
def test_the_cache_of_another_family_is_as_large_as_it_fills_it(
    config: PreTrainedConfig, numbers: int, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    assert bytes_per_token(another(config, tmp_path / "model", tiny_tokenizer)) == 2 * numbers


DOWN, HEAD = "model.layers.1.mlp.down_proj.weight", "lm_head.weight"


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda tensors: tensors.pop(DOWN), f"lack 1 of the tensors that its config.json asks for, such as '{DOWN}'"),
        (lambda tensors: tensors.update({HEAD: torch.ones(9, 64)}), rf"'{HEAD}' is \[9, 64\] in its files, and \[264,"),
        (lambda tensors: tensors[DOWN][3].fill_(torch.nan), f"infinite or not a number, in '{DOWN}'"),
        (lambda tensors: tensors[DOWN][3].fill_(-torch.inf), f"infinite or not a number, in '{DOWN}'"),
    ],
)
def test_weights_that_are_not_the_network_s_are_refused_instead_of_drawn_at_random_and_so_are_no_numbers(
    tiny_folder: Callable[[str], Path], tmp_path: Path, harm: Callable[[dict[str, Tensor]], None], words: str
) -> None:
    source = harmed(tiny_folder("mistral"), tmp_path / "mine", harm)
    with pytest.raises(InputError, match=words):
        models.load_to_run(source, "cpu")
    if "infinite" not in words:
        with pytest.raises(InputError, match=words):
            models.refuse_unloadable(source)


@pytest.mark.parametrize("family", [*NETWORKS, *OTHERS])
def test_what_can_be_loaded_is_not_refused_before(tiny_folder: Callable[[str], Path], family: str) -> None:
    models.refuse_unloadable(source_of(tiny_folder(family), family))


def test_tensors_that_no_part_of_the_network_holds_are_left_out_and_not_counted(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tiny_folder("mistral")
    whole = models.load(source_of(folder, "mistral"))
    model = models.load(harmed(folder, tmp_path / "mine", lambda tensors: tensors.update(more=torch.ones(7, 7))))
    assert model.source.parameters == whole.source.parameters
    assert "no place for ('more')" in model.notes[0]
    assert not whole.notes


def test_a_tokenizer_that_knows_more_than_the_embedding_is_refused(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    another(BloomConfig(**SIZES | {"vocab_size": 200}, n_layer=1, n_head=2), tmp_path / "small", tiny_tokenizer)
    source = Source("small", tmp_path / "small", None, "0" * 64, "bloom", 1, {})
    for read in (lambda: models.load_to_run(source, "cpu"), lambda: models.refuse_unloadable(source)):
        with pytest.raises(InputError, match="an embedding of 200 rows for a tokenizer of 256 tokens"):
            read()


def harmed(folder: Path, copy: Path, harm: Callable[[dict[str, Tensor]], None]) -> Source:
    """A copy of a model's folder whose tensors were changed."""
    shutil.copytree(folder, copy)
    tensors = load_file(folder / "model.safetensors")
    harm(tensors)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return source_of(copy, "mistral")
