"""The kinds of layers that model families have of their own, as plain ones, so that methods meet no others.

Gemma's embedding multiplies the rows that it looks up; GPT-2's blocks hold their weights [inputs, outputs]. Held as a
linear's, these are as quick in fp32 and several times quicker in bf16 on a CPU.
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from engine import layouts
from engine.layers.weight import plain_embedding, plain_linear
from engine.layouts import Layout


def make_plain(network: PreTrainedModel, layout: Layout) -> None:
    """Put plain linears and embeddings of the same numbers where a family has kinds of its own, in place."""
    if layout.scaled_embedding:
        table: Any = network.get_submodule(layout.embedding)
        network.set_submodule(layout.embedding, plain_embedding(table.weight, table.scalar_embed_scale))
    for name in _turned(network, layout):
        layer = network.get_submodule(name)
        weight, bias = layer.get_parameter("weight").detach(), layer.get_parameter("bias").detach()
        network.set_submodule(name, plain_linear(weight.T.contiguous(), bias))


def as_the_family_stores(network: PreTrainedModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of plain layers by name as the family's checkpoints hold them, or the other way round."""
    config = network.config.to_dict()
    if not layouts.known(config):
        return tensors
    turned = {f"{name}.weight" for name in _turned(network, layouts.find(config))}
    return {name: tensor.T if name in turned else tensor for name, tensor in tensors.items()}


def standard_names(network: PreTrainedModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that the family's checkpoints give them, where transformers has others within a network."""
    config = network.config.to_dict()
    layout = layouts.find(config) if layouts.known(config) else Layout()
    head = f"{layout.head}."
    return {
        f"{layout.stored_head}.{name.removeprefix(head)}" if name.startswith(head) else name: tensor
        for name, tensor in tensors.items()
    }


def _turned(network: PreTrainedModel, layout: Layout) -> Iterator[str]:
    """The names of the layers whose weights the family holds [inputs, outputs]."""
    blocks = network.get_submodule(layout.blocks) if layout.conv1d else nn.ModuleList()
    for place, _ in enumerate(blocks.children()):
        yield from (f"{layout.blocks}.{place}.{name}" for name in layout.linears)
