"""The kernels against the dequantized weights, at every group size and for more tokens than they take at once."""

import pytest
import torch
from torch.nn import functional

from engine.layers import packed_linear
from engine.layers.formats import KERNEL_ROWS
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.layers.packed_matrix import PackedMatrix


def _layer(bits: int, group_size: int, zeros: str, bias: bool = False) -> PackedLinear:
    """zeros: none, whole or fraction."""
    rows, columns = 40, 48
    generator = torch.Generator().manual_seed(7)
    codes = torch.randint(0, 2**bits, (rows, columns), generator=generator, dtype=torch.uint8)
    scales = (torch.randn(rows, columns // group_size, generator=generator) * 0.1).half()  # of either sign
    zero_bits = 8 if zeros == "fraction" else bits
    points = torch.randint(0, 2**zero_bits, scales.shape, generator=generator, dtype=torch.uint8)
    matrix = PackedMatrix.from_codes(codes, scales, None if zeros == "none" else points, bits, zero_bits)
    return PackedLinear(matrix, torch.randn(rows, generator=generator) if bias else None)


@pytest.mark.parametrize("tokens", [1, KERNEL_ROWS, KERNEL_ROWS + 1])
@pytest.mark.parametrize("zeros", ["none", "whole", "fraction"])
@pytest.mark.parametrize("group_size", [2, 3, 8, 16, 24, 48])
@pytest.mark.parametrize("bits", [8, 6, 4, 3])
def test_equals_the_dequantized_product(bits: int, group_size: int, zeros: str, tokens: int) -> None:
    layer = _layer(bits, group_size, zeros, bias=True)
    x = torch.randn(2, tokens, 48, generator=torch.Generator().manual_seed(1))[:, :tokens]
    expected = functional.linear(x.double(), layer.matrix.dequantize().double(), layer.bias.double())
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("units", [True, False])
@pytest.mark.parametrize("zeros", ["none", "whole"])
@pytest.mark.parametrize("bits", [8, 4, 3])
def test_many_bf16_tokens_are_multiplied_in_bf16_where_the_processor_can(
    bits: int, zeros: str, units: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_linear, "multiplies_bf16", lambda: units)
    layer = _layer(bits, 16, zeros)
    x = torch.randn(KERNEL_ROWS + 1, 48, generator=torch.Generator().manual_seed(1)).bfloat16()
    weight = layer.matrix.dequantize()
    exact = functional.linear(x.float(), weight).bfloat16()
    expected = functional.linear(x, weight.bfloat16()) if units else exact
    assert torch.equal(layer(x), expected)
    assert not units or not torch.equal(expected, exact)


@pytest.mark.parametrize("bits", [8, 4])
def test_bf16_activations_lose_only_their_own_rounding(bits: int) -> None:
    layer = _layer(bits, 16, "none")
    x = torch.randn(1, 48, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = functional.linear(x.float(), layer.matrix.dequantize()).bfloat16()
    assert layer(x).dtype == torch.bfloat16
    torch.testing.assert_close(layer(x), expected, rtol=2**-7, atol=1e-3)


def test_scales_below_the_normal_numbers_of_float16_are_exact() -> None:
    codes = torch.full((8, 8), 255, dtype=torch.uint8)
    matrix = PackedMatrix.from_codes(codes, torch.full((8, 1), 2.0**-24).half(), None, 8)
    assert PackedLinear(matrix)(torch.ones(1, 8)).tolist() == [[8 * 127 * 2.0**-24] * 8]


def test_widths_with_a_kernel() -> None:
    assert [bits for bits in range(2, 9) if has_kernel(_layer(bits, 16, "none").matrix)] == [4, 8]
    assert not has_kernel(_layer(4, 3, "none").matrix)  # an odd group would share a byte with its neighbour


@pytest.mark.parametrize("bits", [8, 4])
def test_massive_activations_do_not_overflow(bits: int) -> None:
    """Language models have a few activations in the thousands; sums of unscaled codes times them stay finite."""
    layer = _layer(bits, 16, "none")
    x = torch.full((1, 48), 1e6)
    expected = functional.linear(x.double(), layer.matrix.dequantize().double())
    torch.testing.assert_close(layer(x).double(), expected, rtol=1e-4, atol=100)
