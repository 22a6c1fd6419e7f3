import pytest
import torch
from torch import nn

from engine.layers.cut import keep_inputs, keep_outputs, off_their_grid
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import plain_linear, weight_of
from engine.methods.rtn import quantize
from engine.spec.quantize import Rtn

WEIGHT = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
BIAS = torch.arange(6.0)


def packed(group_size: int, symmetric: bool = True, bits: int = 4) -> PackedLinear:
    return PackedLinear(quantize(WEIGHT, Rtn(bits=bits, group_size=group_size, symmetric=symmetric)), BIAS)


@pytest.mark.parametrize("layer", [plain_linear(WEIGHT, BIAS), packed(8), packed(8, symmetric=False, bits=3)])
def test_outputs_that_stay_are_what_they_were(layer: nn.Module) -> None:
    kept = torch.tensor([0, 3, 5])
    cut = keep_outputs(layer, kept)
    assert type(cut) is type(layer)
    assert torch.equal(weight_of(cut), weight_of(layer)[kept])
    assert cut.bias.tolist() == [0, 3, 5]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(
    ("group_size", "kept", "stays_packed"),
    [
        (-1, [0, 3, 4, 9, 15], True),  # one group a row stays one group
        (8, [*range(8, 16)], True),  # a whole group goes
        (8, [0, 1, 6, 7, 8, 10, 12, 14], True),  # every group loses as many
        (8, [0, 1, 2, 8, 9], False),
    ],
)
def test_inputs_that_stay_are_what_they_were(
    group_size: int, kept: list[int], stays_packed: bool, symmetric: bool
) -> None:
    layer, places = packed(group_size, symmetric), torch.tensor(kept)
    cut = keep_inputs(layer, places)
    assert isinstance(cut, PackedLinear) == stays_packed
    assert torch.equal(weight_of(cut), weight_of(layer)[:, places])
    assert torch.equal(cut.bias, BIAS)


def test_what_leaves_its_grid_is_noted() -> None:
    network, notes = nn.Sequential(packed(8), packed(8), packed(8)), []
    with off_their_grid(network, notes):
        network[0] = keep_inputs(network[0], torch.tensor([0, 1, 8]))
        network[1] = keep_inputs(network[1], torch.arange(8))
    assert len(notes) == 1
    assert "had packed 1 matrices" in notes[0]
