"""A language model: its network, its tokenizer and where it came from.

Any causal LM loads and can be measured dense; the methods need a family whose parts are known
(`engine.network.anatomy`). Its own kinds of layers become plain linears and embeddings when a model is loaded.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from engine import layouts
from engine.errors import InputError
from engine.layers.semi_structured import SkippedZeros
from engine.network import streaming, weights
from engine.network.anatomy import Anatomy
from engine.network.own_layers import make_plain
from engine.network.sources import Source
from engine.network.unreadable import explained, refuse_type, refuse_unread
from engine.spec.quantize import KvCache


@dataclass
class LanguageModel:
    """A network ready for evaluation, its tokenizer and where it came from; methods change the network in place."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: Source
    masked_zeros: bool = False  # zeros that dense kernels still multiply
    skipped_zeros: SkippedZeros = field(default_factory=SkippedZeros)  # what runs a loaded checkpoint without them
    kv_cache: KvCache | None = None  # how its keys and values are rounded
    notes: list[str] = field(default_factory=list)  # sentences for whoever reads the result
    runs_on: torch.device | None = None  # unless where it lives, see `engine.network.streaming`

    @property
    def anatomy(self) -> Anatomy:
        """The network's parts; raises InputError where they are not known."""
        return Anatomy(self.network, layouts.find(self.network.config.to_dict()), self.runs_on)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.runs_on or self.network.device


def load(source: Source, dtype: torch.dtype = torch.float32, device: str = "cpu") -> LanguageModel:
    """Load a dense model from safetensors for evaluation.

    Raises InputError where transformers can't read the folder or does not know the family, and where the weights are
    not those of the network that the configuration describes: transformers would draw the others at random.
    """
    _, tokenizer = _described(source)
    network: Any
    with explained(f"the model {source.name!r}", source.config):
        network, read = AutoModelForCausalLM.from_pretrained(
            source.folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, **_TELL
        )
    refuse_unread(source.name, read)
    model = LanguageModel(network, tokenizer, source)
    if left := read["unexpected_keys"]:
        model.source = replace(source, parameters=sum(parameter.numel() for parameter in network.parameters()))
        model.notes.append(f"Left out of the model's files: tensors that its network has no place for ({min(left)!r}).")
    config = network.config.to_dict()
    if layouts.known(config):
        make_plain(network, layouts.find(config))
    network.requires_grad_(False)
    network.to(device).eval()
    return model


def load_to_run(source: Source, device: str) -> LanguageModel:
    """A dense model in fp32 that runs on a device, and lives there if it has room.

    Raises InputError as `load` does, where a weight is infinite or not a number, and where the tokenizer knows more
    tokens than the embedding has rows.
    """
    runs_on = torch.device(device)
    model = load(source, torch.float32, streaming.home(source.parameters, source.config, runs_on).type)
    _refuse_few_rows(source, model.tokenizer, model.network)
    for name, parameter in model.network.named_parameters():
        if parameter.numel() and not torch.stack(torch.aminmax(parameter)).isfinite().all():
            raise InputError(f"the model {source.name!r} holds weights that are infinite or not a number, in {name!r}")
    model.runs_on = runs_on
    return model


def refuse_unloadable(source: Source) -> None:
    """Raise InputError where `load_to_run` would, but for what weights are; reads what they are called and no more."""
    config, tokenizer = _described(source)
    stored = weights.tensors(weights.files(source.folder))
    with explained(f"the model {source.name!r}", source.config), torch.device("meta"):
        empty = {name: torch.empty(tensor.shape) for name, tensor in stored.items()}
        network: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        network, read = type(network).from_pretrained(
            None, config=network.config, state_dict=empty, device_map="meta", **_TELL
        )
    refuse_unread(source.name, read)
    _refuse_few_rows(source, tokenizer, network)


_TELL = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # what files lack, or have of another size


def _described(source: Source) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """The configuration and the tokenizer; raises InputError where transformers can't read them."""
    refuse_type(source.name, source.model_type, source.config)
    with explained(f"the configuration of the model {source.name!r}", source.config):
        config = AutoConfig.from_pretrained(source.folder, trust_remote_code=False)
    with explained(f"the tokenizer of the model {source.name!r}", source.config):
        return config, AutoTokenizer.from_pretrained(source.folder, trust_remote_code=False)


def _refuse_few_rows(source: Source, tokenizer: PreTrainedTokenizerBase, network: PreTrainedModel) -> None:
    """Raise InputError where the tokenizer knows tokens that the embedding does not."""
    tokens, rows = tokenizer.vocab_size, network.get_input_embeddings().weight.shape[0]
    if tokens > rows:
        raise InputError(
            f"the model {source.name!r} has an embedding of {rows} rows for a tokenizer of {tokens} tokens"
        )
