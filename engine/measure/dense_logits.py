"""The dense model's logits beside a compressed one that it became in place.

What its head read is kept from before (see `engine.measure.references`), and the head itself in a file, out of the way
of the compression and its peak memory. Where no head stands apart, the dense model is run again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.measure.logits import HEAD_POSITIONS, Logits
from engine.network.streaming import streamed

# Of a window by its number: the fp32 logits [HEAD_POSITIONS, vocabulary] at its predicted positions, a piece at a time.
# They are the caller's to change.
DenseLogits = Callable[[int], Iterator[Tensor]]


def keep_head(network: nn.Module, path: Path) -> None:
    """Write the weight, and the bias if it has one, of a network's linear head; makes the folder."""
    head = network.get_output_embeddings()  # type: ignore[operator]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in head.named_parameters()}, path)


def from_head(path: Path, states: Tensor, device: str) -> DenseLogits:
    """The logits that the head kept at `path` makes of the dense model's states [windows, positions, width]."""
    kept = load_file(path, device=device)
    weight, bias = kept["weight"].float(), kept.get("bias")

    def logits(window: int) -> Iterator[Tensor]:
        for piece in torch.split(states[window], HEAD_POSITIONS):
            yield nn.functional.linear(piece.to(device).float(), weight, None if bias is None else bias.float())

    return logits


def from_network(network: PreTrainedModel, windows: Tensor, device: torch.device) -> DenseLogits:
    """The logits of the dense network itself, run on `device` on each of windows [windows, T] when it is asked for."""
    with streamed(network, device):
        apart = Logits(network)

    @torch.inference_mode()
    def logits(window: int) -> Iterator[Tensor]:
        tokens = windows[window : window + 1].to(apart.device)
        with streamed(network, device):
            states = apart.states(input_ids=tokens, use_cache=False)[0, :-1]
            for piece in torch.split(states, HEAD_POSITIONS):
                yield apart.of(piece).float()

    return logits
