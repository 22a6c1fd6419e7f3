"""How many tokens run at once: enough to fill matrix products, few enough for memory and for steady progress."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from engine.network.streaming import free_bytes

MOST = {"cpu": 1024, "cuda": 32768}  # beyond these nothing gets faster
LEAST = 256
SHARE = 0.25  # of the memory that is free
_WIDTHS = 12  # vectors of the hidden size that live at once for a token, and
_MLP_WIDTHS = 4  # those of the MLP's size


def token_budget(network: nn.Module) -> int:
    """Padded tokens for one batch, from the network's widths, its number format and the memory that is free."""
    parameter = next(network.parameters())
    config: Any = network.config
    text_config = config.get_text_config()
    hidden = int(text_config.hidden_size)
    inner = getattr(text_config, "intermediate_size", None) or 4 * hidden
    widest = max(inner) if isinstance(inner, Sequence) else int(inner)  # some families give each layer a width
    token_bytes = parameter.element_size() * (_WIDTHS * hidden + _MLP_WIDTHS * widest)
    most = MOST.get(parameter.device.type, MOST["cpu"])
    return max(LEAST, min(most, int(SHARE * free_bytes(parameter.device)) // token_bytes))
