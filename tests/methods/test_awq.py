import pytest
import torch
from torch import Tensor

from engine.blocks.hessian import mirrored
from engine.errors import InputError
from engine.layers.grid import rounded
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.weight import weight_of
from engine.methods import awq
from engine.methods.awq import add_inputs, alike_in_groups, best_factors, clipped, compress, fold, powers
from engine.models import LanguageModel
from engine.network.anatomy import Block
from engine.spec import parse
from engine.spec.quantize import Awq, Rtn
from tests.test_families import divide_inputs


def by_the_paper(weight: Tensor, x: Tensor, grid: Rtn) -> Tensor:
    """Equations 4 and 5 and the clipping, in fp64 with the inputs themselves: weights in the scale of the inputs."""
    weight, x = weight.double(), x.double()
    means = x.abs().mean(0)
    tried = []
    for step in range(20):
        logs = torch.log2(means ** (step / 20))
        s = 2.0 ** (logs - (logs.max() + logs.min()) / 2).round()
        tried.append((float((x @ (on_grid(weight * s, grid) / s - weight).T).square().sum()), s))
    s = min(tried, key=lambda pair: pair[0])[1]
    scaled, inputs = weight * s, x / s
    for row in range(len(weight)):
        for start in range(0, weight.shape[1], grid.group_size):
            part = slice(start, start + grid.group_size)
            scaled[row, part] = best_cut(scaled[row, part].clone(), inputs[:, part], grid)
    return on_grid(scaled, grid) / s


def best_cut(group: Tensor, x: Tensor, grid: Rtn) -> Tensor:
    """A group [group_size] clipped to the share of its range whose rounding changes x . group least."""
    low, high = min(0, group.min()), max(0, group.max())
    if grid.symmetric:
        low, high = -max(high, -low), max(high, -low)
    cuts = [group.clamp(share * low, share * high) for share in shares()]
    return min(cuts, key=lambda cut: float((x @ (on_grid(cut[None], grid)[0] - group)).square().sum()))


def shares() -> list[float]:
    return [1 - step / 20 for step in range(10)]


def on_grid(weight: Tensor, grid: Rtn) -> Tensor:
    return PackedMatrix.from_codes(*rounded(weight.float(), grid), bits=grid.bits).dequantize().double()


def ours(weight: Tensor, x: Tensor, grid: Rtn, clip: bool = True) -> Tensor:
    """What the method makes of one linear, in the scale of its unscaled inputs."""
    inputs = add_inputs(add_inputs(None, x[:50]), x[50:])
    hessian = mirrored(inputs.products)
    factors = best_factors(weight, hessian, inputs.magnitudes, grid)
    scaled = weight * factors
    if clip:
        scaled = clipped(scaled, hessian / torch.outer(factors, factors), grid)
    return on_grid(scaled, grid) / factors


