"""The matrices that a quantizer packs: the blocks' linears, the embedding, the head.

A tied embedding and head are one matrix: naming either packs it, once. What is packed already is dequantized first, so
that the later step decides.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.weight import bias_of, inputs_of, scale_of, weight_of
from engine.methods import Report
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy
from engine.spec.fit import refuse_group_size
from engine.spec.quantize import Grouped

_ROWS_AT_ONCE = 4096  # of an embedding: bounds the memory of quantizing it

Quantize = Callable[[Tensor], PackedMatrix]  # of a weight fp32 [rows, columns]


def pack(model: LanguageModel, settings: Grouped, quantize: Quantize, report: Report) -> None:
    """Pack every targeted matrix of a model, in place, some of its rows at a time.

    Raises InputError, before any tensor is changed, where the group size does not divide a matrix's inputs.
    """
    anatomy = model.anatomy
    linears = list(anatomy.linears(settings.blocks)) if "linears" in settings.targets else []
    tables = _tables(anatomy, settings.targets)
    refuse_group_size(settings.group_size, [(name, inputs_of(layer)) for name, layer in (*linears, *tables)])
    total = len(linears) + len(tables)
    for done, (name, layer) in enumerate(linears):
        report("round the linears", done, total)
        anatomy.replace(name, PackedLinear(by_rows(weight_of(layer), quantize, model.device), bias_of(layer)))
    for done, (name, layer) in enumerate(tables, start=len(linears)):
        report(f"round the {name}", done, total)
        _set_table(anatomy, name, by_rows(weight_of(layer), quantize, model.device))
    report("round", total, total)


def by_rows(weight: Tensor, quantize: Quantize, device: torch.device) -> PackedMatrix:
    """A weight [rows, columns] as a packed matrix where it lies, quantized a block of rows at a time on `device`."""
    parts = (quantize(rows.to(device)) for rows in torch.split(weight, _ROWS_AT_ONCE))
    return PackedMatrix.stacked([part.to(weight.device) for part in parts])


def _tables(anatomy: Anatomy, targets: tuple[str, ...]) -> list[tuple[str, nn.Module]]:
    """The vocabulary-sized matrices among the targets, a tied one once."""
    if anatomy.tied:
        return [("embedding", anatomy.embedding)] if {"embedding", "head"} & set(targets) else []
    layers = {"embedding": anatomy.embedding, "head": anatomy.projection}
    return [(name, layer) for name, layer in layers.items() if name in targets]


def _set_table(anatomy: Anatomy, name: str, matrix: PackedMatrix) -> None:
    tied, bias = anatomy.tied, bias_of(anatomy.projection)
    if name == "embedding":
        anatomy.set_embedding(PackedEmbedding(matrix, scale=scale_of(anatomy.embedding)))
    if name == "head" or tied:
        anatomy.set_projection(PackedLinear(matrix, bias))
