"""Sensitivity by block: each figure is what compressing that block alone does to the whole model."""

import pytest
import torch
from torch import Tensor

from engine.analysis.mixed import predict
from engine.measure import size
from engine.measure.block_sensitivity import Measurement, project
from engine.methods import compress
from engine.models import LanguageModel
from engine.outcome.sensitivity import WAYS, Sensitivity
from engine.spec import parse
from engine.spec.slicing import SliceGpt


def measured(model: LanguageModel, windows: Tensor) -> Sensitivity:
    sliced = model.network.config.model_type in SliceGpt.families()
    return Measurement(model, windows, torch.eye(model.network.config.hidden_size) if sliced else None).run(_silent)


def test_each_figure_is_what_that_recipe_does_to_the_whole_model(tiny_model, windows: Tensor) -> None:
    dense = tiny_model("llama").network(windows).logits.log_softmax(-1)
    found = measured(tiny_model("llama"), windows)
    group = f"group_size={found.group_size}"
    for place, way, recipe in (
        (0, "bits", f"quantize:rtn,bits=3,{group},blocks=0"),
        (2, "sparsity", "prune:magnitude,sparsity=0.5,blocks=2"),
        (3, "bits", f"quantize:rtn,bits=2,{group},blocks=3"),
    ):
        model = tiny_model("llama")
        compress(model, parse(recipe), None, _silent)
        ours = model.network(windows).logits.log_softmax(-1)
        expected = (dense.exp() * (dense - ours)).sum(-1).mean().item()
        amount = float(recipe.partition(",")[2].split("=")[1].split(",")[0])
        loss = next(one.loss[place] for one in found.ways if (one.kind, one.amount) == (way, amount))
        assert loss == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_the_model_is_as_before_and_what_was_found_is_the_same_again(
    tiny_llama: LanguageModel, windows: Tensor
) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    found = measured(tiny_llama, windows)
    after = tiny_llama.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert measured(tiny_llama, windows) == found
    assert [(way.kind, way.amount) for way in found.ways] == list(WAYS)
    assert {len(way.loss) for way in found.ways} == {len(tiny_llama.anatomy.blocks)}


def test_the_bytes_of_a_mixture_are_those_of_its_checkpoint(tiny_llama: LanguageModel, windows: Tensor) -> None:
    found = measured(tiny_llama, windows)
    mixed = "quantize:rtn,bits=8,group_size={0},blocks=0 | quantize:rtn,bits=3,group_size={0},blocks=1+2"
    recipe = parse(mixed.format(found.group_size))
    predicted = predict(found, recipe)
    compress(tiny_llama, recipe, None, _silent)
    assert predicted is not None
    assert predicted.weight_bytes == sum(size.component_bytes(tiny_llama).values())


def test_a_sliced_block_writes_nothing_along_the_directions_that_it_lost(tiny_llama: LanguageModel) -> None:
    random = torch.Generator().manual_seed(0)
    width = tiny_llama.network.config.hidden_size
    axes = torch.linalg.qr(torch.randn(width, width, generator=random)).Q
    block, x = tiny_llama.anatomy.blocks[1], torch.randn(5, width, generator=random)
    reads = {name: layer(norm(x)) for norm, readers in block.readers for name, layer in readers.items()}
    project(block, axes)
    for norm, readers in block.readers:
        for name, layer in readers.items():
            torch.testing.assert_close(layer(norm(x)), reads[name], rtol=1e-4, atol=1e-4)
    project(block, axes[:, :-8])
    for layer in block.writers.values():
        written = layer(torch.randn(5, layer.in_features, generator=random))
        assert float((written @ axes[:, -8:]).abs().max()) < 1e-4
        assert float((written @ axes[:, :8]).abs().max()) > 1e-2


def test_a_family_that_can_not_be_sliced_has_the_other_ways(tiny_model, windows: Tensor) -> None:
    assert {way.kind for way in measured(tiny_model("gpt2"), windows).ways} == {"bits", "sparsity"}


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
