"""Perplexity on a text, and how near a compressed model's next-token distributions are to the dense model's.

Token level, raw text, windows without overlap: each window's first token is only read, never predicted. A perplexity
means nothing without its text, window length and tokenizer beside it. Whatever compares is taken at the same positions
of the same windows.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine import stats
from engine.measure.dense_logits import DenseLogits
from engine.measure.logits import HEAD_POSITIONS, Logits

SELF = {
    f"{name}{end}": value
    for name, value in (("kl_to_dense", 0.0), ("loss_change", 0.0), ("top1_agreement", 1.0))
    for end in ("", "_low", "_high")
}
ONE_WINDOW = "an interval over windows needs two of them"


class Reading(NamedTuple):
    """What a network says at every predicted position of windows [windows, T]; not finite where numbers overflow.

    loss: [windows, T - 1] nats, fp32; argmax: [windows, T - 1], its likeliest tokens; kl: [windows, T - 1] nats, from
    the dense model's distribution to its own, None without dense; states: [windows, T - 1, width] that the head read,
    None where they were not asked for or no plain linear head stands apart.
    """

    loss: Tensor
    argmax: Tensor
    kl: Tensor | None = None
    states: Tensor | None = None


class Compared(NamedTuple):
    """Metrics against the dense model, and why one of them is None."""

    metrics: dict[str, float | None]
    reasons: dict[str, str]


@torch.inference_mode()
def read(
    network: nn.Module,
    windows: Tensor,
    report: Callable[[int, int], None] | None = None,
    dense: DenseLogits | None = None,
    keep_states: bool = False,
) -> Reading:
    """Read windows [windows, T] one by one.

    report: called with the windows done and their number; dense: gives the dense model's logits at the same windows.
    Logits are held for HEAD_POSITIONS positions at a time. Raises ValueError for windows without a token to predict.
    """
    count, length = windows.shape
    if count == 0 or length < 2:
        raise ValueError(f"windows must be [1 or more, 2 or more tokens], got {list(windows.shape)}")
    logits = Logits(network)
    keep_states = keep_states and isinstance(logits.head, nn.Linear)
    told: list[tuple[Tensor, ...]] = []
    kept: list[Tensor] = []
    for i, window in enumerate(windows.to(logits.device)):
        states = logits.states(input_ids=window[None], use_cache=False)[0, :-1]  # [T - 1, width]
        told.append(_read_window(logits, states, window[1:], dense(i) if dense else None))
        if keep_states:
            kept.append(states.cpu())
        if report:
            report(i + 1, count)
    loss, argmax, *kl = (torch.stack(column).cpu() for column in zip(*told, strict=True))
    return Reading(loss, argmax, kl[0] if kl else None, torch.stack(kept) if kept else None)


def metrics(reading: Reading) -> dict[str, float]:
    """perplexity: exp of the mean loss, which is summed in fp64."""
    return {"perplexity": _exp(reading.loss.double().mean().item())}


def compare(ours: Reading, dense_loss: Tensor, dense_argmax: Tensor) -> Compared:
    """kl_to_dense, loss_change and top1_agreement, each with its interval over windows.

    ours: read beside the dense model; dense_loss (nats) and dense_argmax: [windows, T - 1] of the dense model.
    """
    assert ours.kl is not None
    found = {
        **_over_windows("kl_to_dense", ours.kl, lowest=0.0),
        **_over_windows("loss_change", ours.loss.double() - dense_loss.double()),
        **_over_windows("top1_agreement", ours.argmax == dense_argmax, lowest=0.0, highest=1.0),
    }
    return Compared(found, {name: ONE_WINDOW for name, value in found.items() if value is None})


def agreement(argmax: Tensor, other: Tensor) -> float:
    """The share of positions at which two models' likeliest tokens are the same."""
    return (argmax == other).double().mean().item()


def _over_windows(
    name: str, values: Tensor, lowest: float = -math.inf, highest: float = math.inf
) -> dict[str, float | None]:
    """The mean of values [windows, positions], and the ends of its interval over windows, within what it can be.

    Positions of one window share its text, so windows are what is drawn independently. The mean is clipped too:
    rounding brings a divergence of equal distributions a little below zero. None for the ends of a single window.
    """
    means = values.double().mean(dim=1)
    ends = stats.mean_interval(means.numpy()) or (None, None)
    named = zip((name, f"{name}_low", f"{name}_high"), (means.mean().item(), *ends), strict=True)
    return {name: None if value is None else _clipped(value, lowest, highest) for name, value in named}


def _read_window(logits: Logits, states: Tensor, targets: Tensor, dense: Iterator[Tensor] | None) -> tuple[Tensor, ...]:
    """Loss, likeliest token and, with dense, divergence, each [positions], of states [positions, width]."""
    told = []
    for piece, wanted in zip(*(torch.split(of, HEAD_POSITIONS) for of in (states, targets)), strict=True):
        ours = logits.of(piece).float()  # [piece, vocabulary]
        norms = ours.logsumexp(dim=-1)
        said = (norms - ours.gather(1, wanted[:, None])[:, 0], ours.argmax(dim=-1))
        told.append((*said, _divergence(next(dense), ours, norms)) if dense else said)
    return tuple(torch.cat(column) for column in zip(*told, strict=True))


def _divergence(dense: Tensor, ours: Tensor, norms: Tensor) -> Tensor:
    """KL(dense || ours) in nats, [piece], of logits [piece, vocabulary] that are used up; norms: ours, summed."""
    dense -= dense.logsumexp(dim=-1, keepdim=True)
    ours -= norms[:, None]
    ratio = torch.sub(dense, ours, out=ours)
    return dense.exp_().mul_(ratio).sum(dim=-1)


def _clipped(value: float, lowest: float, highest: float) -> float:
    return value if math.isnan(value) else min(max(value, lowest), highest)


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
