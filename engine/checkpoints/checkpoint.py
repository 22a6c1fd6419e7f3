"""Checkpoints: what a compressed model is on disk, and the running model made from it.

    model.safetensors   every tensor once: packed codes, scales and zero points as they are, all others in bf16; a
                        pruned linear as `values` and `mask` where that takes fewer bytes than its zeros
    config.json         a standard Hugging Face configuration of the compressed shape
    kneepoint.json      which layers are packed and how, which lack their zeros, and what the head is
    tokenizer files

`load` gives the running model, on packed kernels where they exist. `export_plain` writes a folder for
AutoModelForCausalLM. Nothing is ever unpickled, and the same model gives the same bytes.
"""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from engine import layouts
from engine.checkpoints.assembly import MASK, VALUES, assemble, packing_of, skip_zeros
from engine.checkpoints.fp32 import dequantized, packed_layers
from engine.errors import InputError
from engine.layers.bnb_matrix import BnbMatrix
from engine.layers.formats import KERNEL_BITS
from engine.layers.nonzeros import nonzeros
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.rounded_inputs import RoundedInputs
from engine.layers.sliced_head import SlicedHead
from engine.layers.weight import PackedLayer
from engine.models import LanguageModel
from engine.network.kv_cache import round_cache
from engine.network.own_layers import as_the_family_stores, standard_names
from engine.network.sources import Source
from engine.spec.quantize import KvCache

FORMAT = 1
WEIGHTS = "model.safetensors"
LAYOUT = "kneepoint.json"
CONFIG = "config.json"
UNKNOWN = "unknown"  # the head of a model whose parts are not known


