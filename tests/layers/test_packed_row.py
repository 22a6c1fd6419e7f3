"""Packed rows: products with a few tokens, against fp64 on the dequantized weights, and the weights themselves."""

import numba
import pytest
import torch

from engine.layers import kernels
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.packed_row import LANES, MULTIPLIES_PAIRS
from engine.layers.rounded_inputs import rounded

COLUMNS = 576
TOKENS = 8 + 4 + 2 + 1  # every number of tokens that is taken at once


def made(bits: int, group_size: int, zero_bits: int | None, columns: int = COLUMNS, rows: int = 7) -> PackedMatrix:
    """A random matrix; an odd number of rows, so that threads get unequal shares."""
    generator = torch.Generator().manual_seed(group_size)
    codes = torch.randint(0, 2**bits, (rows, columns), generator=generator, dtype=torch.uint8)
    scales = torch.randn(rows, columns // group_size, generator=generator).half()
    scales[0, 0], scales[1, 0] = 0, 6e-8  # nothing, and the smallest there is
    if zero_bits is None:
        return PackedMatrix.from_codes(codes, scales, None, bits)
    zeros = torch.randint(0, 2**zero_bits, scales.shape, generator=generator, dtype=torch.uint8)
    return PackedMatrix.from_codes(codes, scales, zeros, bits, zero_bits)


def exact(matrix: PackedMatrix, x: torch.Tensor) -> torch.Tensor:
    return x.double() @ matrix.dequantize(torch.float32).double().T


def tokens(count: int, columns: int = COLUMNS, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(count)).to(dtype)


GROUPS = [COLUMNS, 192, 64, 2 * LANES, 48, 2 * LANES + 4, 18, 8, 2]
ZEROS = [(8, None), (8, 8), (4, None), (4, 4), (4, 8)]


@pytest.mark.parametrize("group_size", GROUPS)
@pytest.mark.parametrize(("bits", "zero_bits"), ZEROS)
@pytest.mark.parametrize("dtype", kernels.DTYPES)
def test_a_rows_weights_are_the_dequantized_ones_to_the_bit(
    dtype: torch.dtype, bits: int, zero_bits: int | None, group_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = made(bits, group_size, zero_bits, group_size * (COLUMNS // group_size))
    monkeypatch.setattr(kernels, "_WEIGHTS_AT_ONCE", 2 * COLUMNS)  # two rows at once, and the last alone
    found = [(rows, block.clone()) for rows, block in kernels.blocks(matrix, dtype)]
    assert [rows.start for rows, _ in found] == [0, 2, 4, 6]
    assert torch.equal(torch.cat([block for _, block in found]), matrix.dequantize(dtype))


@pytest.mark.parametrize("group_size", GROUPS)
@pytest.mark.parametrize(("bits", "zero_bits"), ZEROS)
def test_every_group_size_and_every_zero_point(bits: int, zero_bits: int | None, group_size: int) -> None:
    columns = group_size * (COLUMNS // group_size)
    matrix = made(bits, group_size, zero_bits, columns)
    for dtype, tolerance in ((torch.float32, 2e-6), (torch.bfloat16, 2**-8)):
        x = tokens(TOKENS, columns, dtype)
        found, wanted = kernels.matvec(matrix, x).double(), exact(matrix, x)
        size = (x.abs().double() @ matrix.dequantize(torch.float32).abs().double().T).clamp(min=1e-9)
        slack = size * 2e-6  # of sums in fp32, which may cancel
        assert ((found - wanted).abs() <= tolerance * wanted.abs() + slack).all()


@pytest.mark.parametrize("group_size", [1, 9, 33])
def test_odd_groups_of_8_bits(group_size: int) -> None:
    columns = 9 * 33
    matrix, x = made(8, group_size, 8, columns), tokens(3, columns)
    torch.testing.assert_close(kernels.matvec(matrix, x).double(), exact(matrix, x), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", kernels.DTYPES)
@pytest.mark.parametrize("bits", [8, 4])
def test_a_token_gets_the_same_product_whatever_stands_beside_it(bits: int, dtype: torch.dtype) -> None:
    matrix, x = made(bits, 64, None), tokens(2 * TOKENS, dtype=dtype)
    alone = torch.cat([kernels.matvec(matrix, x[i : i + 1]) for i in range(len(x))])
    for count in range(1, len(x) + 1):
        assert torch.equal(kernels.matvec(matrix, x[:count]), alone[:count])


@pytest.mark.parametrize("bits", [8, 4])
def test_products_in_pairs_of_bf16_are_those_in_fp32(bits: int) -> None:
    """Codes less their zero points are exact in bf16, so only the order of the sums differs."""
    x = tokens(TOKENS, dtype=torch.bfloat16)
    for zero_bits in (None, 8):
        matrix = made(bits, 64, zero_bits)
        wanted, found = kernels.matvec(matrix, x.float()), kernels.matvec(matrix, x).float()
        torch.testing.assert_close(found, wanted, rtol=2**-8, atol=1e-3)


@pytest.mark.parametrize("dtype", kernels.DTYPES)
@pytest.mark.parametrize("group_size", [COLUMNS, 64, 48])
def test_inputs_rounded_in_the_kernel_are_those_rounded_before(group_size: int, dtype: torch.dtype) -> None:
    matrix, x = made(8, group_size, None), tokens(TOKENS, dtype=dtype)
    x[3] = 0  # a token without a largest number
    steps, scales = rounded(x)
    wanted = exact(matrix, steps) * scales.double()
    near = {"rtol": 1e-5, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 2**-8, "atol": 1e-3}
    torch.testing.assert_close(kernels.matvec(matrix, x, round_inputs=True).double(), wanted, **near)


@pytest.mark.parametrize("dtype", kernels.DTYPES)
def test_next_to_nothing_is_rounded_to_nothing_and_leaves_the_other_tokens_alone(dtype: torch.dtype) -> None:
    matrix, x = made(8, 64, None), tokens(3, dtype=dtype)
    x[1] = 1e-44  # of which a step of the grid would be zero
    found = kernels.matvec(matrix, x, round_inputs=True)
    assert (found[1] == 0).all()
    assert torch.equal(found[::2], kernels.matvec(matrix, x[::2], round_inputs=True))
    assert (rounded(x)[0][1] == 0).all()


@pytest.mark.parametrize("strange", [float("nan"), float("inf")])
@pytest.mark.parametrize("bits", [8, 4])
def test_infinities_and_nan_show_in_their_token_alone(bits: int, strange: float) -> None:
    matrix, x = made(bits, 64, None), tokens(9, dtype=torch.bfloat16)
    x[4, 3] = strange
    for round_inputs in (False, bits == 8):
        found = kernels.matvec(matrix, x, round_inputs).isfinite().all(-1)
        assert found.tolist() == [t != 4 for t in range(9)]


def test_pairs_are_multiplied_where_groups_are_whole_vectors_of_them() -> None:
    """Their units count numbers below the smallest normal one as zero; fp32 does not."""
    ones = torch.full((2, COLUMNS), 255, dtype=torch.uint8)
    x = torch.full((1, COLUMNS), 1e-39).bfloat16()
    for group_size, pairs in ((64, MULTIPLIES_PAIRS), (48, False)):
        scales = torch.full((2, COLUMNS // group_size), 6e4).half()
        found = kernels.matvec(PackedMatrix.from_codes(ones, scales, None, 8), x)
        assert (found == 0).all() == pairs


@pytest.mark.skipif(
    numba.config.CPU_FEATURES is not None or not numba.config.ENABLE_AVX, reason="numba compiles for another processor"
)
def test_units_for_bf16_are_used_where_there_are_any() -> None:
    assert bool(torch.cpu.get_capabilities().get("avx512_bf16")) == MULTIPLIES_PAIRS
