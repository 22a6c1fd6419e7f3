"""A network too large for the device that computes stays in the computer's memory, and its parts go there to work.

    with on_device(block.module, device): ...      a block, for its turn of a walk
    with streamed(network, device): ...            a whole network: what stands beside its blocks, and each block
                                                   for every call

A part goes back as what it has become: packed, where its turn was to be packed. Where a network lives on the device
itself nothing moves, as always on a CPU.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

import psutil
import torch
from torch import nn
from transformers import PreTrainedModel

from engine import layouts
from engine.network.walk_memory import FP32_BYTES

NOTE = "The model is too large for the GPU: it stayed in the computer's memory, and one block at a time went there."
RESIDENT_SHARE = 1 / 3  # of the free memory: the model in fp32, its dequantized copy, and what runs through them


def home(parameters: int, config: Mapping[str, Any], device: torch.device) -> torch.device:
    """Where a model of so many parameters lives that is to run on `device`: there, if it has room and parts to stream.

    config: of the model. A family whose parts are not known can't be streamed.
    """
    if device.type == "cpu" or not layouts.known(config):
        return device
    fits = FP32_BYTES * parameters <= RESIDENT_SHARE * free_bytes(device)
    return device if fits else torch.device("cpu")


def free_bytes(device: torch.device) -> int:
    """The memory of a device that nothing holds."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@contextmanager
def on_device(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Have a module on a device meanwhile; whatever it is by then goes back to where it was."""
    before = _place(module)
    if before is None or before.type == device.type:
        yield
        return
    _move(module, device)
    try:
        yield
    finally:
        _move(module, before)


@contextmanager
def beside_blocks(network: PreTrainedModel, device: torch.device) -> Iterator[None]:
    """Have on a device whatever of a network is in no block: embeddings, the last norm, the head."""
    if network.device.type == device.type:
        yield
        return
    with ExitStack() as stack:
        for module in _beside(network, _blocks(network)):
            stack.enter_context(on_device(module, device))
        yield


@contextmanager
def streamed(network: PreTrainedModel, device: torch.device) -> Iterator[None]:
    """Have a network run on a device: what is in no block is there meanwhile, a block while it is called."""
    before = network.device
    if before.type == device.type:
        yield
        return

    def come(module: nn.Module, args: Any) -> None:
        _move(module, device)

    def go(module: nn.Module, args: Any, output: Any) -> None:
        _move(module, before)

    with beside_blocks(network, device), ExitStack() as hooks:
        for block in _blocks(network):
            hooks.callback(block.register_forward_pre_hook(come).remove)
            hooks.callback(block.register_forward_hook(go, always_call=True).remove)
        yield


@torch.inference_mode(False)  # under it the weights would become tensors that nothing may change afterwards
def _move(module: nn.Module, device: torch.device) -> None:
    module.to(device)


def _place(module: nn.Module) -> torch.device | None:
    """Where a module's first tensor lies; None where it has none."""
    tensor = next(chain(module.parameters(), module.buffers()), None)
    return None if tensor is None else tensor.device


def _blocks(network: PreTrainedModel) -> nn.ModuleList:
    blocks = network.get_submodule(layouts.find(network.config.to_dict()).blocks)
    assert isinstance(blocks, nn.ModuleList)
    return blocks


def _beside(module: nn.Module, blocks: nn.ModuleList) -> Iterator[nn.Module]:
    """The largest parts of a module that have nothing of the blocks."""
    for child in module.children():
        if blocks not in child.modules():
            yield child
        elif child is not blocks:
            yield from _beside(child, blocks)
