import torch

from engine.layers.grid import round_asymmetric, round_symmetric


def test_symmetric_by_hand() -> None:
    weight = torch.tensor([[-2.0, 1.0, 0.6, 0.0], [0.5, 4.0, -4.0, 1.1]])
    codes, scales, zeros = round_symmetric(weight, bits=3, group_size=4)
    assert zeros is None
    assert scales.tolist() == [[0.5], [-1.0]]  # the largest weight lies on the far end, -4, whatever its sign
    assert (codes.int() - 4).tolist() == [[-4, 2, 1, 0], [0, -4, 3, -1]]


def test_asymmetric_by_hand() -> None:
    weight = torch.tensor([[-1.0, 0.0, 0.6, 2.0]])
    codes, scales, zeros = round_asymmetric(weight, bits=2, group_size=4)
    assert scales.tolist() == [[1.0]]
    assert zeros is not None
    assert zeros.tolist() == [[1]]
    assert codes.tolist() == [[0, 1, 2, 3]]


def test_a_range_that_excludes_zero_still_has_zero_as_a_point() -> None:
    codes, _, zeros = round_asymmetric(torch.tensor([[3.0, 6.0]]), bits=2, group_size=2)
    assert zeros is not None
    assert zeros.tolist() == [[0]]
    assert codes.tolist() == [[2, 3]]  # 1.5 steps round to even
