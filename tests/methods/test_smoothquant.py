"""SmoothQuant against the paper's equations in whole numbers, its folding, and the numerics of its quality."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.checkpoints import checkpoint, fp32
from engine.layers.rounded_inputs import RoundedInputs
from engine.layers.weight import plain_linear
from engine.methods import compress
from engine.methods.smoothquant import add_largest, in_8_bits, smoothing
from engine.models import LanguageModel
from engine.spec import parse


def by_the_paper(weight: Tensor, x: Tensor, alpha: float) -> Tensor:
    """Equations 4, 3 and 2 in fp64 and int64; s a power of two, each row on the grid of `quantize:rtn`."""
    weight, x = weight.double(), x.double()
    s = x.abs().amax(0) ** alpha / weight.abs().amax(0) ** (1 - alpha)
    s = 2.0 ** s.log2().round()
    smooth, inputs = weight * s, x / s
    largest = smooth.gather(1, smooth.abs().argmax(1, keepdim=True))
    scales = (-largest / 128).half().double()  # [rows, 1]
    weights = (smooth / scales).round().clamp(-128, 127)
    steps = inputs.abs().amax(1, keepdim=True) / 127  # [tokens, 1]
    return (inputs / steps).round().long() @ weights.long().T * steps * scales.T


@pytest.mark.parametrize("tokens", [3, 40])  # through the kernel, and by blocks
@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.9])
def test_a_linear_is_the_papers_product_of_whole_numbers(alpha: float, tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(24, 48, generator=generator), torch.randn(tokens, 48, generator=generator)
    x[:, ::16] *= 30
    factors = smoothing(add_largest(add_largest(None, x[:2]), x[2:]), weight.abs().amax(0), alpha)
    ours = in_8_bits(plain_linear(weight), factors)(x / factors)
    torch.testing.assert_close(ours.double(), by_the_paper(weight, x, alpha), rtol=1e-5, atol=1e-4)


def test_inputs_and_columns_that_are_all_zero_are_left_alone() -> None:
    largest = torch.tensor([0.0, 4.0, 4.0]), torch.tensor([1.0, 0.0, 1.0])
    assert smoothing(*largest, alpha=0.5).tolist() == [1, 1, 2]
    assert in_8_bits(plain_linear(torch.ones(2, 3)), torch.ones(3))(torch.zeros(1, 3)).tolist() == [[0, 0]]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_smoothing_alone_changes_nothing(each_family: LanguageModel, windows: Tensor, alpha: float) -> None:
    with torch.inference_mode():
        before = each_family.network(windows).logits
        compress(each_family, parse(f"quantize:smoothquant,alpha={alpha}"), windows, lambda *_: None)
        after = fp32.dequantized(each_family)(windows).logits
    assert float((after - before).norm() / before.norm()) < 0.1  # rounding weights to 8 bits gives 0.05


def test_quality_is_that_of_rounded_activations(tiny_llama: LanguageModel, windows: Tensor, tmp_path: Path) -> None:
    compress(tiny_llama, parse("quantize:smoothquant"), windows, lambda *_: None)
    checkpoint.save(tiny_llama, tmp_path)
    evaluated, running = fp32.evaluated(tiny_llama), checkpoint.load(tmp_path, torch.float32)
    assert all(isinstance(layer, RoundedInputs) for _, layer in running.anatomy.linears())
    with torch.inference_mode():
        rounded, weights = evaluated(windows).logits, fp32.dequantized(tiny_llama)(windows).logits
        one = running.network(windows[:, :8]).logits
    assert float((rounded - weights).abs().max()) > 1e-3
    torch.testing.assert_close(one, rounded[:, :8], rtol=0, atol=0.02)
    assert "Activations are rounded to 8 bits too" in tiny_llama.notes[-1]
