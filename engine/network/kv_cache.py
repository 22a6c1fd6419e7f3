"""A KV cache of few bits: attention reads keys and values rounded as such a cache would hold them.

Every token's keys (after their rotation) and values are rounded by themselves, head by head, on the grid of
`quantize:rtn,symmetric=false` in groups along a head. So it does not matter when a token is rounded: attention does it
each time it reads, the cache itself stays as the network makes it, and a pass without a cache sees the same numbers.
Memory and time are those of an unrounded cache: simulated.
"""

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from engine import layouts
from engine.layers.grid import nearest
from engine.layers.packing import packed_width
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy
from engine.spec.quantize import PER_CHANNEL, KvCache

_NUMBER_BYTES = _SCALE_BYTES = 2  # of a number in bf16, of a group's scale
_ROUNDED = "_rounded_cache"  # ends the names of attention functions that round what they read


def round_cache(anatomy: Anatomy, settings: KvCache) -> None:
    """Have the attention of every block read rounded keys and values from now on; in place, a later call decides."""
    network = anatomy.network
    base = str(network.config._attn_implementation).removesuffix(_ROUNDED)
    AttentionInterface.register(f"{base}{_ROUNDED}", partial(_attend, base))
    AttentionMaskInterface.register(f"{base}{_ROUNDED}", ALL_MASK_ATTENTION_FUNCTIONS[base])
    network.set_attn_implementation(f"{base}{_ROUNDED}")
    for block in anatomy.blocks:
        block.attention.cache_settings = settings  # type: ignore[assignment]


def cache_settings(anatomy: Anatomy) -> KvCache | None:
    """How the blocks round the keys and values that they read; None where they don't."""
    settings: KvCache | None = getattr(anatomy.blocks[0].attention, "cache_settings", None)
    return settings


def rounded(states: Tensor, settings: KvCache) -> Tensor:
    """Keys or values [..., head_dim] as the cache would hold them, in the dtype they came in.

    A gradient passes straight through to them: rounding's own is zero almost everywhere, so that importance by Taylor
    would not see what a block gives through the keys and values of later ones.
    """
    with torch.no_grad():
        held = nearest(states.reshape(-1, states.shape[-1]).float(), settings).view_as(states).to(states.dtype)
    return held + (states - states.detach()) if states.requires_grad else held  # the same numbers: zero is added


def bytes_per_token(model: LanguageModel) -> int:
    """Keys and values of every block for one token: in bf16, or as packed codes, 16-bit scales and zero points."""
    network, settings = model.network, model.kv_cache
    if not layouts.known(network.config.to_dict()):
        return _NUMBER_BYTES * _held_after_one_token(network)
    block = model.anatomy.blocks[0]
    heads = block.heads // block.queries_per_key
    numbers, blocks = heads * block.head_dim, len(model.anatomy.blocks)
    if settings is None:
        return 2 * blocks * numbers * _NUMBER_BYTES
    groups = heads if settings.group_size == PER_CHANNEL else numbers // settings.group_size
    held = packed_width(numbers, settings.bits) + groups * _SCALE_BYTES + packed_width(groups, settings.bits)
    return 2 * blocks * held


@torch.inference_mode()
def _held_after_one_token(network: PreTrainedModel) -> int:
    """The keys and values that a network of any family keeps of its first token, as numbers; 0 without a cache."""
    said = network(input_ids=torch.zeros(1, 1, dtype=torch.long, device=network.device), use_cache=True)
    layers = getattr(getattr(said, "past_key_values", None), "layers", [])
    held = [getattr(layer, part, None) for layer in layers for part in ("keys", "values")]
    return sum(tensor.numel() for tensor in held if tensor is not None)


def _attend(base: str, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The attention function `base` on rounded keys and values [batch, heads, tokens, head_dim]."""
    own = getattr(import_module(type(module).__module__), "eager_attention_forward", None)
    attention = ALL_ATTENTION_FUNCTIONS.get_interface(base, own)
    settings: KvCache = module.cache_settings  # type: ignore[assignment]
    return attention(module, query, rounded(key, settings), rounded(value, settings), *args, **kwargs)
