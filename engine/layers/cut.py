"""Layers with some of their outputs or inputs cut away, plain or packed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.layers.bnb_linear import BnbLinear
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import bias_of, plain_linear, weight_of


def keep_outputs(layer: nn.Module, kept: Tensor) -> nn.Module:
    """The layer with only the outputs at the places `kept`; packed rows keep their codes."""
    bias = bias_of(layer)
    bias = None if bias is None else bias[kept]
    if isinstance(layer, PackedLinear):
        return type(layer)(layer.matrix.with_rows(kept), bias)
    return plain_linear(weight_of(layer)[kept], bias)


def keep_inputs(layer: nn.Module, kept: Tensor) -> nn.Module:
    """The layer with only the inputs at the places `kept`, ascending.

    A packed layer keeps its codes where its groups stay of one size, and becomes plain fp32 where they don't.
    """
    bias = bias_of(layer)
    if isinstance(layer, PackedLinear) and (matrix := layer.matrix.with_columns(kept)):
        return type(layer)(matrix, bias)
    return plain_linear(weight_of(layer)[:, kept], bias)


def runs(places: Tensor, length: int) -> Tensor:
    """Every index of the runs of `length` at the given places: [1], 3 -> [3, 4, 5]."""
    return (places.unsqueeze(1) * length + torch.arange(length)).flatten()


@contextmanager
def off_their_grid(network: nn.Module, notes: list[str]) -> Iterator[None]:
    """Note how many packed linears of a network become plain while the body cuts it."""
    before = _packed(network)
    yield
    if left := before - _packed(network):
        notes.append(
            f"The cut does not follow the groups in which an earlier step had packed {left} matrices; they are stored "
            "in bf16 again."
        )


def _packed(network: nn.Module) -> int:
    return sum(isinstance(layer, PackedLinear | BnbLinear) for layer in network.modules())
