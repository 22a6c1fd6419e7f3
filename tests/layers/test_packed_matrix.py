import pytest
import torch

from engine.layers.packed_matrix import PackedMatrix


def _matrix(
    bits: int = 4, symmetric: bool = True, rows: int = 12, groups: int = 3, group_size: int = 8
) -> PackedMatrix:
    generator = torch.Generator().manual_seed(bits)
    codes = torch.randint(0, 2**bits, (rows, groups * group_size), generator=generator, dtype=torch.uint8)
    scales = torch.rand(rows, groups, generator=generator).half()
    zeros = torch.randint(0, 2**bits, (rows, groups), generator=generator, dtype=torch.uint8)
    return PackedMatrix.from_codes(codes, scales, None if symmetric else zeros, bits)


def test_weight_by_hand() -> None:
    codes = torch.tensor([[0, 15, 8, 9]], dtype=torch.uint8)
    scales, zeros = torch.tensor([[0.5, 2.0]]).half(), torch.tensor([[3, 9]], dtype=torch.uint8)
    assert PackedMatrix.from_codes(codes, scales, None, 4).dequantize().tolist() == [[-4.0, 3.5, 0.0, 2.0]]
    assert PackedMatrix.from_codes(codes, scales, zeros, 4).dequantize().tolist() == [[-1.5, 6.0, -2.0, 0.0]]


def test_zero_points_may_have_a_fraction() -> None:
    codes, zeros = torch.tensor([[0, 15, 8, 9]], dtype=torch.uint8), torch.tensor([[24, 141]], dtype=torch.uint8)
    matrix = PackedMatrix.from_codes(codes, torch.tensor([[0.5, 2.0]]).half(), zeros, 4, zero_bits=8)
    assert matrix.dequantize().tolist() == [[-0.75, 6.75, -1.625, 0.375]]  # 24 / 16 and 141 / 16
    assert PackedMatrix.stacked([matrix, matrix]).dequantize().tolist() == matrix.dequantize().tolist() * 2


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", range(2, 9))
def test_gathered_rows_are_rows_of_the_whole(bits: int, symmetric: bool) -> None:
    matrix = _matrix(bits, symmetric)
    ids = torch.tensor([[3, 3], [0, 11]])
    assert torch.equal(matrix.gather(ids), matrix.dequantize()[ids])


def test_a_change_of_dtype_keeps_the_stored_scales() -> None:
    matrix = _matrix()
    before = matrix.dequantize()
    assert torch.equal(matrix.to(torch.bfloat16).float().dequantize(), before)
    assert matrix.scales.dtype == torch.float16


def test_tensors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="4-bit matrix"):
        PackedMatrix(torch.zeros(2, 5, dtype=torch.uint8), torch.ones(2, 1).half(), None, 16, 4)
