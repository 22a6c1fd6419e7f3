"""The running network around a checkpoint's tensors, put together without ever allocating the dense one."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from engine.errors import InputError
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import plain_embedding, plain_linear
from engine.models import LAYOUTS, Anatomy


def assemble(
    config: PreTrainedConfig, layout: dict[str, Any], tensors: dict[str, Tensor], dtype: torch.dtype, folder: Path
) -> PreTrainedModel:
    """A network of a known family from the tensors of a packed checkpoint.

    layout: the content of kneepoint.json; dtype: of every tensor that is not packed; folder: named in errors.
    Raises InputError where a tensor is missing, left over or of another shape than the layout and configuration give.
    """
    with torch.device("meta"):
        network: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    anatomy, parts = Anatomy(network, LAYOUTS[config.model_type]), _Tensors(tensors, folder)
    for name, packing in layout["packed"].items():
        _place_packed(anatomy, name, parts.matrix(name, packing), parts, dtype)
    if layout["head"] == "sliced":
        anatomy.set_output(SlicedHead(parts.take(f"{anatomy.layout.head}.mixing").to(dtype), anatomy.output))
    shared = layout["head"] in ("tied", "sliced")
    _place_plain(anatomy, parts, dtype, shared)
    if shared and not isinstance(anatomy.embedding, PackedEmbedding):
        anatomy.projection.weight = anatomy.embedding.weight
    parts.refuse_rest()
    anatomy.rebuild_rotary()
    return network


def packing_of(matrix: PackedMatrix) -> dict[str, Any]:
    """What kneepoint.json says of a packed matrix."""
    return {
        "bits": matrix.bits,
        "group_size": matrix.group_size,
        "rows": matrix.rows,
        "columns": matrix.columns,
        "symmetric": matrix.symmetric,
    }


def retie(network: PreTrainedModel) -> None:
    """Make one parameter of an embedding and a head that hold the same tensor."""
    head, table = network.get_output_embeddings(), network.get_input_embeddings()
    projection = head.projection if isinstance(head, SlicedHead) else head
    one, other = getattr(projection, "weight", None), getattr(table, "weight", None)
    if isinstance(one, Tensor) and isinstance(other, Tensor) and one.data_ptr() == other.data_ptr():
        projection.weight = other


class _Tensors:
    """The tensors of a checkpoint, each taken once by the layer it belongs to."""

    def __init__(self, tensors: dict[str, Tensor], folder: Path) -> None:
        self.left, self.folder = dict(tensors), folder

    def take(self, name: str) -> Tensor:
        if name not in self.left:
            raise InputError(f"the checkpoint {str(self.folder)!r} lacks the tensor {name!r}")
        return self.left.pop(name)

    def matrix(self, name: str, packing: dict[str, Any]) -> PackedMatrix:
        codes, scales = self.take(f"{name}.matrix.codes"), self.take(f"{name}.matrix.scales")
        zeros = self.take(f"{name}.matrix.zeros") if not packing.get("symmetric") else None
        try:
            matrix = PackedMatrix(codes, scales, zeros, packing["columns"], packing["bits"])
            fits = packing_of(matrix) == packing
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise self.misfit(name)
        return matrix

    def misfit(self, name: str) -> InputError:
        return InputError(f"the checkpoint {str(self.folder)!r} is damaged: {name!r} is not of the shape it should be")

    def refuse_rest(self) -> None:
        if self.left:
            raise InputError(
                f"the checkpoint {str(self.folder)!r} has a tensor that belongs to no layer: {min(self.left)!r}"
            )


def _place_packed(anatomy: Anatomy, name: str, matrix: PackedMatrix, parts: _Tensors, dtype: torch.dtype) -> None:
    """Put a packed matrix where its layer stood; one without a kernel becomes a dequantized copy."""
    try:
        layer = anatomy.network.get_submodule(name)
    except AttributeError:
        raise parts.misfit(name) from None
    if tuple(getattr(layer, "weight", matrix.codes).shape) != matrix.shape:
        raise parts.misfit(name)
    bias = parts.take(f"{name}.bias").to(dtype) if getattr(layer, "bias", None) is not None else None
    if name != anatomy.layout.embedding:
        linear = PackedLinear(matrix, bias) if has_kernel(matrix) else plain_linear(matrix.dequantize(dtype), bias)
        anatomy.replace(name, linear)
        return
    tied = anatomy.tied
    if tied and not has_kernel(matrix):  # the head needs the copy, and a copy serves the lookup as well
        anatomy.set_embedding(plain_embedding(matrix.dequantize(dtype)))
        return
    anatomy.set_embedding(PackedEmbedding(matrix, dtype))
    if tied:
        anatomy.set_projection(PackedLinear(matrix, bias))


def _place_plain(anatomy: Anatomy, parts: _Tensors, dtype: torch.dtype, shared: bool) -> None:
    """Give every parameter that is still without content its tensor; a shared head gets the embedding's later."""
    waiting = [(name, p) for name, p in anatomy.network.named_parameters(remove_duplicate=False) if p.is_meta]
    for name, parameter in waiting:
        path, _, attribute = name.rpartition(".")
        module = anatomy.network.get_submodule(path)
        if shared and module is anatomy.projection and attribute == "weight":
            continue
        tensor = parts.take(name)
        if tensor.shape != parameter.shape:
            raise parts.misfit(name)
        setattr(module, attribute, nn.Parameter(tensor.to(dtype), requires_grad=False))
