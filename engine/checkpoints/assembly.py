"""The running network around a checkpoint's tensors, put together without ever allocating the dense one."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from engine import layouts
from engine.errors import InputError
from engine.layers import semi_structured
from engine.layers.bnb_linear import BnbLinear
from engine.layers.bnb_matrix import BnbMatrix, FourBitMatrix, Int8Matrix
from engine.layers.nonzeros import Nonzeros, with_zeros
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.rounded_inputs import RoundedInputs
from engine.layers.semi_structured import SemiStructuredLinear, SkippedZeros
from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import PackedLayer, bias_of, plain_embedding, plain_linear, scale_of
from engine.network.anatomy import Anatomy
from engine.network.own_layers import as_the_family_stores, make_plain

VALUES, MASK = ".values", ".mask"  # what stands for the weight of a linear that is stored without its zeros


def assemble(
    config: PreTrainedConfig, layout: dict[str, Any], tensors: dict[str, Tensor], dtype: torch.dtype, folder: Path
) -> PreTrainedModel:
    """A network of a known family from the tensors of a packed checkpoint.

    layout: the content of kneepoint.json; tensors: emptied, so that what only a copy is made of leaves memory with it;
    dtype: of every tensor that is not packed; folder: named in errors.
    Raises InputError where a tensor is missing, left over or of another shape than the layout and configuration give.
    """
    with torch.device("meta"):
        network: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=dtype)
    anatomy = Anatomy(network, layouts.find(config.to_dict()))
    make_plain(network, anatomy.layout)
    parts = _Tensors(as_the_family_stores(network, tensors), folder)
    tensors.clear()
    if (heads := layout.get("heads")) is not None:
        if heads not in range(1, anatomy.blocks[0].heads):
            raise parts.misfit("heads")
        kept = [torch.arange(heads)] * len(anatomy.blocks)
        anatomy.keep_heads(kept, kept)
    for name in layout.get("masked", ()):
        parts.fill(name, network)
    for name, packing in layout["packed"].items():
        _place_packed(anatomy, name, parts.matrix(name, packing), parts, dtype)
    for name in layout.get("rounds_inputs", ()):
        _round_inputs(anatomy, name, parts)
    if layout["head"] == "sliced":
        anatomy.set_output(SlicedHead(parts.take(f"{anatomy.layout.head}.mixing").to(dtype), anatomy.output))
    shared = layout["head"] in ("tied", "sliced")
    _place_plain(anatomy, parts, dtype, shared)
    if shared and not isinstance(anatomy.embedding, PackedEmbedding):
        anatomy.projection.weight = anatomy.embedding.weight
    parts.refuse_rest()
    anatomy.rebuild_rotary()
    return network


def skip_zeros(anatomy: Anatomy, masked: Collection[str], device: torch.device) -> SkippedZeros:
    """Have linears run on a device without their zeros: all, or none and why not.

    masked: the linears that are stored without zeros. They are put on the device one at a time, so that it never holds
    the zeros of all of them.
    """
    if not masked:
        return SkippedZeros()
    library, absent = semi_structured.choose(device)
    if library is None:
        return SkippedZeros(why_not=absent)
    linears = dict(anatomy.linears())
    if any(isinstance(layer, PackedLayer) for layer in linears.values()):
        return SkippedZeros(why_not="some linears are packed, and their zeros are multiplied")
    for name in masked:
        if reason := semi_structured.why_not(linears[name].get_parameter("weight").to(device), library):
            return SkippedZeros(why_not=f"{name}: {reason}")
    for name in masked:
        layer = linears.pop(name)
        weight = layer.get_parameter("weight").to(device)
        anatomy.replace(name, SemiStructuredLinear(weight, bias_of(layer), library))
    return SkippedZeros(library.name)


def packing_of(matrix: PackedMatrix | BnbMatrix) -> dict[str, Any]:
    """What kneepoint.json says of a packed matrix; of its zero points only where they have a fraction."""
    if isinstance(matrix, BnbMatrix):
        blocks = {"block_size": matrix.block_size, "double": matrix.nested} if isinstance(matrix, FourBitMatrix) else {}
        return {"format": matrix.format, "rows": matrix.rows, "columns": matrix.columns, **blocks}
    fraction = {"zero_bits": matrix.zero_bits} if matrix.zero_bits != matrix.bits else {}
    return {
        "bits": matrix.bits,
        "group_size": matrix.group_size,
        "rows": matrix.rows,
        "columns": matrix.columns,
        "symmetric": matrix.symmetric,
        **fraction,
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

    def matrix(self, name: str, packing: dict[str, Any]) -> PackedMatrix | BnbMatrix:
        tensors = {part: self.take(f"{name}.matrix.{part}") for part in _matrix_tensors(packing)}
        try:
            matrix = (_bnb_matrix if "format" in packing else _packed_matrix)(tensors, packing)
            fits = packing_of(matrix) == packing
        except (ArithmeticError, IndexError, KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise self.misfit(name)
        return matrix

    def fill(self, name: str, network: PreTrainedModel) -> None:
        """Give a linear's weight its zeros again, in the shape that the network has for it."""
        stored = Nonzeros(self.take(f"{name}{VALUES}"), self.take(f"{name}{MASK}"))
        try:
            shape = network.get_parameter(f"{name}.weight").shape
            self.left[f"{name}.weight"] = with_zeros(stored, shape)
        except (AttributeError, ValueError):
            raise self.misfit(name) from None

    def misfit(self, name: str) -> InputError:
        return InputError(f"the checkpoint {str(self.folder)!r} is damaged: {name!r} is not of the shape it should be")

    def refuse_rest(self) -> None:
        if self.left:
            raise InputError(
                f"the checkpoint {str(self.folder)!r} has a tensor that belongs to no layer: {min(self.left)!r}"
            )


