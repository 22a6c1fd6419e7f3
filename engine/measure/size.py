"""How large a compressed model is, by the tensors themselves: on disk, in memory, and part by part."""

from pathlib import Path
from typing import NamedTuple

from torch import nn

from engine.checkpoints import checkpoint, fp32
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.models import LanguageModel
from engine.network.kv_cache import bytes_per_token

PARTS = ("embedding", "head", "linears", "scales_zeros", "norms", "other")
SIMULATED_ABOVE = 1.02  # resident over packed bytes
_BF16 = 2
_FP32 = 4


class Size(NamedTuple):
    """The size metrics by name, and why the result is simulated where it is."""

    metrics: dict[str, float]
    simulated: bool
    reason: str  # why it is simulated; empty when it is not
    zeros_kernel: str  # what leaves out zeros as it runs; empty where nothing does


def measure(model: LanguageModel, folder: Path) -> Size:
    """The size of a compressed model whose packed checkpoint lies in `folder`.

    Loads the running model from there once, onto the device it is for, to count what it holds; `model` itself only
    gives its unpacked numbers. Ratios are to the dense model's parameters, in bf16 and in fp32. Raises InputError where
    the checkpoint is damaged.
    """
    running = checkpoint.load(folder, device=str(model.device))
    stored = component_bytes(model)
    weight_bytes = sum(stored.values())
    resident = resident_bytes(running.network)
    parameters, nonzero = count_parameters(model)
    dense = model.source.parameters
    metrics: dict[str, float] = {
        "weight_bytes": weight_bytes,
        "checkpoint_bytes": (folder / checkpoint.WEIGHTS).stat().st_size,
        "resident_weight_bytes": resident,
        **{f"{part}_bytes": stored[part] for part in PARTS},
        "compression_ratio": dense * _BF16 / weight_bytes,
        "compression_ratio_fp32": dense * _FP32 / weight_bytes,
        "bits_per_weight": 8 * weight_bytes / dense,
        "parameters": parameters,
        "nonzero_parameters": nonzero,
        "kv_cache_bytes_per_token": bytes_per_token(model),
    }
    reason = _why_simulated(running, model, resident, weight_bytes)
    return Size(metrics, bool(reason), reason, running.skipped_zeros.kernel)


def component_bytes(model: LanguageModel) -> dict[str, int]:
    """Bytes of a checkpoint's tensors by part; the parts add up to the checkpoint, a shared tensor counted once."""
    parts = dict.fromkeys(PARTS, 0)
    tables = _tables(model.network)
    for name, tensor in checkpoint.stored_tensors(model).items():
        parts[_part(model.network, name, tables)] += tensor.numel() * tensor.element_size()
    return parts


def resident_bytes(network: nn.Module) -> int:
    """Bytes of every tensor a network holds, each storage once."""
    storages: dict[int, int] = {}
    for tensor in (*network.parameters(), *network.buffers()):
        storages[tensor.data_ptr()] = max(storages.get(tensor.data_ptr(), 0), tensor.numel() * tensor.element_size())
    return sum(storages.values())


def count_parameters(model: LanguageModel) -> tuple[int, int]:
    """(numbers in the model once unpacked, those of them that are not zero), shared tensors once."""
    total = nonzero = 0
    for parameter in fp32.dequantized(model).parameters():
        total += parameter.numel()
        nonzero += int(parameter.count_nonzero())
    return total, nonzero


def _tables(network: nn.Module) -> dict[str, str]:
    """The names of the embedding and of the head, with the part each counts under."""
    named = {id(module): name for name, module in network.named_modules()}
    embedding, head = network.get_input_embeddings(), network.get_output_embeddings()  # type: ignore[operator]
    return {
        named[id(module)]: part for module, part in ((embedding, "embedding"), (head, "head")) if module is not None
    }


def _part(network: nn.Module, name: str, tables: dict[str, str]) -> str:
    owner, _, attribute = name.rpartition(".")
    if attribute != "codes" and owner.endswith(".matrix"):
        return "scales_zeros"
    for table, part in tables.items():
        if name.startswith(f"{table}."):
            return part
    if "norm" in type(network.get_submodule(owner)).__name__.lower():
        return "norms"
    learned = isinstance(network.get_submodule(owner), nn.Embedding)  # a position's row
    return "linears" if attribute in ("weight", "codes", "values", "mask") and not learned else "other"


def _why_simulated(running: LanguageModel, model: LanguageModel, resident: int, weight_bytes: int) -> str:
    larger, reasons = resident > SIMULATED_ABOVE * weight_bytes, []
    packed = [m.matrix for m in model.network.modules() if isinstance(m, PackedLinear | PackedEmbedding)]
    if larger and not all(map(has_kernel, packed)):
        bits = " and ".join(str(b) for b in sorted({matrix.bits for matrix in packed}))
        reasons.append(
            f"no kernel runs all of these weights packed ({bits} bits): they are stored packed and run dequantized"
        )
    skipped = running.skipped_zeros
    if model.masked_zeros and not skipped.kernel:
        absent = f" ({skipped.why_not})" if skipped.why_not and model.device.type != "cpu" else ""
        reasons.append(f"pruned weights are held and multiplied as zeros: dense kernels gain nothing from them{absent}")
    if model.kv_cache is not None:
        reasons.append(
            f"no kernel reads a KV cache of {model.kv_cache.bits} bits: it is held in 16 while the model runs"
        )
    if larger:
        reasons.append(f"{resident / 1e6:.1f} MB in memory for {weight_bytes / 1e6:.1f} MB stored")
    return "; ".join(reasons)
