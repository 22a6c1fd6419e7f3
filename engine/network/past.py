"""What a network keeps of the text that it has read, so that it reads each token once, whatever its family calls it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

_NAMES = ("past_key_values", "cache_params")  # keys and values; the states of Mamba and xLSTM
_ALONE = (*_NAMES, "state")  # RWKV's, from which transformers 5.23 reads on only without a batch: it mixes its rows


class Past(NamedTuple):
    """name: of the argument that takes what was kept; None where a network keeps nothing, and `kept` is its tokens."""

    name: str | None
    kept: Any


def read_on(network: nn.Module, tokens: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
    """Read tokens [batch, T] after the past: logits [batch, 1, vocabulary] of the next one, and the past with them.

    A network that keeps nothing, such as GPT's first, reads its whole text again, as it does wherever it writes.
    """
    read, known = tokens, {}
    if past and past.name:
        known = {past.name: past.kept}
    elif past:
        read = torch.cat([past.kept, tokens], dim=1)
    output = network(input_ids=read, use_cache=True, logits_to_keep=1, **known)
    names = _NAMES if len(tokens) > 1 else _ALONE
    name = next((name for name in names if getattr(output, name, None) is not None), None)
    return output.logits[:, -1:], Past(name, getattr(output, name) if name else read)


def likeliest(network: nn.Module, tokens: Tensor) -> Iterator[Tensor]:
    """The likeliest token [batch, 1] after tokens [batch, T], the likeliest after that, and so on without end.

    An end-of-text token is one like any other. Each is computed when it is asked for.
    """
    past = None
    while True:
        logits, past = read_on(network, tokens, past)
        tokens = logits.argmax(dim=-1)
        yield tokens
