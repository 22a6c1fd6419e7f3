"""bitsandbytes: LLM.int8(), nf4 and fp4, packed and run by the library itself.

It quantizes linear layers only, so the embedding and a head tied to it stay as they are.
"""

from torch import Tensor

from engine.errors import InputError
from engine.layers.bnb_linear import BnbLinear
from engine.layers.bnb_matrix import library, quantized
from engine.layers.weight import bias_of, weight_of
from engine.methods import Report
from engine.models import LanguageModel
from engine.spec.quantize import Bnb

ROUNDED = (
    "LLM.int8() rounds activations too, so perplexity and accuracy are those of its kernels. An activation with an "
    "outlier keeps its whole column from rounding, for all tokens that run together."
)


def compress(model: LanguageModel, settings: Bnb, windows: Tensor | None, report: Report) -> None:
    """Pack the blocks' linears with bitsandbytes, on the device the model runs on.

    Changes `model` in place; reads no data. Raises InputError, before any tensor is changed, where the library is
    missing or has no kernels for that device.
    """
    refuse_absent(model.device.type)
    linears = list(model.anatomy.linears(settings.blocks))
    for done, (name, layer) in enumerate(linears):
        report("quantize the linears", done, len(linears))
        weight, asked = weight_of(layer), (settings.format, settings.block_size, settings.double_quantization)
        matrix = quantized(weight.to(model.device), *asked).to(weight.device)
        model.anatomy.replace(name, BnbLinear(matrix, bias_of(layer)))
    report("quantize the linears", len(linears), len(linears))
    if settings.format == "int8":
        model.notes.append(ROUNDED)


def refuse_absent(device: str) -> None:
    """Raise InputError where bitsandbytes can't be used on a device: cpu or cuda."""
    try:
        found = library()
    except ImportError as error:
        raise InputError(f"quantize:bnb needs the package bitsandbytes: {error}") from None
    if device != "cpu" and not getattr(found.cextension.lib, "compiled_with_cuda", False):
        raise InputError(f"bitsandbytes {found.__version__} has no kernels here for device={device}; use device=cpu")
