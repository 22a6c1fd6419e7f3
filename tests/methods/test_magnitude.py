import pytest
import torch

from engine.errors import InputError
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import weight_of
from engine.methods.magnitude import compress, global_cut, smallest, smallest_in_groups
from engine.methods.rtn import compress as quantize
from engine.models import LanguageModel
from engine.spec.prune import Magnitude
from engine.spec.quantize import Rtn


def test_of_equal_magnitudes_the_earlier_go() -> None:
    mask = smallest(torch.tensor([[2.0, 1.0, 1.0], [1.0, 0.5, 3.0]]), 3)
    assert mask.tolist() == [[False, True, True], [False, True, False]]
    assert not smallest(torch.zeros(2, 2), 0).any()


def test_two_of_four_by_hand() -> None:
    mask = smallest_in_groups(torch.tensor([[4.0, 1.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0]]), kept=2, size=4)
    assert mask.tolist() == [[False, True, False, True, True, True, False, False]]


def test_the_global_cut_equals_a_sort_of_everything() -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = [
        torch.randn(7, 9, generator=generator).abs(),
        torch.randn(5, 5, generator=generator).mul(9).round().abs(),
    ]
    flat = torch.cat([t.flatten() for t in tensors])
    for count in (0, 1, 20, 44, len(flat)):
        cut, masks = global_cut(lambda: iter(tensors), count), []
        for tensor in tensors:
            mask, cut = cut.mask(tensor)
            masks.append(mask.flatten())
        mask = torch.cat(masks)
        assert int(mask.sum()) == count
        if 0 < count < len(flat):
            assert flat[mask].max() <= flat[~mask].min()


@pytest.mark.parametrize("sparsity", [0.0, 0.123, 0.5, 0.9])
def test_exactly_the_stated_share_of_every_linear(tiny_llama: LanguageModel, sparsity: float) -> None:
    compress(tiny_llama, Magnitude(sparsity=sparsity), None, _silent)
    for _, layer in tiny_llama.anatomy.linears():
        weight = weight_of(layer)
        assert int((weight == 0).sum()) == int(sparsity * weight.numel())
    assert tiny_llama.masked_zeros == (sparsity > 0)


def test_exactly_the_stated_share_of_the_whole_model(tiny_llama: LanguageModel) -> None:
    before = tiny_llama.anatomy.embedding.weight.clone()
    tiny_llama.anatomy.blocks[0].linears["mlp.up_proj"].weight.data *= 10
    compress(tiny_llama, Magnitude(sparsity=0.4, scope="global"), None, _silent)
    weights = [weight_of(layer) for _, layer in tiny_llama.anatomy.linears()]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros == int(0.4 * sum(w.numel() for w in weights))
    share = [float((weight_of(layer) == 0).float().mean()) for _, layer in tiny_llama.anatomy.linears()]
    assert share[5] == min(share) < 0.1  # the linear with large weights keeps nearly all of them
    assert torch.equal(tiny_llama.anatomy.embedding.weight, before)


def test_a_pattern_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(InputError, match=r"pattern=3:5 needs inputs in whole groups of 5; .*q_proj has 64"):
        compress(tiny_llama, Magnitude(pattern="3:5"), None, _silent)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [3, 8])
def test_packed_weights_stay_packed_with_exact_zeros(tiny_llama: LanguageModel, bits: int, symmetric: bool) -> None:
    quantize(tiny_llama, Rtn(bits=bits, group_size=16, symmetric=symmetric), None, _silent)
    before = [weight_of(layer) for _, layer in tiny_llama.anatomy.linears()]
    compress(tiny_llama, Magnitude(pattern="2:4"), None, _silent)
    for (_, layer), old in zip(tiny_llama.anatomy.linears(), before, strict=True):
        assert isinstance(layer, PackedLinear)
        new = weight_of(layer)
        assert ((new == 0).view(-1, 4).sum(-1) >= 2).all()
        assert torch.equal(new[new != 0], old[new != 0])


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
