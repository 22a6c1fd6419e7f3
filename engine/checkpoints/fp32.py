"""A compressed model as a network in fp32: as its quality is measured, or of plain layers only.

The model itself stays packed, and what is not packed is shared with it.
"""

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.checkpoints.assembly import retie
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.weight import PackedLayer, plain_embedding, plain_linear
from engine.models import LanguageModel


def evaluated(model: LanguageModel) -> PreTrainedModel:
    """The fp32 network that quality is measured with: dequantized, but for layers that round their inputs as well."""
    return _fp32(model, keep=lambda layer: layer.rounds_inputs)


def dequantized(model: LanguageModel) -> PreTrainedModel:
    """The model as an fp32 network of plain layers."""
    return _fp32(model, keep=lambda layer: False)


def _fp32(model: LanguageModel, keep: Callable[[PackedLayer], bool]) -> PreTrainedModel:
    """The model in fp32: packed layers as plain ones, but for those to keep; the rest shared with it.

    Packed tensors have exactly their stored values; tensors that no step packed keep the precision the model holds.
    """
    shared: dict[int, Any] = {id(buffer): buffer for buffer in model.network.buffers()}
    for parameter in model.network.parameters():
        shared[id(parameter)] = nn.Parameter(parameter.detach().float(), requires_grad=False)
    network = copy.deepcopy(model.network, memo=shared)
    plain: dict[int, Tensor] = {}  # by matrix, so that what was shared stays shared
    for name, layer in packed_layers(network).items():
        if keep(layer):
            continue
        if id(layer.matrix) not in plain:
            plain[id(layer.matrix)] = layer.matrix.dequantize()
        network.set_submodule(name, _plain_layer(layer, plain[id(layer.matrix)]))
    retie(network)
    return network


def packed_layers(network: nn.Module) -> dict[str, PackedLayer]:
    """By name, the layers that hold a packed matrix."""
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, PackedLayer)}


def _plain_layer(layer: PackedLayer, weight: Tensor) -> nn.Module:
    """A plain layer in place of a packed one, around its dequantized weight."""
    if isinstance(layer, PackedEmbedding):
        return plain_embedding(weight, layer.scale)
    return plain_linear(weight, None if layer.bias is None else layer.bias.detach())
