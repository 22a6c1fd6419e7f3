import numpy as np
import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.layers.grid import round_asymmetric
from engine.layers.weight import weight_of
from engine.methods import compress, hqq, rtn
from engine.methods.hqq import as_stored, quantize, shrink
from engine.spec import parse
from engine.spec.quantize import Hqq, Rtn

PAPERS = {"zero_points": "fraction", "fit_scales": False}


def test_shrink_by_hand() -> None:
    errors = torch.tensor([0.0, 0.1, -0.25, 1.0])  # |e|^(0.5 - 1) / 4 is inf, 0.79, 0.5, 0.25
    assert shrink(errors, beta=4.0, norm=0.5).tolist() == [0.0, 0.0, -0.0, 0.75]


def test_zero_points_are_rounded_to_what_is_stored() -> None:
    zeros = torch.tensor([-1.0, 1.03, 2.6, 99.0])
    assert as_stored(zeros, 4, 8).tolist() == [0.0, 1.0, 2.625, 15.9375]  # sixteenths
    assert as_stored(zeros, 4, 4).tolist() == [0.0, 1.0, 3.0, 15.0]
    assert as_stored(zeros, 8, 8).tolist() == [0.0, 1.0, 3.0, 99.0]


def test_one_round_by_hand() -> None:
    """Six weights lie 0.3 below their points: an error of which E is 0.3 - 0.3**-0.5 / 10, so 0.1826 is left."""
    weight = torch.tensor([[0.0, 0.7, 0.7, 0.7, 1.7, 1.7, 1.7, 3.0]])
    matrix = quantize(weight, Hqq(bits=2, group_size=8, norm=0.5, iterations=1, **PAPERS))
    assert matrix.scales.tolist() == [[1.0]]  # round to nearest's
    assert matrix.unpacked_zeros().tolist() == [[9]]  # 6 * 0.1826 / 8 steps, in 64ths
    assert matrix.unpacked_codes().tolist() == [[0, 1, 1, 1, 2, 2, 2, 3]]


@pytest.mark.parametrize("how", [PAPERS, {"zero_points": "fraction"}, {}])
@pytest.mark.parametrize("bits", [8, 5, 4, 3, 2])
def test_equals_a_plain_loop_over_the_equations(bits: int, how: dict) -> None:
    weight, settings = _weights(bits), Hqq(bits=bits, group_size=16, norm=0.6, iterations=7, **how)
    ours, starts = quantize(weight, settings).dequantize(), round_asymmetric(weight, bits, 16).scales
    off = 0
    for row in range(len(weight)):
        for group in range(weight.shape[1] // 16):
            columns = slice(group * 16, group * 16 + 16)
            expected = _fitted(weight[row, columns].double().numpy(), float(starts[row, group]), settings)
            off += not np.allclose(ours[row, columns].numpy(), expected, atol=1e-6)
    assert off <= 1  # of 32 groups: one may lie on the edge between two codes, where fp32 and fp64 part


@pytest.mark.parametrize("bits", range(2, 9))
def test_never_costs_more_than_round_to_nearest(bits: int) -> None:
    weight = _weights(bits)
    nearest = rtn.quantize(weight, Rtn(bits=bits, group_size=16, symmetric=False)).dequantize()
    papers = quantize(weight, Hqq(bits=bits, group_size=16, **PAPERS)).dequantize()
    whole = quantize(weight, Hqq(bits=bits, group_size=16)).dequantize()

    def cost(restored: Tensor) -> Tensor:
        return (weight - restored).abs().pow(0.7).view(len(weight), -1, 16).sum(-1)

    assert (cost(papers) <= cost(nearest) * (1 + 1e-5)).all()
    assert (cost(whole) <= cost(nearest) * (1 + 1e-5)).all()
    if bits <= 4:  # finer grids leave a group's zero point nothing to gain
        assert cost(papers).mean() < 0.97 * cost(nearest).mean()
        assert cost(whole).mean() < 0.97 * cost(nearest).mean()


def test_nothing_left_to_fit_is_refused() -> None:
    with pytest.raises(InputError, match="fit_scales=false contradicts zero_points=whole"):
        Hqq(fit_scales=False)


@pytest.mark.parametrize(("zero_points", "kept"), [("whole", True), ("fraction", False)])
def test_zeros_that_a_fraction_takes_from_their_grid_are_told(tiny_model, zero_points: str, kept: bool) -> None:
    model = tiny_model("llama")
    recipe = parse(f"prune:magnitude | quantize:hqq,group_size=16,zero_points={zero_points}")
    compress(model, recipe, None, lambda *_: None)
    zeros = sum(int((weight_of(layer) == 0).sum()) for _, layer in model.anatomy.linears())
    all_weights = sum(weight_of(layer).numel() for _, layer in model.anatomy.linears())
    assert (zeros >= all_weights // 2) == kept
    assert any("small numbers again" in note for note in model.notes) != kept


def test_groups_of_zeros_and_of_tiny_weights_are_safe() -> None:
    weight = torch.cat([torch.zeros(4, 16), torch.full((4, 16), 1e-12), torch.full((4, 16), 1e-6)])
    restored = quantize(weight, Hqq(bits=4, group_size=16)).dequantize()
    assert torch.isfinite(restored).all()
    assert restored[:4].abs().max() == 0


def _weights(seed: int) -> Tensor:
    """Normal weights with a few outliers."""
    weight = torch.randn(8, 64, generator=torch.Generator().manual_seed(seed))
    weight[::3, ::16] *= 5
    return weight


def _fitted(W: np.ndarray, scale: float, settings: Hqq) -> np.ndarray:
    """One group's weights on their grid, fitted in fp64 by the equations, weight by weight."""
    top, unit = 2**settings.bits - 1, 2.0 ** (settings.bits - settings.zero_bits)
    zero = min(max(round(-min(W.min(), 0) / scale), 0), top)
    beta, tried = 10.0, []
    for _ in range(settings.iterations + 1):
        codes = [min(max(round(w / scale + zero), 0), top) for w in W]
        restored = np.array([(q - zero) * scale for q in codes])
        tried.append((sum(abs(w - r) ** settings.norm for w, r in zip(W, restored, strict=True)), restored))
        aims = []
        for w, q in zip(W, codes, strict=True):
            error = w - (q - zero) * scale
            size = max(0.0, abs(error) - abs(error) ** (settings.norm - 1) / beta) if error else 0.0
            aims.append(w - (size if error > 0 else -size))
        wanted = sum(q - a / scale for q, a in zip(codes, aims, strict=True)) / len(W)
        zero = min(max(round(wanted / unit), 0), 2**settings.zero_bits - 1) * unit
        if settings.fit_scales:
            points = [q - zero for q in codes]
            scale = float(
                np.float16(sum(a * p for a, p in zip(aims, points, strict=True)) / sum(p * p for p in points))
            )
        beta *= hqq._GROWTH
    return min(tried, key=lambda one: one[0])[1]
