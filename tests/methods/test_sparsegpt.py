import pytest
import torch
from torch import Tensor

from engine.blocks.hessian import add_products, mirrored
from engine.errors import InputError
from engine.layers.packed_linear import PackedLinear
from engine.layers.weight import weight_of
from engine.methods import compress as apply_recipe
from engine.methods.sparsegpt import compress, prune
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.prune import SparseGpt


def by_the_paper(weight: Tensor, x: Tensor, settings: SparseGpt) -> Tensor:
    """Algorithm 1 in fp64, one column at a time: the inverse Hessian loses a row and a column with each."""
    left, hessian = weight.double().clone(), x.double().T @ x.double()
    columns = weight.shape[1]
    inverse = torch.linalg.inv(hessian + settings.damping * hessian.diagonal().mean() * torch.eye(columns).double())
    # what the diagonal of the inverse is when each column's turn comes, all columns before it gone
    turns = [torch.linalg.inv(torch.linalg.inv(inverse)[j:, j:])[0, 0] for j in range(columns)]
    width = settings.pattern_shape[1] if settings.pattern_shape else 128
    drop = torch.zeros_like(weight, dtype=torch.bool)
    for j in range(columns):
        if j % width == 0:
            costs = left[:, j : j + width].square() / torch.stack(turns[j : j + width])
            drop[:, j : j + width] = chosen(costs, settings)
        error = torch.where(drop[:, j], left[:, j], 0.0) / inverse[j, j]
        left[:, j:] -= error[:, None] * inverse[j, j:]
        left[drop[:, j], j] = 0.0
        inverse -= inverse[:, [j]] @ inverse[[j], :] / inverse[j, j]
    return left


def chosen(costs: Tensor, settings: SparseGpt) -> Tensor:
    mask = torch.zeros_like(costs, dtype=torch.bool)
    if settings.pattern_shape is None:
        count = int((settings.sparsity or 0) * costs.numel())
        mask.view(-1)[costs.flatten().argsort()[:count]] = True
        return mask
    kept, size = settings.pattern_shape
    return mask.scatter(1, costs.argsort(1)[:, : size - kept], True)


def correlated(tokens: int, columns: int) -> Tensor:
    """Inputs that share directions, as activations do, some much larger than others."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(columns, columns, generator=generator) + 2 * torch.eye(columns)
    return (torch.randn(tokens, columns, generator=generator) @ mixing) * torch.linspace(0.2, 2, columns)


def hessian_of(x: Tensor) -> Tensor:
    return mirrored(add_products(None, x))


@pytest.mark.parametrize(
    "settings",
    [
        *(SparseGpt(sparsity=0.5), SparseGpt(sparsity=0.3), SparseGpt(sparsity=0.7, damping=0.2)),
        *(SparseGpt(pattern=pattern) for pattern in ("2:4", "1:4", "3:8", "40:64")),
    ],
)
def test_the_weights_are_the_papers(settings: SparseGpt) -> None:
    weight, x = torch.randn(16, 256, generator=torch.Generator().manual_seed(1)), correlated(1000, 256)
    ours, theirs = prune([weight], hessian_of(x), settings)[0].double(), by_the_paper(weight, x, settings)
    assert ((ours == 0) == (theirs == 0)).float().mean() > 0.999  # of costs equal in fp32 the other may go
    close = (ours - theirs).abs() < 1e-3
    assert close.float().mean() > 0.99
    assert squared_error(ours, weight, x) == pytest.approx(squared_error(theirs, weight, x), rel=0.01)


def squared_error(changed: Tensor, weight: Tensor, x: Tensor) -> float:
    return float((x.double() @ (changed.double() - weight.double()).T).square().sum())


def test_linears_compete_within_themselves() -> None:
    generator = torch.Generator().manual_seed(0)
    small, large = torch.randn(8, 64, generator=generator) / 100, torch.randn(12, 64, generator=generator)
    hessian = hessian_of(correlated(200, 64))
    together = prune([small, large], hessian, SparseGpt(sparsity=0.5))
    alone = [prune([weight], hessian, SparseGpt(sparsity=0.5))[0] for weight in (small, large)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)
        assert int((one == 0).sum()) == one.numel() // 2


@pytest.mark.parametrize("sparsity", [0.0, 0.123, 0.9])
def test_exactly_the_stated_share_of_every_linear(each_family: LanguageModel, windows: Tensor, sparsity: float) -> None:
    compress(each_family, SparseGpt(sparsity=sparsity), windows, _silent)
    for _, layer in each_family.anatomy.linears():
        weight = weight_of(layer)
        assert int((weight == 0).sum()) == int(sparsity * weight.numel())
    assert each_family.masked_zeros == (sparsity > 0)


def test_inputs_that_are_never_used_go_first() -> None:
    weight, x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)), correlated(200, 64)
    x[:, [5, 40]] = 0.0
    pruned = prune([weight], hessian_of(x), SparseGpt(sparsity=2 / 64))[0]
    assert (pruned[:, [5, 40]] == 0).all()
    others = [j for j in range(64) if j not in (5, 40)]
    assert torch.equal(pruned[:, others], weight[:, others])


def test_what_is_zero_stays_zero_and_counts(tiny_llama: LanguageModel, windows: Tensor) -> None:
    apply_recipe(tiny_llama, parse("prune:magnitude,sparsity=0.25"), windows, _silent)
    before = [weight_of(layer).clone() for _, layer in tiny_llama.anatomy.linears()]
    compress(tiny_llama, SparseGpt(sparsity=0.5), windows, _silent)
    for (_, layer), old in zip(tiny_llama.anatomy.linears(), before, strict=True):
        new = weight_of(layer)
        assert (new[old == 0] == 0).all()
        assert int((new == 0).sum()) == new.numel() // 2


def test_packed_matrices_become_plain_and_a_note_says_so(tiny_llama: LanguageModel, windows: Tensor) -> None:
    recipe = parse("quantize:rtn,bits=8,targets=linears+embedding | prune:sparsegpt,pattern=2:4")
    apply_recipe(tiny_llama, recipe, windows, _silent)
    assert not any(isinstance(layer, PackedLinear) for _, layer in tiny_llama.anatomy.linears())
    assert tiny_llama.notes == [
        "Step 2: This step changes 28 matrices that an earlier step had packed; they are stored in bf16 again."
    ]


def test_a_pattern_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel, windows: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(InputError, match=r"pattern=3:5 needs inputs in whole groups of 5; .*q_proj has 64"):
        compress(tiny_llama, SparseGpt(pattern="3:5"), windows, _silent)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