def _matrix_tensors(packing: dict[str, Any]) -> list[str]:
    """The tensors that a checkpoint holds of a packed matrix."""
    if "format" in packing:
        return ["codes", "scales", *(["nested_scales", "offset"] if packing.get("double") else [])]
    return ["codes", "scales", *([] if packing.get("symmetric") else ["zeros"])]


def _packed_matrix(tensors: dict[str, Tensor], packing: dict[str, Any]) -> PackedMatrix:
    return PackedMatrix(
        tensors["codes"],
        tensors["scales"],
        tensors.get("zeros"),
        packing["columns"],
        packing["bits"],
        packing.get("zero_bits"),
    )


def _bnb_matrix(tensors: dict[str, Tensor], packing: dict[str, Any]) -> BnbMatrix:
    codes, scales, shape = tensors["codes"], tensors["scales"], (packing["rows"], packing["columns"])
    if packing["format"] == Int8Matrix.format:
        return Int8Matrix(codes, scales, shape)
    nested = (tensors["nested_scales"], tensors["offset"]) if packing["double"] else None
    return FourBitMatrix(codes, scales, nested, shape, packing["format"], packing["block_size"])


def _place_packed(
    anatomy: Anatomy, name: str, matrix: PackedMatrix | BnbMatrix, parts: _Tensors, dtype: torch.dtype
) -> None:
    """Put a packed matrix where its layer stood; one without a kernel becomes a dequantized copy."""
    try:
        layer = anatomy.network.get_submodule(name)
    except AttributeError:
        raise parts.misfit(name) from None
    if tuple(getattr(layer, "weight", matrix.codes).shape) != matrix.shape:
        raise parts.misfit(name)
    bias = parts.take(f"{name}.bias").to(dtype) if getattr(layer, "bias", None) is not None else None
    if name != anatomy.layout.embedding:
        anatomy.replace(name, _linear(matrix, bias, dtype))
        return
    if not isinstance(matrix, PackedMatrix):
        raise parts.misfit(name)
    tied, scale = anatomy.tied, scale_of(anatomy.embedding)
    if tied and not has_kernel(matrix):  # the head needs the copy, and a copy serves the lookup as well
        anatomy.set_embedding(plain_embedding(matrix.dequantize(dtype), scale))
        return
    anatomy.set_embedding(PackedEmbedding(matrix, dtype, scale))
    if tied:
        anatomy.set_projection(PackedLinear(matrix, bias))


def _round_inputs(anatomy: Anatomy, name: str, parts: _Tensors) -> None:
    """Have a packed linear round what it reads."""
    try:
        layer = anatomy.network.get_submodule(name)
    except AttributeError:
        raise parts.misfit(name) from None
    if not isinstance(layer, PackedLinear):
        raise parts.misfit(name)
    anatomy.replace(name, RoundedInputs(layer.matrix, layer.bias))


def _linear(matrix: PackedMatrix | BnbMatrix, bias: Tensor | None, dtype: torch.dtype) -> nn.Module:
    if isinstance(matrix, BnbMatrix):
        return BnbLinear(matrix, bias)
    return PackedLinear(matrix, bias) if has_kernel(matrix) else plain_linear(matrix.dequantize(dtype), bias)


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
