"""A language model and its parts: what the linears, norms, blocks and residual weights of each family are called.

A family is one entry in LAYOUTS; everything else asks the anatomy and never a name of its own. Any causal LM loads and
can be measured dense; the methods need a known family.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.errors import InputError
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.sliced_head import SlicedHead
from engine.sources import Source
from engine.spec.fit import refuse_misfits, refuse_unknown

__all__ = ["Anatomy", "Block", "LanguageModel", "Layout", "load", "refuse_misfits", "refuse_unknown"]


@dataclass(frozen=True)
class Layout:
    """The names of a family's parts, below the network and below a block."""

    base: str = "model"
    embedding: str = "model.embed_tokens"
    head: str = "lm_head"
    blocks: str = "model.layers"
    final_norm: str = "model.norm"
    rotary: str = "model.rotary_emb"
    input_norm: str = "input_layernorm"
    post_norm: str = "post_attention_layernorm"
    attention: str = "self_attn"
    attention_in: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    attention_out: str = "self_attn.o_proj"
    mlp_in: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    mlp_out: str = "mlp.down_proj"
    value: str = "self_attn.v_proj"  # each of its outputs is, mixed over tokens only, an input of attention_out
    mlp_up: str = "mlp.up_proj"  # each of its outputs is, times the gate's, an input of mlp_out

    @property
    def givers(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(part whose outputs' factors carry over to a tensor's channels, the linears that read the tensor), in order.

        An output of `value` gives a channel to every query head of its group.
        """
        return (
            (self.input_norm, self.attention_in),
            (self.value, (self.attention_out,)),
            (self.post_norm, self.mlp_in),
            (self.mlp_up, (self.mlp_out,)),
        )

    @property
    def linears(self) -> tuple[str, ...]:
        return (*self.attention_in, self.attention_out, *self.mlp_in, self.mlp_out)


LAYOUTS = {family: Layout() for family in ("llama", "mistral", "qwen2", "qwen3")}


@dataclass(frozen=True)
class Block:
    """One transformer block; its parts are looked up when asked for, so that a replaced layer is seen."""

    name: str  # "model.layers.3"
    module: nn.Module
    layout: Layout

    @property
    def input_norm(self) -> nn.Module:
        return self.module.get_submodule(self.layout.input_norm)

    @property
    def post_norm(self) -> nn.Module:
        return self.module.get_submodule(self.layout.post_norm)

    @property
    def linears(self) -> dict[str, nn.Module]:
        """Every linear layer by its name within the block, plain or packed."""
        return {name: self.module.get_submodule(name) for name in self.layout.linears}

    @property
    def attention_in(self) -> dict[str, nn.Module]:
        return self._named(self.layout.attention_in)

    @property
    def mlp_in(self) -> dict[str, nn.Module]:
        return self._named(self.layout.mlp_in)

    @property
    def groups(self) -> list[dict[str, nn.Module]]:
        """The linears in the order that they run, those together that read the same tensor."""
        layout = self.layout
        names = (layout.attention_in, (layout.attention_out,), layout.mlp_in, (layout.mlp_out,))
        return [self._named(together) for together in names]

    @property
    def readers(self) -> list[tuple[nn.Module, dict[str, nn.Module]]]:
        """(norm, linears that read what it gives), twice a block."""
        return [(self.input_norm, self.attention_in), (self.post_norm, self.mlp_in)]

    @property
    def writers(self) -> dict[str, nn.Module]:
        """The linears whose outputs are added to the residual stream."""
        return self._named((self.layout.attention_out, self.layout.mlp_out))

    @property
    def head_dim(self) -> int:
        return int(self._attention.head_dim)  # type: ignore[arg-type]

    @property
    def queries_per_key(self) -> int:
        """How many query heads share one key and value head."""
        return int(self._attention.num_key_value_groups)  # type: ignore[arg-type]

    def set_queries_per_key(self, count: int) -> None:
        """Say how many query heads share one key and value head."""
        self._attention.num_key_value_groups = count  # type: ignore[assignment]

    def replace(self, name: str, layer: nn.Module) -> None:
        self.module.set_submodule(name, layer)

    @property
    def _attention(self) -> nn.Module:
        return self.module.get_submodule(self.layout.attention)

    def _named(self, names: tuple[str, ...]) -> dict[str, nn.Module]:
        return {name: self.module.get_submodule(name) for name in names}


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network whose family is known."""

    network: PreTrainedModel
    layout: Layout

    @property
    def base(self) -> nn.Module:
        """The network without its head."""
        return self._part(self.layout.base)

    @property
    def embedding(self) -> nn.Module:
        return self._part(self.layout.embedding)

    @property
    def output(self) -> nn.Module:
        """The layer that gives the logits, tied to the embedding or not."""
        return self._part(self.layout.head)

    @property
    def tied(self) -> bool:
        """Whether the head multiplies by the embedding's own matrix."""
        table, projection = self.embedding, self.projection
        if isinstance(table, PackedEmbedding):
            return isinstance(projection, PackedLinear) and projection.matrix is table.matrix
        return isinstance(projection, nn.Linear) and projection.weight is table.weight

    @property
    def projection(self) -> nn.Module:
        """The vocabulary-sized layer: the head itself, or what stands behind a sliced head's small matrix."""
        output = self.output
        return output.projection if isinstance(output, SlicedHead) else output

    @property
    def head(self) -> nn.Module | None:
        """The head where it has a matrix of its own, None when tied."""
        return None if self.tied else self.output

    @property
    def final_norm(self) -> nn.Module:
        return self._part(self.layout.final_norm)

    @property
    def blocks(self) -> list[Block]:
        modules = self.network.get_submodule(self.layout.blocks)
        assert isinstance(modules, nn.ModuleList)
        return [Block(f"{self.layout.blocks}.{i}", module, self.layout) for i, module in enumerate(modules)]

    def _part(self, name: str) -> nn.Module:
        part: nn.Module = self.network.get_submodule(name)
        return part

    def linears(self, chosen: Collection[int] | None = None) -> Iterator[tuple[str, nn.Module]]:
        """(full name, layer) of every linear of the blocks, in order; chosen: of these blocks only, by their places."""
        for place, block in enumerate(self.blocks):
            if chosen is not None and place not in chosen:
                continue
            for name, layer in block.linears.items():
                yield f"{block.name}.{name}", layer

    def replace(self, name: str, layer: nn.Module) -> None:
        """Put a layer where one stood, by its full name."""
        self.network.set_submodule(name, layer)

    def set_embedding(self, layer: nn.Module) -> None:
        self.network.set_submodule(self.layout.embedding, layer)

    def set_projection(self, layer: nn.Module) -> None:
        """Put the vocabulary-sized layer of the head, keeping a sliced head's small matrix before it."""
        if isinstance(self.output, SlicedHead):
            self.output.projection = layer
        else:
            self.set_output(layer)

    def set_output(self, layer: nn.Module) -> None:
        self.network.set_submodule(self.layout.head, layer)

    def set_blocks(self, modules: list[nn.Module]) -> None:
        """Keep only the given blocks, renumbered so that each finds its own place in the KV cache."""
        self.network.set_submodule(self.layout.blocks, nn.ModuleList(modules))
        for index, module in enumerate(modules):
            module.get_submodule(self.layout.attention).layer_idx = index  # type: ignore[assignment]
        self.network.config.num_hidden_layers = len(modules)

    def rebuild_rotary(self) -> None:
        """Make the rotary embedding anew from the configuration: its tables are in no checkpoint."""
        old = self.network.get_submodule(self.layout.rotary)
        self.network.set_submodule(self.layout.rotary, type(old)(config=self.network.config))


@dataclass
class LanguageModel:
    """A network ready for evaluation, its tokenizer and where it came from; methods change the network in place."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: Source
    masked_zeros: bool = False  # zeros that dense kernels still multiply
    notes: list[str] = field(default_factory=list)  # sentences for whoever reads the result

    @property
    def anatomy(self) -> Anatomy:
        """The network's parts; raises InputError where the family is unknown."""
        family = self.network.config.model_type
        if family not in LAYOUTS:
            raise InputError(f"the parts of the model family {family!r} are not known; known: {', '.join(LAYOUTS)}")
        return Anatomy(self.network, LAYOUTS[family])

    @property
    def device(self) -> torch.device:
        return torch.device(self.network.device)


def load(source: Source, dtype: torch.dtype = torch.float32, device: str = "cpu") -> LanguageModel:
    """Load a dense model from safetensors for evaluation.

    Raises InputError where transformers can't read the folder or does not know the family.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=False)
        network: Any = AutoModelForCausalLM.from_pretrained(
            source.folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise
        raise InputError(f"can't load the model {source.name!r}: {' '.join(str(error).split())}") from error
    network.requires_grad_(False)
    return LanguageModel(network.to(device).eval(), tokenizer, source)
