"""Round to nearest: every weight goes to the closest point of its group's grid."""

from torch import Tensor

from engine.layers.grid import rounded
from engine.layers.packed_matrix import PackedMatrix
from engine.methods import Report, targets
from engine.models import LanguageModel
from engine.spec.quantize import Awq, Gptq, Rtn


def compress(model: LanguageModel, settings: Rtn, windows: Tensor | None, report: Report) -> None:
    """Pack the targeted matrices, each weight rounded to the nearest point of its group's grid.

    Changes `model` in place; reads no data. Raises InputError, before any tensor is changed, where the group size does
    not divide a matrix's inputs.
    """
    targets.pack(model, settings, lambda weight: quantize(weight, settings), report)


def round_tables(model: LanguageModel, settings: Gptq | Awq, report: Report) -> None:
    """Round the embedding and the head, where a method that rounds the linears otherwise targets them too."""
    tables = tuple(target for target in settings.targets if target != "linears")
    if tables:
        compress(model, Rtn(settings.bits, settings.group_size, settings.symmetric, tables), None, report)


def quantize(weight: Tensor, settings: Rtn) -> PackedMatrix:
    """A weight [rows, columns] as a packed matrix."""
    return PackedMatrix.from_codes(*rounded(weight, settings), bits=settings.bits)
