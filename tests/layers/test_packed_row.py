"""Products of packed rows and a few tokens, against fp64 on the dequantized weights."""

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
    scales = torch.rand(rows, columns // group_size, generator=generator).half() + 0.01
    if zero_bits is None:
        return PackedMatrix.from_codes(codes, scales, None, bits)
    zeros = torch.randint(0, 2**zero_bits, scales.shape, generator=generator, dtype=torch.uint8)
    return PackedMatrix.from_codes(codes, scales, zeros, bits, zero_bits)


def exact(matrix: PackedMatrix, x: torch.Tensor) -> torch.Tensor:
    return x.double() @ matrix.dequantize(torch.float32).double().T


def tokens(count: int, columns: int = COLUMNS, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(count)).to(dtype)


@pytest.mark.parametrize("group_size", [COLUMNS, 192, 64, 2 * LANES, 48, 2 * LANES + 4, 18, 8, 2])
@pytest.mark.parametrize(("bits", "zero_bits"), [(8, None), (8, 8), (4, None), (4, 4), (4, 8)])
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


@pytest.mark.skipif(numba.config.CPU_FEATURES is not None, reason="numba compiles for another processor")
def test_units_for_bf16_are_used_where_there_are_any() -> None:
    assert bool(torch.cpu.get_capabilities().get("avx512_bf16")) == MULTIPLIES_PAIRS
