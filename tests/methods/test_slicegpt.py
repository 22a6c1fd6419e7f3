import pytest
import torch
from torch import Tensor

from engine.layers.packed_linear import PackedLinear
from engine.layers.sliced_head import SlicedHead
from engine.methods import compress as apply_recipe
from engine.methods.slicegpt import compress, pooled_covariance, principal_axes
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.slicing import SliceGpt


@pytest.mark.parametrize("head", ["tied", "untied"])
def test_slicing_nothing_keeps_the_logits(each_family: LanguageModel, windows: Tensor, head: str) -> None:
    expected = each_family.network(windows).logits
    compress(each_family, SliceGpt(fraction=0.0, head=head), windows, _silent)
    torch.testing.assert_close(each_family.network(windows).logits, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("head", ["tied", "untied"])
def test_directions_that_nothing_uses_cost_nothing(each_family: LanguageModel, windows: Tensor, head: str) -> None:
    """A stream in 48 of 64 dimensions is sliced to 48 without a change: norms divide by the original width."""
    basis = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(3))).Q[:, :48]
    projector = basis @ basis.T
    anatomy = each_family.anatomy
    anatomy.embedding.weight.data = anatomy.embedding.weight.data @ projector
    for block in anatomy.blocks:
        for layer in block.writers.values():
            layer.weight.data = projector @ layer.weight.data
    expected = each_family.network(windows).logits
    compress(each_family, SliceGpt(fraction=0.25, head=head), windows, _silent)
    assert each_family.network.config.hidden_size == 48
    torch.testing.assert_close(each_family.network(windows).logits, expected, rtol=0, atol=1e-3)


def test_what_was_zeroed_before_is_no_zero_any_more(tiny_llama: LanguageModel, windows: Tensor) -> None:
    apply_recipe(tiny_llama, parse("prune:magnitude | slice:slicegpt,fraction=0.25"), windows, _silent)
    assert not tiny_llama.masked_zeros
    assert tiny_llama.notes[0] == "Step 2: This step turns the zeros that an earlier step had set into other numbers."


def test_every_matrix_on_the_stream_is_narrower(tiny_llama: LanguageModel, windows: Tensor) -> None:
    compress(tiny_llama, SliceGpt(fraction=0.25), windows, _silent)
    anatomy = tiny_llama.anatomy
    assert anatomy.tied
    assert isinstance(anatomy.output, SlicedHead)
    assert anatomy.output.mixing.shape == (48, 48)
    assert anatomy.embedding.weight.shape == (264, 48)
    shapes = {name: tuple(layer.weight.shape) for name, layer in anatomy.blocks[0].linears.items()}
    assert shapes["self_attn.q_proj"] == (128, 48)
    assert shapes["self_attn.o_proj"] == (48, 128)
    assert shapes["mlp.down_proj"] == (48, 192)
    assert all(torch.equal(b.input_norm.weight, torch.ones(48)) for b in anatomy.blocks)


def test_the_covariance_is_that_of_every_norm_s_normalised_input(tiny_llama: LanguageModel, windows: Tensor) -> None:
    covariance = pooled_covariance(tiny_llama.anatomy, windows, lambda *_: None)
    states = tiny_llama.network(windows, output_hidden_states=True).hidden_states[:-1]  # the last is normalised already
    seen = []
    for norm in [n for b in tiny_llama.anatomy.blocks for n in (b.input_norm, b.post_norm)] + [
        tiny_llama.anatomy.final_norm
    ]:
        norm.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(0, 1).double()))
    tiny_llama.network(windows)
    assert torch.allclose(seen[0], states[0].flatten(0, 1).double())
    unit = [x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() for x in seen]
    torch.testing.assert_close(covariance, sum(x.T @ x for x in unit), rtol=1e-4, atol=1e-2)


def test_principal_axes_by_hand() -> None:
    axes = principal_axes(torch.tensor([[2.0, 1.0], [1.0, 2.0]], dtype=torch.float64))
    torch.testing.assert_close(axes[:, 0], torch.full((2,), 0.5**0.5, dtype=torch.float64))
    assert axes[:, 1].abs().allclose(axes[:, 0])


def test_packed_matrices_become_plain_and_a_note_says_so(tiny_llama: LanguageModel, windows: Tensor) -> None:
    recipe = parse("quantize:rtn,bits=8,targets=linears+embedding | slice:slicegpt,fraction=0.25")
    apply_recipe(tiny_llama, recipe, windows, _silent)
    assert not any(isinstance(module, PackedLinear) for module in tiny_llama.network.modules())
    assert tiny_llama.anatomy.tied
    assert tiny_llama.notes[-1].startswith("Step 2: This step rotates 29 matrices")


def test_slices_of_a_slice_divide_by_the_first_width(tiny_llama: LanguageModel, windows: Tensor) -> None:
    for _ in range(2):
        compress(tiny_llama, SliceGpt(fraction=0.0), windows, _silent)
    mixing = tiny_llama.anatomy.output.mixing
    assert mixing.shape == (64, 64)


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
