import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import weight_of
from engine.methods import compress as apply_recipe
from engine.methods.wanda import add_squares, compress, least, smallest_in_rows
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.prune import Wanda


def by_the_paper(weight: Tensor, x: Tensor, count: int) -> Tensor:
    """Section 3 in fp64: in each row, zero the `count` weights with the smallest |W_ij| * ||X_j||_2."""
    weight, x = weight.double(), x.double()
    result = weight.clone()
    for row in range(weight.shape[0]):
        scores = [(abs(weight[row, j]) * x[:, j].norm()).item() for j in range(weight.shape[1])]
        for j in sorted(range(len(scores)), key=lambda j: scores[j])[:count]:
            result[row, j] = 0.0
    return result


def test_the_mask_is_the_papers() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(12, 40, generator=generator), torch.randn(100, 40, generator=generator)
    x *= torch.linspace(0.1, 3, 40)
    score = weight.abs() * add_squares(None, x).sqrt()
    for sparsity in (0.0, 0.33, 0.5, 0.9):
        ours = weight.masked_fill(least(score, Wanda(sparsity=sparsity)), 0.0)
        assert torch.equal(ours.double(), by_the_paper(weight, x, int(sparsity * 40)))


@pytest.mark.parametrize(("kept", "size"), [(2, 4), (1, 4), (3, 8), (5, 20)])
def test_a_pattern_is_the_papers_rule_in_every_few_neighbours(kept: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(12, 40, generator=generator), torch.randn(100, 40, generator=generator)
    x *= torch.linspace(0.1, 3, 40)
    mask = least(weight.abs() * add_squares(None, x).sqrt(), Wanda(pattern=f"{kept}:{size}"))
    parts = [by_the_paper(w, own, size - kept) for w, own in zip(weight.split(size, 1), x.split(size, 1), strict=True)]
    assert torch.equal(weight.masked_fill(mask, 0.0).double(), torch.cat(parts, dim=1))


def test_squares_add_up_over_batches() -> None:
    x = torch.randn(3000, 5, generator=torch.Generator().manual_seed(0))
    together = add_squares(add_squares(None, x[:1234]), x[1234:])
    torch.testing.assert_close(together.double(), x.double().square().sum(0), rtol=1e-6, atol=0)


def test_of_equal_scores_the_earlier_go() -> None:
    mask = smallest_in_rows(torch.tensor([[2.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]]), 2)
    assert mask.tolist() == [[False, True, True, False], [True, True, False, False]]


def test_an_input_that_is_never_used_goes_first(tiny_llama: LanguageModel, windows: Tensor) -> None:
    block = tiny_llama.anatomy.blocks[1]
    block.post_norm.weight.data[7] = 0.0
    compress(tiny_llama, Wanda(sparsity=0.02), windows, _silent)  # one weight of every 64
    for layer in block.mlp_in.values():
        assert (layer.weight[:, 7] == 0).all()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_exactly_the_stated_share_of_every_row(each_family: LanguageModel, windows: Tensor, sparsity: float) -> None:
    before = [weight_of(layer).clone() for _, layer in each_family.anatomy.linears()]
    compress(each_family, Wanda(sparsity=sparsity), windows, _silent)
    for (_, layer), old in zip(each_family.anatomy.linears(), before, strict=True):
        new = weight_of(layer)
        assert ((new == 0).sum(1) == int(sparsity * new.shape[1])).all()
        assert torch.equal(new[new != 0], old[new != 0])
    assert each_family.masked_zeros == (sparsity > 0)


def test_a_pattern_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel, windows: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(InputError, match=r"pattern=3:5 needs inputs in whole groups of 5; .*q_proj has 64"):
        compress(tiny_llama, Wanda(pattern="3:5"), windows, _silent)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())


@pytest.mark.parametrize("method", ["rtn", "rtn,symmetric=false", "hqq"])
def test_packed_weights_stay_packed_and_earlier_zeros_stay(
    tiny_llama: LanguageModel, windows: Tensor, method: str
) -> None:
    earlier = parse(f"prune:magnitude,sparsity=0.25 | quantize:{method},bits=4,group_size=16")
    apply_recipe(tiny_llama, earlier, windows, _silent)
    before = [weight_of(layer) for _, layer in tiny_llama.anatomy.linears()]
    compress(tiny_llama, Wanda(pattern="2:4"), windows, _silent)
    for (_, layer), old in zip(tiny_llama.anatomy.linears(), before, strict=True):
        assert isinstance(layer, PackedLinear)
        new = weight_of(layer)
        assert ((new == 0).view(-1, 4).sum(-1) >= 2).all()
        assert (new[old == 0] == 0).all()
        assert torch.equal(new[new != 0], old[new != 0])


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
