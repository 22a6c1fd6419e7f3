"""Statistics of the model before a step: what they are, that one pass serves many settings, what is kept."""

import copy
from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from engine.blocks import products
from engine.blocks.products import compress_from_products
from engine.errors import InputError
from engine.methods import compress
from engine.models import LanguageModel
from engine.paths import cache_dir
from engine.spec import parse

WINDOWS = torch.randint(0, 250, (3, 16), generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))


def kept() -> list[Path]:
    return sorted((cache_dir() / "products").iterdir())


def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever the model is run for its statistics."""
    runs: list[int] = []
    walk = products.compress_blocks

    def counted(*given: object) -> None:
        runs.append(1)
        walk(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(products, "compress_blocks", counted)
    return runs


def test_dense_statistics_are_of_the_model_before_the_step(each_family: LanguageModel) -> None:
    """Each linear gets X^T X of its inputs in the untouched model, though those before it are zeroed by then."""
    expected: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, given: tuple[Tensor]) -> None:
        x = given[0].flatten(0, -2)
        expected[layer] = x.T @ x

    for _, layer in each_family.anatomy.linears():
        layer.register_forward_pre_hook(note)
    with torch.no_grad():
        each_family.network(WINDOWS)
    seen: list[nn.Module] = []

    def zeroed(layers: Mapping[str, nn.Module], found: Tensor) -> Mapping[str, nn.Module]:
        for layer in layers.values():
            torch.testing.assert_close(found, expected[layer].triu(), rtol=1e-4, atol=1e-4)
            seen.append(layer)
        return {name: nn.Linear(layer.in_features, layer.out_features, bias=False) for name, layer in layers.items()}

    compress_from_products(each_family.anatomy, WINDOWS, "dense", zeroed, lambda *_: None)
    assert seen == list(expected)


def test_one_pass_serves_all_settings_of_all_methods(
    tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = passes(monkeypatch)
    gptq = "quantize:gptq,group_size=32"
    for step in (f"{gptq},bits=4", f"{gptq},bits=3", "prune:sparsegpt,pattern=2:4"):
        compress(copy.deepcopy(tiny_llama), parse(f"{step},statistics=dense"), WINDOWS, lambda *_: None)
    assert len(runs) == 1
    assert len(kept()) == 1


def test_other_weights_tokens_or_roundings_of_the_cache_have_statistics_of_their_own(
    tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, recipe = passes(monkeypatch), parse("quantize:gptq,bits=4,group_size=32,statistics=dense")
    compress(copy.deepcopy(tiny_llama), recipe, WINDOWS, lambda *_: None)
    compress(copy.deepcopy(tiny_llama), recipe, WINDOWS.flip(0), lambda *_: None)
    rounded = parse(f"quantize:kv_cache,bits=2,group_size=8 | {recipe.text}")  # changes no weight
    compress(copy.deepcopy(tiny_llama), rounded, WINDOWS, lambda *_: None)
    tiny_llama.anatomy.final_norm.weight.data[0] += 1
    compress(tiny_llama, recipe, WINDOWS, lambda *_: None)
    assert len(runs) == len(kept()) == 4


def test_what_is_kept_stays_within_its_budget(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "BUDGET_BYTES", 10)
    recipe = parse("quantize:gptq,bits=4,group_size=32,statistics=dense")
    compress(copy.deepcopy(tiny_llama), recipe, WINDOWS, lambda *_: None)
    (first,) = kept()
    compress(copy.deepcopy(tiny_llama), recipe, WINDOWS.flip(0), lambda *_: None)
    assert len(kept()) == 1
    assert kept() != [first]


def test_a_pass_that_fails_leaves_nothing(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(products, "save_file", full)
    recipe = parse("prune:sparsegpt,sparsity=0.5,statistics=dense")
    with pytest.raises(OSError, match="No space left"):
        compress(tiny_llama, recipe, WINDOWS, lambda *_: None)
    assert not kept()


@pytest.mark.parametrize(
    "content",
    [
        b"not tensors",
        safetensors.torch.save({"upper": torch.ones(100)}),
        safetensors.torch.save({"upper": torch.full((64 * 65 // 2,), torch.nan)}),
        safetensors.torch.save({"upper": torch.ones(64 * 65 // 2, dtype=torch.int64)}),
        safetensors.torch.save({"other": torch.ones(64 * 65 // 2)}),
    ],
    ids=["bytes", "short", "nan", "whole numbers", "unnamed"],
)
def test_damaged_statistics_are_deleted_in_one_sentence(tiny_llama: LanguageModel, content: bytes) -> None:
    recipe = parse("prune:sparsegpt,sparsity=0.5,statistics=dense")
    compress(copy.deepcopy(tiny_llama), recipe, WINDOWS, lambda *_: None)
    next(file for file in kept()[0].iterdir() if "q_proj" in file.name).write_bytes(content)
    with pytest.raises(InputError, match="damaged; they are deleted"):
        compress(copy.deepcopy(tiny_llama), recipe, WINDOWS, lambda *_: None)
    compress(tiny_llama, recipe, WINDOWS, lambda *_: None)
