import pytest
import torch

from engine.layers import kernels
from engine.layers.packed_matrix import PackedMatrix


def _identity(bits: int) -> PackedMatrix:
    """A packed 16 x 16 identity matrix."""
    codes = torch.full((16, 16), 2 ** (bits - 1), dtype=torch.uint8) + torch.eye(16, dtype=torch.uint8)
    return PackedMatrix.from_codes(codes, torch.ones(16, 1).half(), None, bits)


@pytest.mark.parametrize("bits", [8, 4])
def test_bf16_results_round_as_torch_rounds(bits: int) -> None:
    matrix = PackedMatrix.from_codes(
        torch.full((16, 16), 2 ** (bits - 1) + 1, dtype=torch.uint8),
        torch.linspace(0.1, 3, 16).half()[:, None],
        None,
        bits,
    )
    x = torch.zeros(4, 16)
    x[:, 0] = torch.tensor([1.0, 1.0078125, -255.0, 3e-5])
    x = x.bfloat16()
    exact = x[:, :1].float() * matrix.scales.float().T  # one product each: nothing but the last rounding differs
    assert torch.equal(kernels.matvec(matrix, x), exact.bfloat16())


@pytest.mark.parametrize("dtype", kernels.DTYPES)
@pytest.mark.parametrize("bits", [8, 4])
def test_infinities_and_nan_show(bits: int, dtype: torch.dtype) -> None:
    for strange in (float("nan"), float("inf")):
        x = torch.zeros(1, 16, dtype=dtype)
        x[0, 3] = strange
        assert not kernels.matvec(_identity(bits), x).isfinite().any()


@pytest.mark.parametrize("bits", [8, 4])
def test_strided_activations_are_read_in_order(bits: int) -> None:
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(0)).T  # [2, 16], columns apart
    torch.testing.assert_close(kernels.matvec(_identity(bits), x), x, rtol=0, atol=1e-3)  # fp32 sums of codes times x


@pytest.mark.parametrize("x", [torch.zeros(1, 8), torch.zeros(1, 16, dtype=torch.float64), torch.zeros(1, 16).half()])
def test_what_would_be_misread_is_refused(x: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="a kernel for 16 inputs got"):
        kernels.matvec(_identity(8), x)


@pytest.mark.parametrize("dtype", kernels.DTYPES)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [8, 4])
def test_blocks_are_the_dequantized_weights_to_the_bit(bits: int, symmetric: bool, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 2**bits, (2100, 24), generator=generator, dtype=torch.uint8)
    zeros = torch.randint(0, 2**bits, (2100, 3), generator=generator, dtype=torch.uint8)
    scales = torch.randn(2100, 3, generator=generator).half()
    matrix = PackedMatrix.from_codes(codes, scales, None if symmetric else zeros, bits)
    whole = torch.cat([block.clone() for _, block in kernels.blocks(matrix, dtype)])
    assert whole.dtype == dtype
    assert torch.equal(whole, matrix.dequantize(dtype))