def save(model: LanguageModel, folder: Path, exact: bool = False) -> None:
    """Write a packed checkpoint; tensors that no step has packed are rounded to bf16, unless it is to be `exact`.

    Creates the folder and replaces what a checkpoint of ours left there. Raises InputError where it can't be written,
    as when the disk is full.
    """
    network = model.network
    layout = {
        "format": FORMAT,
        "source": model.source.name,
        "weights_sha256": model.source.weights_sha256,
        "dense_parameters": model.source.parameters,
        "masked_zeros": model.masked_zeros,
        "head": _head_kind(model),
        "packed": {name: packing_of(matrix) for name, matrix in _matrices(network).items()},
        **_fewer_heads(model),
    }
    if rounding := [name for name, layer in packed_layers(network).items() if isinstance(layer, RoundedInputs)]:
        layout["rounds_inputs"] = rounding
    if model.kv_cache is not None:
        layout["kv_cache"] = asdict(model.kv_cache)
    tensors = stored_tensors(model, exact)
    if masked := [name.removesuffix(MASK) for name in tensors if name.endswith(MASK)]:
        layout["masked"] = masked
    _write(network, tensors, model.tokenizer, folder)
    (folder / LAYOUT).write_text(json.dumps(layout, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def export_plain(model: LanguageModel, folder: Path) -> None:
    """Write the model in bf16 for AutoModelForCausalLM, packed layers dequantized.

    Raises InputError where no standard configuration expresses the model: a sliced head that shares the embedding,
    fewer heads in a family whose configuration ties them to its width.
    """
    if _fewer_heads(model):
        raise layouts.no_fewer_heads(model.network.config.model_type)
    if isinstance(model.network.get_output_embeddings(), SlicedHead):
        raise layouts.no_tied_cut()
    network = dequantized(model)
    _write(network, standard_names(network, plain_tensors(network)), model.tokenizer, folder)


def load(folder: Path, dtype: torch.dtype = torch.bfloat16, device: str = "cpu") -> LanguageModel:
    """The running model of a packed checkpoint: packed layers on their kernels, all others in `dtype`.

    A width without a kernel runs on a dequantized copy, whose bytes show in the resident weights. Linears stored
    without zeros run without them where a kernel does (see `engine.layers.semi_structured`), else with them.
    Raises InputError where a file is missing, damaged, of another version, or does not match its layout.
    """
    layout = _read_layout(folder)
    tensors = _read_tensors(folder / WEIGHTS, _copied(layout))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the checkpoint {str(folder)!r} is damaged: {' '.join(str(error).split())}") from error
    source = Source(
        name=layout["source"],
        folder=folder,
        revision=None,
        weights_sha256=layout["weights_sha256"],
        model_type=config.model_type,
        parameters=layout["dense_parameters"],
        config=config.to_dict(),
    )
    if layout["head"] != UNKNOWN:
        network = assemble(config, layout, tensors, dtype, folder)
    else:
        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )
    network.requires_grad_(False)
    model = LanguageModel(network.eval(), tokenizer, source, layout["masked_zeros"])
    if masked := layout.get("masked"):
        model.skipped_zeros = skip_zeros(model.anatomy, masked, torch.device(device))
    network.to(device)
    if kept := layout.get("kv_cache"):
        model.kv_cache = KvCache(**kept)
        round_cache(model.anatomy, model.kv_cache)
    return model


def stored_tensors(model: LanguageModel, exact: bool = False) -> dict[str, Tensor]:
    """Every tensor of a packed checkpoint by name, as it is stored: pruned linears without their zeros."""
    tensors = _each_once(model.network, exact)
    if model.masked_zeros:  # a dense model's own zeros stay, so that "dense" is its bf16
        for name, layer in model.anatomy.linears():
            stored = None if isinstance(layer, PackedLayer) else nonzeros(tensors[f"{name}.weight"])
            if stored is not None:
                del tensors[f"{name}.weight"]
                tensors |= {f"{name}{VALUES}": stored.values, f"{name}{MASK}": stored.mask}
    return _as_stored(model.network, tensors)


def plain_tensors(network: PreTrainedModel) -> dict[str, Tensor]:
    """Every tensor of a network by name, as it is stored: packed ones as they are, all others in bf16."""
    return _as_stored(network, _each_once(network))


def _as_stored(network: PreTrainedModel, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as files have them: in memory of the CPU, the way round that the family stores its weights."""
    return {name: tensor.contiguous().cpu() for name, tensor in as_the_family_stores(network, tensors).items()}


def _each_once(network: PreTrainedModel, exact: bool = False) -> dict[str, Tensor]:
    """Every tensor of a network by name, each once however many layers share it: packed ones as they are, else bf16.

    exact: those that bf16 would change are left as they are.
    """
    layers = packed_layers(network)
    seen: set[tuple[int, tuple[int, ...]]] = set()
    tensors = {}
    for name, tensor in network.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place in seen:
            continue
        seen.add(place)
        packed = name.rpartition(".matrix.")[0] in layers
        rounded = tensor if packed else tensor.to(torch.bfloat16)
        tensors[name] = tensor if exact and not torch.equal(rounded.to(tensor.dtype), tensor) else rounded
    return tensors


def _write(network: PreTrainedModel, tensors: dict[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """The files that every checkpoint has; raises InputError where they can't be written."""
    try:
        _write_files(network, tensors, tokenizer, folder)
    except (OSError, SafetensorError) as error:
        said = getattr(error, "strerror", None) or error
        raise InputError(f"can't write the checkpoint {str(folder)!r}: {said}") from error


def _write_files(network: PreTrainedModel, tensors: dict[str, Tensor], tokenizer: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LAYOUT).unlink(missing_ok=True)
    standard_config(network.config).save_pretrained(folder)
    network.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)  # safetensors are written for their owner alone


def standard_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """The configuration under which transformers reads the network's shape.

    transformers refuses a llama whose width is not a multiple of its heads, though nothing needs that once the head
    size is given; a mistral without a sliding window is the same arithmetic and is not refused.
    """
    content = {**config.to_dict(), "dtype": "bfloat16"}
    for key in ("_name_or_path", "transformers_version"):
        content.pop(key, None)
    if config.model_type != "llama" or config.hidden_size % config.num_attention_heads == 0:
        return type(config)(**content)
    for key in ("model_type", "architectures", "pretraining_tp", "attention_bias", "mlp_bias"):
        content.pop(key, None)
    return MistralConfig(**content, architectures=["MistralForCausalLM"], sliding_window=None)


def _matrices(network: nn.Module) -> dict[str, PackedMatrix | BnbMatrix]:
    """Packed matrices by the name of the first layer that holds each."""
    first: dict[int, tuple[str, PackedMatrix | BnbMatrix]] = {}
    for name, layer in packed_layers(network).items():
        first.setdefault(id(layer.matrix), (name, layer.matrix))
    return dict(first.values())


def _head_kind(model: LanguageModel) -> str:
    """tied, sliced (tied, behind a small matrix), own, or unknown for a family whose parts are not known."""
    if not layouts.known(model.network.config.to_dict()):
        return UNKNOWN
    if isinstance(model.anatomy.output, SlicedHead):
        return "sliced"
    return "tied" if model.anatomy.tied else "own"


def _fewer_heads(model: LanguageModel) -> dict[str, int]:
    """{"heads": how many are left} where some were removed and the configuration can't say so, else nothing."""
    config = model.network.config
    if not layouts.known(config.to_dict()):
        return {}
    heads = model.anatomy.blocks[0].heads
    return {} if heads == config.num_attention_heads else {"heads": heads}


def _read_layout(folder: Path) -> dict[str, Any]:
    try:
        layout: dict[str, Any] = json.loads((folder / LAYOUT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{str(folder)!r} is no packed checkpoint: it has no {LAYOUT}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{LAYOUT} in {str(folder)!r} can't be read: {error}") from None
    version = layout.get("format") if isinstance(layout, dict) else None
    if version != FORMAT:
        raise InputError(f"the checkpoint {str(folder)!r} has format {version}; this version reads format {FORMAT}")
    kinds = {"source": str, "weights_sha256": str, "dense_parameters": int, "masked_zeros": bool, "packed": dict}
    if not all(isinstance(layout.get(key), kind) for key, kind in kinds.items()) or "head" not in layout:
        raise InputError(f"{LAYOUT} in {str(folder)!r} is incomplete")
    return layout


def _copied(layout: dict[str, Any]) -> set[str]:
    """The layers of which a copy runs: those stored without zeros, and those packed at a width without a kernel."""
    unrun = [
        name for name, packing in layout["packed"].items() if packing.get("bits", KERNEL_BITS[0]) not in KERNEL_BITS
    ]
    return {*layout.get("masked", ()), *unrun}


def _read_tensors(path: Path, copied: Collection[str]) -> dict[str, Tensor]:
    """The tensors of a file by name, where the file is mapped into memory.

    copied: layers that have a mapping of their own, because what was read of a file stays in memory as long as any
    tensor of the same mapping.
    """
    tensors, later = {}, defaultdict(list)
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                layer = name.removesuffix(VALUES).removesuffix(MASK).partition(".matrix.")[0]
                if layer in copied:
                    later[layer].append(name)
                else:
                    tensors[name] = file.get_tensor(name)
        for names in later.values():
            with safe_open(path, framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise InputError(f"the weights {str(path)!r} are missing or damaged: {error}") from None
    return tensors
