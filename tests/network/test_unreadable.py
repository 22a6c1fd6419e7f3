"""Folders that transformers can't make a model of: what is wrong is named, in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine import models
from engine.errors import InputError
from engine.network.sources import Source
from engine.network.unreadable import explained


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a tiny llama's folder, to harm."""
    copy: Path = shutil.copytree(tiny_folder("llama"), tmp_path / "mine")
    return copy


@pytest.fixture(params=[models.load, models.refuse_unloadable])
def load(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Loads a folder, or finds out without its weights that it can't be."""

    def one(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        request.param(Source("mine", folder, None, "0" * 64, config["model_type"], 1, config))

    return one


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model_type": "llamma"}, "the model 'mine' is of the type 'llamma', which .* mean 'llama'?"),
        ({"model_type": "my", "auto_map": {"AutoModel": "m.M"}}, "of the type 'my'.*; code that .* is never run"),
        ({"hidden_act": "wobble"}, "the model 'mine': its config.json gives hidden_act='wobble', which is not known"),
        ({"rope_parameters": {"rope_type": "odd", "rope_theta": 1e4}}, "rope_parameters.rope_type='odd', which is not"),
        ({"max_position_embeddings": "long"}, "the configuration of the model 'mine'.* expected int, got str"),
        ({"num_attention_heads": 0}, "the configuration of the model 'mine'"),
        ({"vocab_size": 9}, "can't load the model 'mine'"),
    ],
)
def test_a_configuration_that_makes_no_network_is_named(
    folder: Path, load: Callable[[Path], None], changed: dict[str, Any], words: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))
    with pytest.raises(InputError, match=words) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("content", "words"), [('{"version": ', "Expecting value"), ("{}", "KeyError 'added_tokens'")])
def test_a_damaged_tokenizer_is_not_called_a_damaged_model(
    folder: Path, load: Callable[[Path], None], content: str, words: str
) -> None:
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=f"can't load the tokenizer of the model 'mine': {words}"):
        load(folder)


def test_an_empty_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't load the configuration of the model 'nothing'"):
        models.load(Source("nothing", tmp_path, None, "0" * 64, "llama", 1, {}))


def test_memory_that_ran_out_is_no_fault_of_the_folder() -> None:
    with pytest.raises(RuntimeError, match="can't allocate"), explained("the model", {}):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
