"""The parts of a network, found by the layout of its family (see `engine.layouts`).

Methods ask the anatomy and never a name of their own.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.layers.cut import keep_inputs, keep_outputs, runs
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import inputs_of, outputs_of
from engine.layouts import Layout


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
        return [self._named(readers) for _, readers in self.layout.givers]

    @property
    def readers(self) -> list[tuple[nn.Module, dict[str, nn.Module]]]:
        """(norm on the residual stream, the linears that read what it gives)."""
        return [
            (self.module.get_submodule(giver), self._named(linears))
            for giver, linears in self.layout.givers
            if giver in self.layout.norms
        ]

    @property
    def writers(self) -> dict[str, nn.Module]:
        """The linears whose outputs are added to the residual stream."""
        return self._named((self.layout.attention_out, self.layout.mlp_out))

    @property
    def head_dim(self) -> int:
        return int(getattr(self.attention, self.layout.head_dim))

    @property
    def queries_per_key(self) -> int:
        """How many query heads share one key and value head."""
        name = self.layout.query_groups
        return int(getattr(self.attention, name)) if name else 1

    @property
    def heads(self) -> int:
        """How many query heads there are."""
        return inputs_of(self.linears[self.layout.attention_out]) // self.head_dim

    @property
    def neurons(self) -> int:
        """How wide the MLP is."""
        return inputs_of(self.linears[self.layout.mlp_out])

    def keep_heads(self, queries: Tensor, keys: Tensor) -> None:
        """Leave only these query heads, and key and value heads, both ascending, of the attention."""
        layout, query_rows = self.layout, runs(queries, self.head_dim)
        for name, rows in self._attention_rows(queries, keys).items():
            self.replace(name, keep_outputs(self.linears[name], rows))
        self.replace(layout.attention_out, keep_inputs(self.linears[layout.attention_out], query_rows))
        counts: dict[str, int] = dict.fromkeys(layout.head_counts, len(keys))
        if layout.query_groups:
            counts[layout.query_groups] = len(queries) // len(keys)
        if layout.split_width:
            counts[layout.split_width] = len(query_rows)
        for name, count in counts.items():
            setattr(self.attention, name, count)

    def keep_neurons(self, kept: Tensor) -> None:
        """Leave only the neurons at the places `kept`, ascending, of the MLP."""
        layout = self.layout
        rows = torch.cat([kept, kept + self.neurons]) if layout.mlp_stacked else kept
        for name, layer in self.mlp_in.items():
            self.replace(name, keep_outputs(layer, rows))
        self.replace(layout.mlp_out, keep_inputs(self.linears[layout.mlp_out], kept))

    def divisors(self, giver: str, factors: Tensor) -> Tensor:
        """What a giver's outputs are divided by, so that the channels that its readers see are by `factors`.

        The query heads of a group have one factor each channel. Outputs that give no channel are divided by 1.
        """
        if giver == self.layout.value:
            factors = factors.view(-1, self.queries_per_key, self.head_dim)[:, 0].flatten()
            places = self._value_rows(len(factors))
        elif giver == self.layout.mlp_up and self.layout.mlp_stacked:
            places = torch.arange(len(factors)) + len(factors)
        else:
            return factors
        divisors = torch.ones(outputs_of(self.module.get_submodule(giver)), device=factors.device)
        divisors[places] = factors
        return divisors

    def replace(self, name: str, layer: nn.Module) -> None:
        self.module.set_submodule(name, layer)

    @property
    def attention(self) -> nn.Module:
        return self.module.get_submodule(self.layout.attention)

    def _attention_rows(self, queries: Tensor, keys: Tensor) -> dict[str, Tensor]:
        """By linear that the attention reads the stream with, its outputs that belong to these heads."""
        names, size = self.layout.attention_in, self.head_dim
        if self.layout.fused == "by_head":
            return {names[0]: runs(queries, 3 * size)}
        query, key = runs(queries, size), runs(keys, size)
        if self.layout.fused == "stacked":
            of_queries, of_keys = self.heads * size, self.heads // self.queries_per_key * size
            return {names[0]: torch.cat([query, of_queries + key, of_queries + of_keys + key])}
        return dict(zip(names, (query, key, key), strict=True))

    def _value_rows(self, count: int) -> Tensor:
        """The outputs of `value` that are values, of which there are `count`."""
        last = outputs_of(self.module.get_submodule(self.layout.value))
        if self.layout.fused == "by_head":
            return torch.arange(last).view(-1, 3, self.head_dim)[:, 2].flatten()
        return torch.arange(last - count, last)

    def _named(self, names: tuple[str, ...]) -> dict[str, nn.Module]:
        return {name: self.module.get_submodule(name) for name in names}


@dataclass(frozen=True)
class Anatomy:
    """The parts of a network whose family is known."""

    network: PreTrainedModel
    layout: Layout
    runs_on: torch.device | None = None  # unless where it lives, see `engine.network.streaming`

    @property
    def device(self) -> torch.device:
        """Where its parts are when they run."""
        return self.runs_on or self.network.device

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

    def chosen(self, places: Collection[int] | None) -> list[Block]:
        """The blocks at these places, in order; all where none are given."""
        return [block for place, block in enumerate(self.blocks) if places is None or place in places]

    def _part(self, name: str) -> nn.Module:
        part: nn.Module = self.network.get_submodule(name)
        return part

    def linears(self, chosen: Collection[int] | None = None) -> Iterator[tuple[str, nn.Module]]:
        """(full name, layer) of every linear of the blocks, or of those at the places `chosen`, in order."""
        for block in self.chosen(chosen):
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

    def keep_heads(self, queries: list[Tensor], keys: list[Tensor]) -> None:
        """Leave only these query heads, and key and value heads, equally many of every block."""
        for block, *kept in zip(self.blocks, queries, keys, strict=True):
            block.keep_heads(*kept)
        if self.layout.free_heads:
            config = self.network.config
            config.num_attention_heads, config.num_key_value_heads = len(queries[0]), len(keys[0])
            config.head_dim = self.blocks[0].head_dim

    def keep_neurons(self, kept: list[Tensor]) -> None:
        """Leave only these neurons, equally many of every block."""
        for block, places in zip(self.blocks, kept, strict=True):
            block.keep_neurons(places)
        setattr(self.network.config, self.layout.key("intermediate_size"), len(kept[0]))

    def logits(self, states: Tensor) -> Tensor:
        """The logits [..., vocabulary] of what the last block gives, [..., width]."""
        logits: Tensor = self.output(self.final_norm(states))
        cap = getattr(self.network.config, "final_logit_softcapping", None)
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def rebuild_rotary(self) -> None:
        """Make the rotary embedding anew from the configuration: its tables are in no checkpoint."""
        if self.layout.rotary is None:
            return
        old = self.network.get_submodule(self.layout.rotary)
        self.network.set_submodule(self.layout.rotary, type(old)(config=self.network.config))


def epsilon_of(norm: nn.Module) -> float:
    """What a norm adds to the mean square before it takes the root."""
    return float(getattr(norm, "variance_epsilon", None) or norm.eps)  # type: ignore[arg-type]
