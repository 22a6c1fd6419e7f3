"""The one walk in which calibrated methods compress: a block's inputs come in, its compressed outputs go on.

Linears that read the same tensor (the attention's three inputs, the MLP's two) are compressed together at the moment
that tensor arrives, before they run: the walk costs one forward pass, each later linear and block sees the outputs of
the compressed earlier ones, and one statistic of the tensor serves all that read it.

Memory beside the model: the residual stream of all calibration tokens (fp32 [tokens, width]), one statistic, the
linears of one block unpacked, and its activations for the tokens that run at once. These are all calibration tokens
where the widest linear's inputs have at most TOGETHER elements (about five such tensors are alive at a time), else as
many windows as keep within it: then each statistic is gathered batch by batch, the block's beginning run again for it,
with the same result up to the order of sums, in about two and a half passes. Freed memory is kept while the walk goes
on (see `engine.system.heap`): it saves a quarter of Wanda's time on a CPU, and takes up to a fifth more memory there.

A model too large for a GPU stays in the computer's memory, and one block at a time goes there for its turn (see
`engine.network.streaming`); `engine.network.walk_memory` counts what that takes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from inspect import signature
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from engine.layers.weight import inputs_of, unpacked
from engine.network.anatomy import Anatomy, Block
from engine.network.streaming import beside_blocks, on_device
from engine.network.walk_memory import TOGETHER
from engine.system.heap import keep_freed_memory

Statistic = TypeVar("Statistic")
Gather = Callable[[Statistic | None, Tensor], Statistic]  # (what was gathered, more inputs [tokens, inputs]) -> both
Compress = Callable[[Mapping[str, nn.Module], Statistic], Mapping[str, nn.Module]]  # layers by name -> their successors


@torch.no_grad()
@keep_freed_memory()
def compress_blocks(
    anatomy: Anatomy,
    windows: Tensor,
    gather: Gather[Statistic],
    compress: Compress[Statistic],
    report: Callable[[int, int], None],
    chosen: Collection[int] | None = None,
) -> None:
    """Replace every linear of the blocks, in the order that they run, each from the inputs that it will see.

    windows: calibration tokens [windows, tokens]. `gather` is called with None first, and must not keep the inputs
    that it is shown; `compress` gets the layers that read the same inputs, by their name within the block, and gives
    for each what stands in its place. report: (blocks done, blocks). chosen: the places of the blocks whose
    linears are replaced, unless of all; the walk ends with the last of them. Same windows, same result.
    """
    blocks = anatomy.blocks if chosen is None else anatomy.blocks[: max(chosen) + 1]
    hidden, arguments = block_inputs(anatomy, windows)
    at_once = windows_at_once(anatomy, windows)
    for done, block in enumerate(blocks):
        report(done, len(blocks))
        run, batches = partial(block.module, **arguments[done]), torch.split(hidden, at_once)
        with on_device(block.module, anatomy.device):
            replaced = block.groups if chosen is None or done in chosen else []
            _run_block(run, batches, [_Readers(block, layers, gather, compress) for layers in replaced])
    report(len(blocks), len(blocks))


def _run_block(
    run: Callable[[Tensor], Tensor], batches: Sequence[Tensor], groups: "Sequence[_Readers[Statistic]]"
) -> None:
    """Turn batches of a block's inputs into its outputs, in place, its linears compressed on the way."""
    try:
        for group in groups if len(batches) > 1 else ():
            group.compress_from(run, batches)
        for batch in batches:
            batch.copy_(run(batch))
    finally:
        for group in groups:
            group.put_back()


def windows_at_once(anatomy: Anatomy, windows: Tensor) -> int:
    """How many windows [windows, tokens] run through a block together."""
    widest = max(inputs_of(layer) for _, layer in anatomy.linears())
    return min(len(windows), max(1, TOGETHER // (windows.shape[1] * widest)))


class _Arrived(Exception):  # noqa: N818 (a signal, not an error)
    """The inputs of the linears that are compressed next are here; what follows them waits."""


class _Inlet(nn.Module):
    """Stands before a linear while its block is walked: tells of inputs, then runs what the linear has become.

    What is packed runs unpacked meanwhile: once for many tokens that is quicker than any kernel.
    """

    def __init__(self, layer: nn.Module, arrive: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.arrive = arrive
        self.become(layer)

    def become(self, layer: nn.Module) -> None:
        self.layer, self.plain = layer, unpacked(layer)

    def forward(self, x: Tensor) -> Tensor:
        self.arrive(x)
        y: Tensor = self.plain(x)
        return y


class _Readers(Generic[Statistic]):
    """The linears of a block that read one tensor; compressed once they have seen all of it."""

    def __init__(
        self, block: Block, layers: Mapping[str, nn.Module], gather: Gather[Statistic], compress: Compress[Statistic]
    ) -> None:
        self._block, self._gather, self._compress = block, gather, compress
        self._inlets = {name: _Inlet(layer, self._arrive) for name, layer in layers.items()}
        self._statistic: Statistic | None = None
        self._done = self._waits = False
        for name, inlet in self._inlets.items():
            block.replace(name, inlet)

    def compress_from(self, run: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> None:
        """Compress from several batches of the block's input, each run only as far as these linears."""
        self._waits = True
        for batch in batches:
            with suppress(_Arrived):
                run(batch)
        self._finish()

    def put_back(self) -> None:
        """Put the linears, compressed or not, where they stood."""
        for name, inlet in self._inlets.items():
            self._block.replace(name, inlet.layer)
        self._inlets.clear()  # inlets know this: what they ran unpacked would stay until garbage is collected

    def _arrive(self, x: Tensor) -> None:
        if self._done:
            return
        self._statistic = self._gather(self._statistic, x.flatten(0, -2))
        if self._waits:
            raise _Arrived
        self._finish()

    def _finish(self) -> None:
        assert self._statistic is not None
        successors = self._compress({name: inlet.layer for name, inlet in self._inlets.items()}, self._statistic)
        for name, inlet in self._inlets.items():
            inlet.become(successors[name])
        self._statistic, self._done = None, True


def block_inputs(anatomy: Anatomy, windows: Tensor) -> tuple[Tensor, list[dict[str, Any]]]:
    """What the first block reads of all windows, [windows, tokens, width] in fp32, and each block's other arguments.

    The network runs up to its first block, one window at a time; of the arguments one window's are kept, since all
    windows have one length.
    """
    blocks = anatomy.blocks
    arguments: list[dict[str, Any]] = [{} for _ in blocks]
    hidden: list[Tensor] = []

    def passed(index: int) -> Callable[..., Tensor]:
        _, *names = signature(blocks[index].module.forward).parameters

        def forward(hidden_states: Tensor, *others: Any, **named: Any) -> Tensor:
            arguments[index] = dict(zip(names, others, strict=False)) | named
            if index == 0:
                hidden.append(hidden_states)
            return hidden_states

        return forward

    try:
        for index, block in enumerate(blocks):
            block.module.forward = passed(index)
        with beside_blocks(anatomy.network, anatomy.device):
            for window in windows:
                anatomy.base(input_ids=window.unsqueeze(0).to(anatomy.device), use_cache=False)
    finally:
        for block in blocks:
            del block.module.forward
    return torch.cat(hidden), arguments
