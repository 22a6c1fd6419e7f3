"""What bitsandbytes packed and multiplies, against its own dequantized weights and the papers' arithmetic."""

import bitsandbytes
import pytest
import torch
from bitsandbytes import functional as theirs
from torch import Tensor
from torch.nn import functional

from engine.layers.bnb_linear import BnbLinear
from engine.layers.bnb_matrix import BnbMatrix, FourBitMatrix, Int8Matrix, quantized

FORMATS = ("int8", "nf4", "fp4")


def _weight(rows: int = 40, columns: int = 96) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(3)) * 0.1


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("format", ["nf4", "fp4"])
def test_four_bits_are_the_librarys_own(format: str, double: bool) -> None:
    codes, state = theirs.quantize_4bit(_weight(), blocksize=64, compress_statistics=double, quant_type=format)
    ours = quantized(_weight(), format, 64, double)
    assert torch.equal(ours.dequantize(), theirs.dequantize_4bit(codes, state))
    x = torch.randn(3, 96, generator=torch.Generator().manual_seed(4))
    assert torch.equal(ours.multiply(x, None), bitsandbytes.matmul_4bit(x, codes.t(), state))


def test_int8_is_the_librarys_own() -> None:
    layer = bitsandbytes.nn.Linear8bitLt(96, 40, bias=True, has_fp16_weights=False, threshold=6.0)
    bias = torch.linspace(-1, 1, 40)
    layer.load_state_dict({"weight": _weight().half(), "bias": bias})
    x = _activations()
    with torch.inference_mode():
        assert torch.equal(BnbLinear(quantized(_weight(), "int8"), bias)(x), layer.to("cpu").eval()(x))


def test_int8_rounds_activations_but_those_of_outlier_columns() -> None:
    """By hand: scales of rows and tokens from their largest magnitudes, a column with an outlier in full precision."""
    matrix, x = quantized(_weight(), "int8"), _activations()[0]
    assert isinstance(matrix, Int8Matrix)
    outlier = (x.abs() >= 6).any(0)
    assert outlier.nonzero().flatten().tolist() == [5]
    rest = torch.where(x.abs() >= 6, 0.0, x)
    steps = rest.abs().amax(-1, keepdim=True) / 127
    rounded = torch.where(outlier, x, (rest / steps).round() * steps)
    expected = functional.linear(rounded, matrix.dequantize())
    torch.testing.assert_close(matrix.multiply(x, None), expected, rtol=0, atol=0.02)  # a few roundings in float16
    assert (matrix.multiply(x, None) - functional.linear(x, matrix.dequantize())).abs().max() > 1e-3


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_keep_dtype_and_shape(format: str, dtype: torch.dtype) -> None:
    matrix, bias = quantized(_weight(), format), torch.ones(40)
    y = BnbLinear(matrix, bias).to(dtype)(_activations().to(dtype))
    assert (y.dtype, tuple(y.shape)) == (dtype, (2, 3, 40))
    expected = functional.linear(_activations(), matrix.dequantize(), bias)
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.1)


@pytest.mark.parametrize(("format", "double"), [("int8", False), ("nf4", False), ("nf4", True)])
def test_a_change_of_dtype_keeps_the_stored_bits(format: str, double: bool) -> None:
    matrix = quantized(_weight(), format, 64, double)
    before = {name: tensor.clone() for name, tensor in matrix.named_buffers()}
    matrix.to(torch.bfloat16).float()
    for name, tensor in matrix.named_buffers():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_double_quantization_stores_a_byte_a_scale_and_four_for_256_of_them() -> None:
    def stored(matrix: BnbMatrix) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in matrix.buffers())

    weight = _weight(128, 512)  # 1024 blocks of 64
    assert stored(quantized(weight, "nf4", 64, False)) == 128 * 256 + 4 * 1024
    assert stored(quantized(weight, "nf4", 64, True)) == 128 * 256 + 1024 + 4 * 4 + 4


def test_tensors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="int8 matrix of 2 x 4"):
        Int8Matrix(torch.zeros(2, 3, dtype=torch.int8), torch.ones(2), (2, 4))
    with pytest.raises(ValueError, match="nf4 matrix of 8 x 8"):
        FourBitMatrix(torch.zeros(32, dtype=torch.uint8), torch.ones(2), None, (8, 8), "nf4", 64)


def _activations() -> Tensor:
    """Activations [2, 3, 96], the first three tokens with an outlier in column 5."""
    x = torch.randn(2, 3, 96, generator=torch.Generator().manual_seed(4)).clamp(-4, 4)
    x[0, 1, 5] = 9.0
    return x
