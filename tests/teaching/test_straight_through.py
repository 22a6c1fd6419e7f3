"""Training through the rounding: the gradient passes, the error falls, and what is kept is what happened."""

import pytest
import torch
from torch import Tensor

from engine.layers import grid
from engine.models import LanguageModel
from engine.spec.quantize import Rtn
from engine.teaching import straight_through
from engine.teaching.pack import EVERY, STEPS, Training, floats
from engine.teaching.straight_through import nearest, relative_error, squared_error

FRAMES = STEPS // EVERY + 1
LEARNT, HELDOUT = torch.randint(0, 256, (6, 32), generator=torch.Generator().manual_seed(1)).split((4, 2))


def quiet(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def made(tiny_llama: LanguageModel) -> Training:
    return straight_through.training(tiny_llama.anatomy, LEARNT, HELDOUT, quiet)


def test_the_gradient_of_the_points_reaches_the_real_weights_whole() -> None:
    weight = torch.tensor([[0.1, -0.9, 0.4, 0.35]], requires_grad=True)
    products = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    points = torch.tensor([[0.0, -1.0, 0.5, 0.5]])
    used = straight_through.straight_through(weight, points)
    assert used.equal(points)
    squared_error(used, weight.detach(), products).backward()
    alone = points.clone().requires_grad_(True)
    squared_error(alone, weight.detach(), products).backward()
    assert weight.grad is not None
    assert weight.grad.equal(alone.grad)
    assert weight.grad.abs().min() > 0


def test_an_error_is_that_of_the_outputs() -> None:
    seeded = torch.Generator().manual_seed(0)
    x, weight, points = (torch.randn(*shape, generator=seeded) for shape in ((9, 4), (3, 4), (3, 4)))
    expected = (x @ (points - weight).T).norm() / (x @ weight.T).norm()
    assert relative_error(points, weight, x.T @ x) == pytest.approx(float(expected), rel=1e-5)


def test_it_begins_at_rounding_to_nearest(made: Training, tiny_llama: LanguageModel) -> None:
    layer = dict(tiny_llama.anatomy.linears())[made.tensor]
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda module, args: seen.append(args[0].flatten(0, 1)))
    with torch.inference_mode():
        for tokens in (LEARNT, HELDOUT):
            tiny_llama.network(input_ids=tokens)
    hook.remove()
    weight = layer.get_parameter("weight")[: made.rows]
    for one in made.widths:
        rounded = grid.nearest(weight, Rtn(one.bits, made.group_size))
        for x, errors in zip(seen, (floats(one.learnt), floats(one.heldout)), strict=True):
            assert len(errors) == FRAMES
            assert errors[0] == pytest.approx(
                float((x @ (rounded - weight).T).norm() / (x @ weight.T).norm()), rel=1e-4
            )


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_where_inputs_go_together_the_error_falls_on_both_texts(bits: int) -> None:
    seeded = torch.Generator().manual_seed(bits)
    weight, mixed = torch.randn(16, 64, generator=seeded), torch.randn(8, 64, generator=seeded)
    x = torch.randn(800, 8, generator=seeded) @ mixed + 0.2 * torch.randn(800, 64, generator=seeded)
    made = straight_through.train(weight, x[:600].T @ x[:600], x[600:].T @ x[600:], bits, 64)
    for errors in (floats(made.learnt), floats(made.heldout)):
        assert errors[-1] < 0.8 * errors[0]
    assert made.gptq < 0.8 * floats(made.heldout)[0]


def test_the_weights_that_are_followed_are_real_and_change_their_point(
    made: Training, tiny_llama: LanguageModel
) -> None:
    weight = dict(tiny_llama.anatomy.linears())[made.tensor].get_parameter("weight")
    for one in made.widths:
        paths = torch.tensor(floats(one.paths)).view(len(one.columns), FRAMES)
        assert paths[:, 0].equal(weight[one.row, list(one.columns)])
        scales = torch.full((1, 1), one.scale, dtype=torch.float16)
        assert grid.rounded(weight[: made.rows], Rtn(one.bits, made.group_size)).scales[one.row].eq(scales).any()
        before, after = (nearest(paths[:, place].unsqueeze(0), scales, one.bits) for place in (0, -1))
        assert (before != after).all()
        assert 0 < one.moved < 1


def test_inputs_that_no_group_of_64_divides_have_one_grid_a_row() -> None:
    weight = torch.randn(8, 24, generator=torch.Generator().manual_seed(1))
    made = straight_through.train(weight, torch.eye(24), torch.eye(24), bits=3, group_size=-1)
    assert len(made.columns) == straight_through.WATCHED
    assert made.scale in grid.rounded(weight, Rtn(3, -1)).scales[made.row].tolist()
