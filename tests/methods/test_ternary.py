import pytest
import torch
from torch import Tensor

from engine.methods.ternary import quantize, ternarize
from engine.spec.quantize import Ternary


def test_by_hand() -> None:
    """Keeping 3, 2.5 and -2 costs least: 7.5^2 / 3 beats 3^2, 5.5^2 / 2 and 8.5^2 / 4."""
    signs, scales = ternarize(torch.tensor([[[3.0, -2.0, 1.0, 2.5, 0.0]]]))
    assert signs.tolist() == [[[1.0, -1.0, 0.0, 1.0, 0.0]]]
    assert scales.tolist() == [[2.5]]


def test_is_the_best_of_every_threshold_and_beats_the_papers() -> None:
    groups = torch.randn(6, 4, 16, generator=torch.Generator().manual_seed(0))
    signs, scales = ternarize(groups)
    cost = _cost(groups, signs * scales.unsqueeze(-1))
    for threshold in [*groups.abs().flatten().tolist(), 0.0]:
        assert (cost <= _cost(groups, _cut(groups, torch.tensor(threshold))) + 1e-5).all()
    papers = _cut(groups, 0.7 * groups.abs().mean(-1, keepdim=True))
    assert (cost <= _cost(groups, papers) + 1e-5).all()
    assert cost.sum() < _cost(groups, papers).sum()


def test_two_bits_hold_three_values_and_zeros_stay_zero() -> None:
    weight = torch.cat([torch.zeros(2, 16), torch.randn(4, 16, generator=torch.Generator().manual_seed(1))])
    matrix = quantize(weight, Ternary(group_size=8))
    assert matrix.symmetric
    assert matrix.codes.shape == (6, 4)
    assert set(matrix.unpacked_codes().flatten().tolist()) == {1, 2, 3}
    restored = matrix.dequantize()
    assert restored[:2].abs().max() == 0
    assert torch.equal(restored.view(6, 2, 8).abs().amax(-1)[2:], matrix.scales.float()[2:])


@pytest.mark.parametrize("group_size", [8, -1])
def test_scales_of_equal_weights_are_those_weights(group_size: int) -> None:
    weight = torch.full((2, 16), -0.5)
    assert quantize(weight, Ternary(group_size=group_size)).dequantize().tolist() == weight.tolist()


def _cut(groups: Tensor, threshold: Tensor) -> Tensor:
    """Groups made ternary at a threshold, with the scale that fits best."""
    kept = groups.abs() >= threshold
    count = kept.sum(-1, keepdim=True).clamp(min=1)
    return groups.sign() * kept * ((groups.abs() * kept).sum(-1, keepdim=True) / count)


def _cost(groups: Tensor, restored: Tensor) -> Tensor:
    return (groups - restored).square().sum(-1)
