"""Quantize the KV cache: keys and values in few bits, the weights as they are."""

from torch import Tensor

from engine.methods import Report
from engine.models import LanguageModel
from engine.network.kv_cache import round_cache
from engine.spec.fit import refuse_cache_groups
from engine.spec.quantize import KvCache

ROUNDED = "Perplexity and accuracy are those of keys and values rounded as the cache would hold them."


def compress(model: LanguageModel, settings: KvCache, windows: Tensor | None, report: Report) -> None:
    """Have attention read keys and values rounded to the settings' grid.

    Changes `model` in place; reads no data. Raises InputError where the groups do not divide a head.
    Source: the groups along a head of Sheng et al. 2023, arXiv:2303.06865 (FlexGen), section 5.
    """
    refuse_cache_groups(settings.group_size, model.anatomy.blocks[0].head_dim)
    round_cache(model.anatomy, settings)
    model.kv_cache = settings
    model.notes.append(ROUNDED)
