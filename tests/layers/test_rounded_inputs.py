"""Inputs rounded to 8 bits: the same whichever way the processor multiplies them."""

import pytest
import torch
from torch import Tensor, nn

from engine.layers import packed_linear, rounded_inputs
from engine.layers.formats import KERNEL_ROWS
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.rounded_inputs import RoundedInputs, rounded

UNITS = pytest.mark.skipif(
    not rounded_inputs.multiplies_int8(),
    reason="torch is exact in int8 only with units for it",
)


def made(group_size: int = 48) -> RoundedInputs:
    generator = torch.Generator().manual_seed(5)
    codes = torch.randint(0, 256, (40, 48), generator=generator, dtype=torch.uint8)
    scales = (torch.rand(40, 48 // group_size, generator=generator) * 0.01).half()
    bias = nn.Parameter(torch.randn(40, generator=generator), requires_grad=False)
    return RoundedInputs(PackedMatrix.from_codes(codes, scales, None, 8), bias)


def tokens(count: int) -> Tensor:
    return torch.randn(2, count, 48, generator=torch.Generator().manual_seed(2)) * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, KERNEL_ROWS // 2, KERNEL_ROWS])
@pytest.mark.parametrize("units", [pytest.param(True, marks=UNITS), False])
def test_equals_the_product_of_the_rounded_inputs(
    units: bool, count: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounded_inputs, "multiplies_int8", lambda: units)
    monkeypatch.setattr(packed_linear, "multiplies_bf16", lambda: False)
    layer, x = made().to(dtype), tokens(count).to(dtype)
    steps, scales = rounded(x)
    expected = (steps.double() @ layer.matrix.dequantize().double().T) * scales.double() + layer.bias.double()
    said = layer(x)
    assert said.dtype == dtype
    near = {"rtol": 1e-5, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 2**-6, "atol": 2e-2}
    torch.testing.assert_close(said.double(), expected, **near)


def test_only_rows_of_one_scale_are_multiplied_as_whole_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded_inputs, "multiplies_int8", lambda: True)
    monkeypatch.setattr(packed_linear, "multiplies_bf16", lambda: True)
    assert (made().expands_to, made(16).expands_to) == ("int8", "bfloat16")
    monkeypatch.setattr(rounded_inputs, "multiplies_int8", lambda: False)
    assert made().expands_to == "bfloat16"
