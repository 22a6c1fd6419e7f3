import pytest
import torch

from engine.errors import InputError
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import weight_of
from engine.methods.rtn import compress, quantize
from engine.models import LanguageModel
from engine.spec.quantize import Rtn


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", range(2, 9))
def test_error_is_at_most_half_a_step_but_on_the_near_end(bits: int, symmetric: bool) -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(bits))
    matrix = quantize(weight, Rtn(bits=bits, group_size=16, symmetric=symmetric))
    steps = matrix.scales.float().abs().repeat_interleave(16, dim=1)
    error = (matrix.dequantize() - weight).abs() / steps
    assert error.max() <= (1.01 if symmetric else 0.51) + 2**bits * 2**-11  # the scale's own rounding moves the ends
    assert error.median() <= 0.3


@pytest.mark.parametrize("symmetric", [True, False])
def test_groups_of_zeros_and_of_tiny_weights_are_safe(symmetric: bool) -> None:
    weight = torch.cat([torch.zeros(4, 16), torch.full((4, 16), 1e-12), torch.full((4, 16), 1e-6)])
    restored = quantize(weight, Rtn(bits=4, group_size=16, symmetric=symmetric)).dequantize()
    assert torch.isfinite(restored).all()
    assert restored[:4].abs().max() == 0
    torch.testing.assert_close(restored[8:], weight[8:], rtol=0.3, atol=0)


@pytest.mark.parametrize("symmetric", [True, False])
def test_what_lies_on_a_grid_stays_there(symmetric: bool) -> None:
    settings = Rtn(bits=4, group_size=8, symmetric=symmetric)
    once = quantize(torch.randn(16, 32, generator=torch.Generator().manual_seed(0)), settings).dequantize()
    torch.testing.assert_close(quantize(once, settings).dequantize(), once, rtol=2e-3, atol=1e-4)


def test_a_group_size_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(
        InputError, match=r"group_size=40 does not divide the 64 inputs of .*q_proj.*: 8, 16, 32, 64, or -1"
    ):
        compress(tiny_llama, Rtn(group_size=40), None, _silent)
    after = tiny_llama.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("target", ["embedding", "head"])
def test_naming_either_end_of_a_tie_packs_the_one_matrix(tiny_llama: LanguageModel, target: str) -> None:
    compress(tiny_llama, Rtn(bits=8, targets=(target,)), None, _silent)
    anatomy = tiny_llama.anatomy
    assert isinstance(anatomy.embedding, PackedEmbedding)
    assert isinstance(anatomy.output, PackedLinear)
    assert anatomy.embedding.matrix is anatomy.output.matrix
    assert not any(isinstance(layer, PackedLinear) for _, layer in anatomy.linears())


def test_an_untied_head_is_packed_alone(tiny_model) -> None:
    model = tiny_model("qwen3")
    compress(model, Rtn(bits=8, targets=("head",)), None, _silent)
    assert isinstance(model.anatomy.output, PackedLinear)
    assert not isinstance(model.anatomy.embedding, PackedEmbedding)


def test_the_later_of_two_steps_decides_and_other_targets_stay(tiny_llama: LanguageModel) -> None:
    compress(tiny_llama, Rtn(bits=4, group_size=32), None, _silent)
    coarse = weight_of(dict(tiny_llama.anatomy.linears())["model.layers.0.mlp.up_proj"])
    compress(tiny_llama, Rtn(bits=8, group_size=64, targets=("embedding",)), None, _silent)
    compress(tiny_llama, Rtn(bits=6, group_size=16), None, _silent)
    layer = dict(tiny_llama.anatomy.linears())["model.layers.0.mlp.up_proj"]
    assert isinstance(layer, PackedLinear)
    assert (layer.matrix.bits, layer.matrix.group_size) == (6, 16)
    torch.testing.assert_close(weight_of(layer), coarse, rtol=0, atol=0.03)
    assert isinstance(tiny_llama.anatomy.embedding, PackedEmbedding)
    assert tiny_llama.anatomy.embedding.matrix.bits == 8


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
