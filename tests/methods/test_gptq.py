import pytest
import torch
from torch import Tensor

from engine.blocks.hessian import add_products, inverse_factor, mirrored
from engine.errors import InputError
from engine.layers.grid import round_asymmetric, round_symmetric
from engine.layers.packed_embedding import PackedEmbedding
from engine.layers.packed_matrix import PackedMatrix
from engine.layers.weight import weight_of
from engine.methods import compress as apply_recipe
from engine.methods.gptq import compress, quantize
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.quantize import Gptq


def by_the_paper(weight: Tensor, x: Tensor, settings: Gptq, damping: float = 0.01) -> Tensor:
    """Equations 2 and 3 in fp64, one column at a time: the inverse Hessian loses a row and a column with each."""
    left, hessian = weight.double().clone(), x.double().T @ x.double()
    size, columns = settings.group_size, weight.shape[1]
    order = hessian.diagonal().argsort(descending=True).tolist() if settings.act_order else list(range(columns))
    inverse = torch.linalg.inv(hessian + damping * hessian.diagonal().mean() * torch.eye(columns).double())
    static = {g: grid(weight[:, g * size : (g + 1) * size], settings) for g in range(columns // size)}
    for place, j in enumerate(order):
        group = j // size
        if not settings.act_order and j % size == 0:
            static[group] = grid(left[:, j : j + size].float(), settings)
        scale, zero = static[group]
        code = ((left[:, j] / scale).round() + zero).clamp(0, 2**settings.bits - 1)
        error = (left[:, j] - (code - zero) * scale) / inverse[j, j]
        later = order[place:]
        left[:, later] -= error[:, None] * inverse[j, later]
        left[:, j] = (code - zero) * scale
        inverse -= inverse[:, [j]] @ inverse[[j], :] / inverse[j, j]
    return left


def grid(weight: Tensor, settings: Gptq) -> tuple[Tensor, Tensor]:
    """(scales, zero points) of one group, in fp64 [rows]."""
    round_rows = round_symmetric if settings.symmetric else round_asymmetric
    fitted = round_rows(weight.contiguous(), settings.bits, weight.shape[1])
    zeros = torch.tensor(2 ** (settings.bits - 1)) if fitted.zeros is None else fitted.zeros[:, 0]
    return fitted.scales[:, 0].double(), zeros.double()


def restored(weight: Tensor, x: Tensor, settings: Gptq, keep_zeros: bool = False) -> Tensor:
    codes = quantize(weight, mirrored(add_products(None, x)), settings, keep_zeros)
    return PackedMatrix.from_codes(*codes, bits=settings.bits).dequantize()


def correlated(tokens: int, columns: int, seed: int = 0) -> Tensor:
    """Inputs that share directions, as activations do, some much larger than others."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator) + 2 * torch.eye(columns)
    return (torch.randn(tokens, columns, generator=generator) @ mixing) * torch.linspace(0.2, 2, columns)


@pytest.mark.parametrize("act_order", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "group_size"), [(4, 16), (3, 48), (2, 96)])
def test_the_weights_are_the_papers(bits: int, group_size: int, symmetric: bool, act_order: bool) -> None:
    weight, x = torch.randn(24, 96, generator=torch.Generator().manual_seed(bits)), correlated(400, 96)
    settings = Gptq(bits=bits, group_size=group_size, symmetric=symmetric, act_order=act_order)
    ours, theirs = restored(weight, x, settings).double(), by_the_paper(weight, x, settings)
    same = (ours - theirs).abs() < 1e-3
    assert same.float().mean() > 0.99  # a weight halfway between two points may fall to the other in fp32
    assert squared_error(ours, weight, x) == pytest.approx(squared_error(theirs, weight, x), rel=0.01)


def squared_error(changed: Tensor, weight: Tensor, x: Tensor) -> float:
    return float((x.double() @ (changed.double() - weight.double()).T).square().sum())


@pytest.mark.parametrize("act_order", [True, False])
def test_outputs_change_less_than_by_rounding_to_nearest(act_order: bool) -> None:
    weight, x = torch.randn(24, 96, generator=torch.Generator().manual_seed(0)), correlated(400, 96)
    nearest = PackedMatrix.from_codes(*round_symmetric(weight, 4, 32), bits=4).dequantize()
    ours = restored(weight, x, Gptq(bits=4, group_size=32, act_order=act_order))
    assert squared_error(ours, weight, x) < 0.8 * squared_error(nearest, weight, x)


def test_inputs_that_do_not_correlate_are_rounded_to_nearest() -> None:
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    codes = quantize(weight, torch.eye(32) * 5, Gptq(bits=4, group_size=16))
    nearest = round_symmetric(weight, 4, 16)
    assert torch.equal(codes.codes, nearest.codes)
    assert torch.equal(codes.scales, nearest.scales)


def test_an_input_that_is_never_used_is_rounded_to_nearest_and_moves_nothing() -> None:
    weight, x = torch.randn(8, 32, generator=torch.Generator().manual_seed(0)), correlated(100, 32)
    x[:, [3, 20]] = 0.0
    settings = Gptq(bits=4, group_size=32)
    ours = quantize(weight, mirrored(add_products(None, x)), settings)
    nearest = round_symmetric(weight, 4, 32)
    assert torch.equal(ours.codes[:, [3, 20]], nearest.codes[:, [3, 20]])
    moved = weight.clone()
    moved[:, [3, 20]] *= 0.5  # within the group's range: the grid stays
    assert torch.equal(ours.scales, round_symmetric(moved, 4, 32).scales)
    others = [j for j in range(32) if j not in (3, 20)]
    again = quantize(moved, mirrored(add_products(None, x)), settings)
    assert torch.equal(again.codes[:, others], ours.codes[:, others])


def test_fewer_tokens_than_inputs_are_enough() -> None:
    weight, x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0)), correlated(10, 64)
    assert restored(weight, x, Gptq(bits=4, group_size=32)).isfinite().all()


def test_the_factor_is_that_of_the_damped_inverse() -> None:
    x = correlated(300, 40)
    hessian = mirrored(add_products(add_products(None, x[:100]), x[100:]))
    torch.testing.assert_close(hessian.double(), x.double().T @ x.double(), rtol=1e-5, atol=1e-2)
    factor = inverse_factor(hessian, 0.05).double()
    assert torch.equal(factor, factor.triu())
    damped = hessian.double() + 0.05 * hessian.double().diagonal().mean() * torch.eye(40)
    torch.testing.assert_close(factor.T @ factor @ damped, torch.eye(40).double(), rtol=0, atol=1e-4)


def test_zeros_that_no_step_made_may_move(tiny_llama: LanguageModel, windows: Tensor) -> None:
    apply_recipe(tiny_llama, parse("quantize:rtn,bits=2,group_size=16"), windows, _silent)
    zero = [weight_of(layer) == 0 for _, layer in tiny_llama.anatomy.linears()]
    compress(tiny_llama, Gptq(bits=4, group_size=64), windows, _silent)
    after = [weight_of(layer) for _, layer in tiny_llama.anatomy.linears()]
    assert any((new[old] != 0).any() for new, old in zip(after, zero, strict=True))


def test_linears_that_read_the_same_inputs_are_quantized_each_by_itself(
    tiny_llama: LanguageModel, windows: Tensor
) -> None:
    """Together or alone, the rows of the first block's query, key and value come out the same."""
    block = tiny_llama.anatomy.blocks[0]
    weights = {name: weight_of(layer).clone() for name, layer in block.attention_in.items()}
    seen: list[Tensor] = []
    hook = block.input_norm.register_forward_hook(lambda module, args, output: seen.append(output.flatten(0, 1)))
    compress(tiny_llama, Gptq(bits=3, group_size=16), windows, _silent)
    hook.remove()
    for name, layer in block.attention_in.items():
        assert torch.equal(weight_of(layer), restored(weights[name], seen[-1], Gptq(bits=3, group_size=16))), name


def test_the_tables_are_rounded_to_nearest(tiny_llama: LanguageModel, windows: Tensor) -> None:
    table = weight_of(tiny_llama.anatomy.embedding).clone()
    compress(tiny_llama, Gptq(bits=8, group_size=32, targets=("linears", "embedding")), windows, _silent)
    embedding = tiny_llama.anatomy.embedding
    assert isinstance(embedding, PackedEmbedding)
    nearest = PackedMatrix.from_codes(*round_symmetric(table, 8, 32), bits=8)
    assert torch.equal(embedding.matrix.dequantize(), nearest.dequantize())
    assert tiny_llama.anatomy.tied


def test_a_group_size_that_does_not_divide_changes_nothing(tiny_llama: LanguageModel, windows: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    with pytest.raises(InputError, match=r"group_size=40 does not divide the 64 inputs of .*q_proj"):
        compress(tiny_llama, Gptq(group_size=40), windows, _silent)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
