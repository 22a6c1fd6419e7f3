"""The walk over the blocks with the way back: the gradient of the loss with respect to what is inside them.

A window goes forward once, keeping only what enters each block. On the way back each block runs again, from what was
kept, and is differentiated by itself. So memory beyond the model is one block's activations, one residual stream a
block and the logits of a few tokens; no weight has a gradient. Time: about four forward passes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.network.anatomy import Anatomy, Block
from engine.network.streaming import on_device, streamed

OnInput = Callable[[int, Tensor, Tensor], None]  # (block, what is asked for [tokens, size], its gradient, the same)
_TOKENS_AT_ONCE = 128  # of logits


class _Entry(NamedTuple):
    """What a block was called with."""

    stream: Tensor  # [1, tokens, width]
    others: tuple[Any, ...]
    named: dict[str, Any]


def walk_back(
    anatomy: Anatomy, name: str | None, windows: Tensor, report: Callable[[int, int], None], visit: OnInput
) -> None:
    """Show the input of one linear of every block, and the gradient of a window's loss with respect to it.

    name: of the linear within a block; without one, what the block adds to the residual stream is shown instead of an
    input. windows [windows, tokens]. The loss is the mean over a window's next tokens, in
    nats. Blocks are visited from the last to the first, window by window. All layers must be plain; the visitor must
    not keep or change the tensors.
    """
    blocks = anatomy.blocks
    for done, window in enumerate(windows):
        report(done, len(windows))
        with streamed(anatomy.network, anatomy.device):
            entries, last = _forward(anatomy, window)
            gradient = _loss_gradient(anatomy, last, window)
        for index in reversed(range(len(blocks))):
            with on_device(blocks[index].module, anatomy.device):
                x, x_gradient, gradient = _through(blocks[index], name, entries[index], gradient)
            visit(index, x, x_gradient)
    report(len(windows), len(windows))


@torch.no_grad()
def _forward(anatomy: Anatomy, window: Tensor) -> tuple[list[_Entry], Tensor]:
    """(what entered each block, what left the last [1, tokens, width])."""
    entries: list[_Entry] = []
    last: list[Tensor] = []

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        entries.append(_Entry(args[0], args[1:], dict(kwargs)))

    def leave(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        last.append(args[0])

    hooks = [block.module.register_forward_pre_hook(enter, with_kwargs=True) for block in anatomy.blocks]
    hooks.append(anatomy.final_norm.register_forward_pre_hook(leave))
    try:
        anatomy.base(input_ids=window.unsqueeze(0).to(anatomy.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return entries, last[0]


def _loss_gradient(anatomy: Anatomy, last: Tensor, window: Tensor) -> Tensor:
    """The gradient [1, tokens, width] of the mean loss of a window's next tokens; the last token has no next."""
    gradient = torch.zeros_like(last)
    count = len(window) - 1
    for start in range(0, count, _TOKENS_AT_ONCE):
        places = slice(start, min(start + _TOKENS_AT_ONCE, count))
        part = last[:, places].detach().requires_grad_()
        with torch.enable_grad():
            logits = anatomy.logits(part)[0]
            targets = window[places.start + 1 : places.stop + 1].to(logits.device)
            loss = functional.cross_entropy(logits.float(), targets, reduction="sum") / count
        gradient[:, places] = torch.autograd.grad(loss, part)[0]
    return gradient


def _through(block: Block, name: str | None, entry: _Entry, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run a block again and differentiate it: (the linear's input, its gradient, the gradient of what entered).

    Without a name, of what the block adds to what entered: its gradient is that of what leaves.
    """
    seen: list[Tensor] = []
    hooks = [block.linears[name].register_forward_pre_hook(lambda module, args: seen.append(args[0]))] if name else []
    entered = entry.stream.detach().requires_grad_()
    try:
        with torch.enable_grad():
            left = block.module(entered, *entry.others, **entry.named)
    finally:
        for hook in hooks:
            hook.remove()
    before, *inner = torch.autograd.grad(left, (entered, *seen), gradient)
    shown, its_gradient = (seen[0], inner[0]) if seen else (left - entered, gradient)
    return shown.detach().flatten(0, -2), its_gradient.flatten(0, -2), before
