from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from engine.blocks import walk
from engine.blocks.walk import compress_blocks, windows_at_once
from engine.layers.weight import plain_linear, weight_of
from engine.methods import compress
from engine.models import LanguageModel
from engine.spec import parse

Seen = dict[str, Tensor]


def keep(inputs: list[Tensor] | None, x: Tensor) -> list[Tensor]:
    return [*(inputs or []), x.clone()]


def quietly(done: int, total: int) -> None:
    assert 0 <= done <= total


def halved(seen: list[tuple[tuple[str, ...], Tensor]]):
    """A rule that halves every weight, noting which linears it was given together and their inputs."""

    def rule(layers: Mapping[str, nn.Module], inputs: list[Tensor]) -> Mapping[str, nn.Module]:
        seen.append((tuple(layers), torch.cat(inputs)))
        return {name: plain_linear(weight_of(layer) / 2) for name, layer in layers.items()}

    return rule


@pytest.mark.parametrize("together", [walk.TOGETHER, 2 * 32 * 192])
def test_every_linear_sees_what_the_compressed_network_gives_it(
    monkeypatch: pytest.MonkeyPatch, tiny_llama: LanguageModel, windows: Tensor, together: int
) -> None:
    monkeypatch.setattr(walk, "TOGETHER", together)
    seen: list[tuple[tuple[str, ...], Tensor]] = []
    compress_blocks(tiny_llama.anatomy, windows, keep, halved(seen), quietly)
    names = ("self_attn.o_proj",), ("mlp.gate_proj", "mlp.up_proj"), ("mlp.down_proj",)
    assert [group for group, _ in seen[:4]] == [tuple(f"self_attn.{x}_proj" for x in "qkv"), *names]
    assert len(seen) == 16
    read = {name: [] for name, _ in tiny_llama.anatomy.linears()}
    for name, layer in tiny_llama.anatomy.linears():
        layer.register_forward_pre_hook(lambda module, args, name=name: read[name].append(args[0].flatten(0, 1)))
    tiny_llama.network(windows)
    for number, (group, inputs) in enumerate(seen):
        for name in group:
            torch.testing.assert_close(inputs, torch.cat(read[f"model.layers.{number // 4}.{name}"]))


def test_the_network_is_whole_again_and_its_linears_are_the_successors(
    each_family: LanguageModel, windows: Tensor
) -> None:
    before = [(name, weight_of(layer).clone()) for name, layer in each_family.anatomy.linears()]
    names = [name for name, _ in each_family.network.named_modules()]
    compress_blocks(each_family.anatomy, windows, keep, halved([]), quietly)
    assert [name for name, _ in each_family.network.named_modules()] == names
    for (name, layer), (_, old) in zip(each_family.anatomy.linears(), before, strict=True):
        torch.testing.assert_close(weight_of(layer), old / 2, msg=name)


def test_a_rule_that_fails_leaves_the_network_whole(tiny_llama: LanguageModel, windows: Tensor) -> None:
    expected = tiny_llama.network(windows).logits

    def fails(layers: Mapping[str, nn.Module], inputs: list[Tensor]) -> Mapping[str, nn.Module]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        compress_blocks(tiny_llama.anatomy, windows, keep, fails, quietly)
    assert torch.equal(tiny_llama.network(windows).logits, expected)


def test_all_windows_run_together_only_within_the_bound(
    monkeypatch: pytest.MonkeyPatch, tiny_llama: LanguageModel, windows: Tensor
) -> None:
    assert windows_at_once(tiny_llama.anatomy, windows) == 4
    monkeypatch.setattr(walk, "TOGETHER", 3 * 32 * 192 - 1)  # the widest linear reads 192
    assert windows_at_once(tiny_llama.anatomy, windows) == 2
    monkeypatch.setattr(walk, "TOGETHER", 1)
    assert windows_at_once(tiny_llama.anatomy, windows) == 1


@pytest.mark.parametrize("recipe", ["prune:wanda,sparsity=0.5", "quantize:gptq,bits=3,group_size=16,damping=1"])
def test_batches_give_the_same_result(
    monkeypatch: pytest.MonkeyPatch, tiny_model, windows: Tensor, recipe: str
) -> None:
    weights = []
    for together in (walk.TOGETHER, 2 * 32 * 192):
        monkeypatch.setattr(walk, "TOGETHER", together)
        model = tiny_model("llama")
        compress(model, parse(recipe), windows, lambda *_: None)
        weights.append(torch.cat([weight_of(layer).flatten() for _, layer in model.anatomy.linears()]))
    same = (weights[0] - weights[1]).abs() < 1e-3
    assert same.float().mean() > 0.95  # the order of sums decides where two choices are equal
