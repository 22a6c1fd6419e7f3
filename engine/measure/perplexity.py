"""Perplexity on held-out text, and how often the model's next word is the dense model's.

Token level, raw text, windows without overlap: each window's first token is only read, never predicted. A perplexity
means nothing without its text, window length and tokenizer beside it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.measure.logits import Logits


class Perplexity(NamedTuple):
    """metrics: perplexity and top1_agreement, not finite where numbers overflow; argmax: [windows, T - 1]."""

    metrics: dict[str, float]
    argmax: Tensor


def perplexity(
    network: nn.Module,
    windows: Tensor,
    report: Callable[[int, int], None] | None = None,
    dense_argmax: Tensor | None = None,
) -> Perplexity:
    """exp of the mean loss in nats over every predicted token of `windows` [windows, T], and the likeliest tokens.

    report: called with the windows done and their number; dense_argmax: the dense model's likeliest tokens
    [windows, T - 1], None when the network is the dense model, which agrees with itself. Logits are held for a few
    positions at a time; sums are taken in fp64. Raises ValueError for windows without a token to predict.
    """
    count, length = windows.shape
    if count == 0 or length < 2:
        raise ValueError(f"windows must be [1 or more, 2 or more tokens], got {list(windows.shape)}")
    logits = Logits(network)
    positions = torch.arange(length - 1)
    argmax = torch.empty(count, length - 1, dtype=torch.long)
    loss = 0.0
    for i, window in enumerate(windows):
        for piece, log_probabilities in logits.at(window[None], torch.zeros_like(positions), positions):
            targets = window[1:][piece].to(log_probabilities.device)[:, None]
            loss -= log_probabilities.gather(1, targets).double().sum().item()
            argmax[i, piece] = log_probabilities.argmax(dim=-1).cpu()
        if report:
            report(i + 1, count)
    agreement = 1.0 if dense_argmax is None else (argmax == dense_argmax.cpu()).double().mean().item()
    return Perplexity({"perplexity": _exp(loss / argmax.numel()), "top1_agreement": agreement}, argmax)


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
