from functools import partial

import pytest
import torch
from torch import Tensor, nn

from engine.methods import importance
from engine.methods.importance import block_scores, input_norms, largest, unit_scores
from engine.models import LanguageModel

WEIGHT = torch.tensor([[3.0, 1.0, 0.0, 2.0], [4.0, 1.0, 2.0, 0.0]])  # two outputs, four inputs
SEEN = torch.tensor([[3.0, 0.0, 1.0, 0.0], [4.0, 5.0, 1.0, 2.0]])  # two tokens: column norms 5, 5, sqrt(2), 2


class _Block:
    name = "only"

    def __init__(self) -> None:
        layer = nn.Linear(4, 2, bias=False)
        layer.weight = nn.Parameter(WEIGHT, requires_grad=False)
        self.linears: dict[str, nn.Module] = {"out": layer}


class _Model:
    """One block with one linear, which the walk shows the two tokens above."""

    def __init__(self) -> None:
        self.anatomy = type("Anatomy", (), {"blocks": [_Block()]})()


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> _Model:
    model = _Model()
    linear = model.anatomy.blocks[0].linears["out"]
    monkeypatch.setattr(importance, "walk", lambda anatomy, windows, report: [linear(row) for row in SEEN.split(1)])
    return model


@pytest.mark.parametrize(
    ("rule", "neurons", "heads"),
    [
        ("magnitude", [25, 2, 4, 4], [27, 8]),  # sums of the squared columns
        ("activation", [25, 25, 2, 4], [50, 6]),
        ("wanda", [625, 50, 8, 16], [675, 24]),
    ],
)
def test_scores_by_hand(by_hand: _Model, rule: str, neurons: list[float], heads: list[float]) -> None:
    for size, squares in ((1, neurons), (2, heads)):
        (scores,) = unit_scores(by_hand, "out", size, rule, torch.zeros(1, 2), quiet)  # type: ignore[arg-type]
        torch.testing.assert_close(scores, torch.tensor(squares, dtype=torch.float64).sqrt())


def test_taylor_by_hand(tiny_llama: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are summed over a unit and a window's tokens, then their absolute values over windows."""
    x = torch.zeros(2, 192)
    gradient = torch.zeros(2, 192)
    x[0, :3], x[1, :3] = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 0.0, 1.0])
    gradient[:, :3] = torch.tensor([[2.0, -1.0, 1.0], [-3.0, 5.0, 1.0]])

    def walk_back(anatomy, name, windows, report, visit) -> None:
        visit(0, x, gradient)  # products, over tokens: -1, -2, 4
        visit(0, x, -gradient)

    monkeypatch.setattr(importance, "walk_back", walk_back)
    neurons = unit_scores(tiny_llama, "mlp.down_proj", 1, "taylor", windows, quiet)[0]
    pairs = unit_scores(tiny_llama, "mlp.down_proj", 2, "taylor", windows, quiet)[0]
    assert neurons[:4].tolist() == [2, 4, 8, 0]
    assert pairs[:3].tolist() == [6, 8, 0]


def test_taylor_is_the_change_of_the_loss_when_a_unit_fades(tiny_llama: LanguageModel, windows: Tensor) -> None:
    """Against a finite difference: a head's output a little smaller changes a window's loss by its score's share."""
    scores = unit_scores(tiny_llama, "self_attn.o_proj", 8, "taylor", windows[:1], quiet)
    columns, step = tiny_llama.anatomy.blocks[1].linears["self_attn.o_proj"].weight.data[:, 24:32], 1e-2

    def loss() -> float:
        logits = tiny_llama.network(windows[:1]).logits[0, :-1].double()
        return float(nn.functional.cross_entropy(logits, windows[0, 1:]))

    columns *= 1 + step
    more = loss()
    columns *= (1 - step) / (1 + step)
    assert abs(more - loss()) / (2 * step) == pytest.approx(float(scores[1][3]), rel=1e-2)


def test_scores_of_blocks_are_norms_over_all_that_writes_to_the_stream(
    each_family: LanguageModel, windows: Tensor
) -> None:
    """In fp64, from what the network itself shows: weights, what they read, and how the stream changes."""
    block = each_family.anatomy.blocks[1]
    stream: list[Tensor] = []
    read: dict[str, Tensor] = {}
    hooks = [block.module.register_forward_hook(lambda module, args, out: stream.extend((args[0], out)))]
    for name, layer in block.writers.items():
        keep = partial(read.setdefault, name)
        hooks.append(layer.register_forward_pre_hook(lambda module, args, keep=keep: keep(args[0])))
    each_family.network(windows)
    for hook in hooks:
        hook.remove()
    weights = {name: layer.weight.double() for name, layer in block.writers.items()}
    weighted = [weight * read[name].double().flatten(0, 1).norm(dim=0) for name, weight in weights.items()]
    expected = {
        "magnitude": torch.cat([weight.flatten() for weight in weights.values()]).norm(),
        "activation": (stream[1].double() - stream[0].double()).norm(),
        "wanda": torch.cat([each.flatten() for each in weighted]).norm(),
    }
    for rule, score in expected.items():
        found = block_scores(each_family, rule, windows, quiet)
        assert found.shape == (4,)
        torch.testing.assert_close(found[1], score, rtol=1e-5, atol=0)


def test_taylor_of_a_block_is_the_change_of_the_loss_when_it_fades(tiny_llama: LanguageModel, windows: Tensor) -> None:
    """Against a finite difference: all that the block adds to the stream a little larger, and a little smaller."""
    scores = block_scores(tiny_llama, "taylor", windows[:2], quiet)
    module, factor = tiny_llama.anatomy.blocks[2].module, 1.0
    module.register_forward_hook(lambda module, args, out: args[0] + factor * (out - args[0]))

    def losses() -> Tensor:
        logits = tiny_llama.network(windows[:2]).logits[:, :-1].double()
        return nn.functional.cross_entropy(logits.transpose(1, 2), windows[:2, 1:], reduction="none").mean(1)

    factor = 1.01
    more = losses()
    factor = 0.99
    assert float(((more - losses()) / 0.02).abs().sum()) == pytest.approx(float(scores[2]), rel=1e-2)


@pytest.mark.parametrize("rule", ["activation", "wanda", "taylor"])
def test_what_reads_data_says_that_it_needs_some(tiny_llama: LanguageModel, rule: str) -> None:
    with pytest.raises(ValueError, match=f"importance={rule} needs calibration windows"):
        unit_scores(tiny_llama, "mlp.down_proj", 1, rule, None, quiet)
    with pytest.raises(ValueError, match=f"importance={rule} needs calibration windows"):
        block_scores(tiny_llama, rule, None, quiet)


def test_of_equal_scores_the_earlier_stay_and_the_order_is_kept() -> None:
    assert largest(torch.tensor([1.0, 5.0, 1.0, 7.0, 1.0]), 3).tolist() == [0, 1, 3]


def test_input_norms_are_those_of_the_layer(tiny_llama: LanguageModel, windows: Tensor) -> None:
    block = tiny_llama.anatomy.blocks[0]
    seen = []
    hook = block.linears["mlp.gate_proj"].register_forward_pre_hook(
        lambda module, args: seen.append(args[0].flatten(0, 1))
    )
    found = input_norms(tiny_llama.anatomy, {"gate": block.linears["mlp.gate_proj"]}, windows, quiet)
    hook.remove()
    torch.testing.assert_close(found["gate"], torch.cat(seen).norm(dim=0))


def quiet(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
