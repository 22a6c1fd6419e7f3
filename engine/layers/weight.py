"""The weight of a layer, whether it is plain or packed."""

import torch
from torch import Tensor, nn

from engine.layers.bnb_linear import BnbLinear
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.scaled_embedding import ScaledEmbedding

PackedLayer = PackedLinear | PackedEmbedding | BnbLinear


def weight_of(layer: nn.Module) -> Tensor:
    """A layer's weight in fp32, [outputs, inputs] or [vocabulary, width]; a view where it is plain fp32 already."""
    if isinstance(layer, PackedLayer):
        return layer.matrix.dequantize()
    return layer.get_parameter("weight").detach().float()


def bias_of(layer: nn.Module) -> Tensor | None:
    """A linear layer's bias, or None."""
    bias = getattr(layer, "bias", None)
    return bias.detach() if isinstance(bias, Tensor) else None


def inputs_of(layer: nn.Module) -> int:
    """The width of a layer's rows: a linear's inputs, an embedding's width."""
    return layer.matrix.columns if isinstance(layer, PackedLayer) else layer.get_parameter("weight").shape[-1]


def outputs_of(layer: nn.Module) -> int:
    """The rows of a linear layer's weight."""
    return layer.matrix.rows if isinstance(layer, PackedLayer) else layer.get_parameter("weight").shape[0]


def scale_of(embedding: nn.Module) -> float:
    """What an embedding multiplies its rows by."""
    return embedding.scale if isinstance(embedding, ScaledEmbedding | PackedEmbedding) else 1.0


def plain_linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer that holds the given tensors, copying nothing."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer


def plain_embedding(weight: Tensor, scale: float = 1.0) -> nn.Embedding:
    """An embedding that holds the given tensor, copying nothing; a parameter stays the same one."""
    rows, width = weight.shape
    if scale == 1:
        layer = nn.Embedding(rows, width, device="meta")
    else:
        layer = ScaledEmbedding(rows, width, scale, device="meta")
    layer.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight, requires_grad=False)
    return layer


def unpacked(layer: nn.Module) -> nn.Module:
    """A packed layer as a plain fp32 one; a plain layer as it is."""
    if isinstance(layer, PackedEmbedding):
        return plain_embedding(layer.matrix.dequantize(), layer.scale)
    if isinstance(layer, PackedLinear | BnbLinear):
        return plain_linear(layer.matrix.dequantize(), None if layer.bias is None else layer.bias.detach().float())
    return layer


def zero_out(layer: nn.Module, mask: Tensor) -> None:
    """Set a linear's weights to zero where the mask [outputs, inputs] is true.

    Packed weights stay packed, for zero is a point of every grid here.
    """
    if isinstance(layer, PackedLinear):
        matrix = layer.matrix
        zeros = matrix.unpacked_zeros().repeat_interleave(matrix.group_size, dim=1)
        codes = torch.where(mask, zeros, matrix.unpacked_codes())
        stored_zeros = None if matrix.symmetric else matrix.unpacked_zeros()
        layer.matrix = PackedMatrix.from_codes(codes, matrix.scales, stored_zeros, matrix.bits)
    else:
        layer.get_parameter("weight").data[mask] = 0.0