def some_of_them_large(tokens: int, columns: int, seed: int = 0) -> Tensor:
    """Inputs of which a few are much larger than the others, as activations are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) / 4 + torch.eye(columns)
    return (torch.randn(tokens, columns, generator=generator) @ mixing) * torch.logspace(-1, 1.5, columns)


def salient(tokens: int, columns: int) -> Tensor:
    """Independent inputs, one in 16 of which is much larger than the others."""
    x = torch.randn(tokens, columns, generator=torch.Generator().manual_seed(0))
    x[:, ::16] *= 20
    return x


def squared_error(changed: Tensor, weight: Tensor, x: Tensor) -> float:
    return float((x.double() @ (changed.double() - weight.double()).T).square().sum())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "group_size"), [(4, 16), (3, 48), (2, 96)])
def test_the_weights_are_the_papers(bits: int, group_size: int, symmetric: bool) -> None:
    weight, x = torch.randn(24, 96, generator=torch.Generator().manual_seed(bits)), some_of_them_large(300, 96)
    grid = Rtn(bits, group_size, symmetric)
    mine, theirs = ours(weight, x, grid), by_the_paper(weight, x, grid)
    assert torch.isclose(mine, theirs, rtol=1e-4, atol=1e-5).float().mean() > 0.99  # a tie may fall to the other side
    assert squared_error(mine, weight, x) == pytest.approx(squared_error(theirs, weight, x), rel=0.01)


@pytest.mark.parametrize("symmetric", [True, False])
def test_scaling_and_then_clipping_bring_the_outputs_closer(symmetric: bool) -> None:
    weight, x = torch.randn(24, 96, generator=torch.Generator().manual_seed(0)), salient(300, 96)
    grid = Rtn(3, 32, symmetric)
    nearest, scaled, cut = on_grid(weight, grid), ours(weight, x, grid, clip=False), ours(weight, x, grid)
    errors = [squared_error(changed, weight, x) for changed in (nearest, scaled, cut)]
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < errors[1]


def test_the_factors_are_powers_of_two_about_one() -> None:
    assert powers(torch.tensor([1.0, 4.0, 16.0]), 0.5).tolist() == [0.5, 1.0, 2.0]
    assert powers(torch.tensor([3.0, 5.0, 100.0]), 0.0).tolist() == [1.0, 1.0, 1.0]
    assert powers(torch.tensor([0.0, 7.0]), 0.95).isfinite().all()


def test_inputs_alike_are_left_as_they_are() -> None:
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    assert best_factors(weight, 5 * torch.eye(32), torch.ones(32), Rtn(4, 16)).tolist() == [1.0] * 32


def test_a_range_is_cut_where_what_it_was_for_is_hardly_used() -> None:
    group = torch.tensor([-5.0, 2.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0])
    used = torch.ones(16)
    used[0] = 0.0  # of the first group, but not of the second
    cut = clipped(group.repeat(2).unsqueeze(0), torch.diag(used), Rtn(2, 8, True))
    assert cut[0, :8].tolist() == [-4.0, 2.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0]  # on the points -4, -2, 0 and 2
    assert cut[0, 8:].tolist() == [-4.5, 2.0, 2.0, -2.0, 0.0, 0.0, 0.0, 0.0]


def test_query_heads_that_read_one_value_head_have_one_factor() -> None:
    magnitudes = torch.tensor([1.0, 2.0, 3.0, 6.0, 10.0, 20.0, 30.0, 40.0])  # 4 heads of 2, in groups of 2
    assert alike_in_groups(magnitudes, 2, 2).tolist() == [2.0, 4.0, 2.0, 4.0, 20.0, 30.0, 20.0, 30.0]


def test_folding_factors_changes_no_bit_of_the_logits(each_family: LanguageModel, windows: Tensor) -> None:
    expected = each_family.network(windows).logits
    generator = torch.Generator().manual_seed(0)
    for block in each_family.anatomy.blocks:
        before = block.input_norm.get_parameter("weight").clone()
        divide_inputs(block, generator)
        fold(block)
        assert not torch.equal(block.input_norm.get_parameter("weight"), before)
    assert torch.equal(each_family.network(windows).logits, expected)


@pytest.mark.parametrize("family", ["gemma", "gemma2", "gemma3_text"])
def test_no_gain_that_is_stored_less_1_becomes_smaller(tiny_model, windows: Tensor, family: str) -> None:
    """Near -1 bf16 has two digits only: the gains of much used inputs would lose what the others keep."""
    model = tiny_model(family)
    model.anatomy.embedding.weight.data[:, ::16] *= 16
    norms = [norm for block in model.anatomy.blocks for norm, _ in block.readers]
    before = [1 + norm.weight.detach().clone() for norm in norms]
    compress(model, Awq(bits=8, group_size=16), windows, _silent)
    ratios = [(1 + norm.weight) / gain for norm, gain in zip(norms, before, strict=True)]
    assert min(float(ratio.min()) for ratio in ratios) > 0.999
    assert max(float(ratio.max()) for ratio in ratios) > 3.9


def test_linears_were_calibrated_on_what_the_folded_network_gives_them(
    monkeypatch: pytest.MonkeyPatch, each_family: LanguageModel, windows: Tensor
) -> None:
    seen: list[Tensor] = []
    factors: list[Tensor] = []

    def gathers(before, x: Tensor):
        seen.append(x.clone())
        return add_inputs(before, x)

    def folds(block: Block) -> None:
        factors.extend(next(iter(layers.values())).factors for layers in block.groups)
        fold(block)

    for block in each_family.anatomy.blocks:
        for giver, _ in block.layout.givers:
            weight = block.module.get_submodule(giver).get_parameter("weight")
            weight.mul_(torch.logspace(-1, 1, len(weight)).view(-1, *[1] * (weight.dim() - 1)))
    monkeypatch.setattr(awq, "add_inputs", gathers)
    monkeypatch.setattr(awq, "fold", folds)
    compress(each_family, Awq(bits=3, group_size=16), windows, _silent)
    read: list[Tensor] = []
    for block in each_family.anatomy.blocks:
        for layers in block.groups:
            first = next(iter(layers.values()))
            first.register_forward_pre_hook(lambda module, args: read.append(args[0].flatten(0, 1)))
    each_family.network(windows)
    assert len(read) == len(seen) == 16
    assert all(any((each != 1).any() for each in factors[group::4]) for group in range(4))
    for now, then, divided in zip(read, seen, factors, strict=True):
        torch.testing.assert_close(now, then / divided)


def test_the_tables_are_rounded_to_nearest(tiny_llama: LanguageModel, windows: Tensor) -> None:
    table = weight_of(tiny_llama.anatomy.embedding).clone()
    compress(tiny_llama, Awq(bits=8, group_size=32, targets=("linears", "embedding")), windows, _silent)
    embedding = tiny_llama.anatomy.embedding
    assert isinstance(embedding, PackedEmbedding)
    assert torch.equal(embedding.matrix.dequantize().double(), on_grid(table, Rtn(8, 32)))
    assert tiny_llama.anatomy.tied


def test_tables_alone_are_refused() -> None:
    with pytest.raises(InputError, match="targets=head leaves AWQ nothing to do"):
        parse("quantize:awq,targets=head")


def test_a_group_size_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel, windows: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(InputError, match=r"group_size=40 does not divide the 64 inputs of .*q_proj"):
        compress(tiny_llama, Awq(group_size=40), windows, _silent)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
