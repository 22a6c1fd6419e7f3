"""Errors by layer: none where nothing changed, matched by place where blocks went, turned back where a cut turned."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine import assets
from engine.checkpoints import fp32
from engine.measure.layers import Layers
from engine.methods import compress
from engine.models import LanguageModel
from engine.outcome.layer_errors import LayerErrors
from engine.spec import parse

TEXT = [f"The mill number {n} stood by the river and was seen by few." for n in range(30)]
Measured = Callable[[str], LayerErrors]


@pytest.fixture
def measured(tiny_llama: LanguageModel, windows: torch.Tensor, tmp_path: Path, monkeypatch) -> Measured:
    """Recipe -> what was found of the tiny llama that it was applied to, as a profile gives it back."""
    monkeypatch.setattr(assets, "text", lambda split: TEXT)

    def measure(text: str) -> LayerErrors:
        recipe, model = parse(text), tiny_llama
        dense = Layers(model, recipe, tmp_path / "states")
        dense.read_dense(model, lambda done, total: None)
        compress(model, recipe, windows, lambda stage, done, total: None)
        found = dense.measure(model, fp32.evaluated(model), lambda done, total: None)
        assert LayerErrors.from_dict(found.to_dict()) == found
        return found

    return measure


def test_fewer_bits_leave_larger_errors_after_every_block_and_in_every_linear(measured: Measured) -> None:
    found = measured("quantize:rtn,bits=8,group_size=16 | prune:magnitude,sparsity=0.5")
    assert all(error is not None and 0.01 < error < 2 for error in found.blocks)
    assert (found.removed, found.turned, found.not_compared) == ((), False, "")
    assert len(found.linears) == 7
    for linear in found.linears:
        assert linear.shapes == (linear.shape,) * 4
        assert all(error is not None and 0.1 < error < 0.7 for error in linear.errors)  # the smaller half are zeros


def test_a_linear_s_error_is_that_of_its_dequantized_weight(measured: Measured, tiny_llama: LanguageModel) -> None:
    before = tiny_llama.anatomy.blocks[2].linears["mlp.up_proj"].weight.clone()  # type: ignore[operator]
    found = measured("quantize:rtn,bits=4,group_size=16")
    after = tiny_llama.anatomy.blocks[2].linears["mlp.up_proj"].matrix.dequantize()  # type: ignore[union-attr,operator]
    error = next(linear.errors[2] for linear in found.linears if linear.name == "mlp.up_proj")
    assert error == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-5)
    assert 0 < error < 0.2


def test_a_weight_that_the_files_hold_transposed_is_turned_before_it_is_compared(
    tiny_model: Callable[[str], LanguageModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "text", lambda split: TEXT)
    model, recipe = tiny_model("gpt2"), parse("quantize:rtn,bits=8,group_size=16")
    dense = Layers(model, recipe, tmp_path / "states")
    dense.read_dense(model, lambda done, total: None)
    compress(model, recipe, None, lambda stage, done, total: None)
    found = dense.measure(model, fp32.evaluated(model), lambda done, total: None)
    errors = [error for linear in found.linears for error in linear.errors if error is not None]
    assert errors
    assert max(errors) < 0.02


def test_removed_blocks_are_named_and_the_others_matched_by_their_place(measured: Measured) -> None:
    found = measured("prune:layers,count=1")
    (gone,) = found.removed
    assert [error is not None and error < 1e-6 for error in found.blocks] == [place < gone for place in range(4)]
    for linear in found.linears:
        assert [error for place, error in enumerate(linear.errors) if place != gone] == [0.0] * 3
        assert (linear.errors[gone], linear.shapes[gone]) == (None, None)


def test_a_turned_stream_is_turned_back_before_it_is_compared(measured: Measured) -> None:
    found = measured("slice:slicegpt,fraction=0")
    assert found.turned
    assert max(error or 0.0 for error in found.blocks) < 1e-3
    assert "turned axes" in found.not_compared
    assert {error for linear in found.linears for error in linear.errors} == {None}


def test_what_a_cut_leaves_is_told_by_its_shape(measured: Measured) -> None:
    found = measured("slice:slicegpt,fraction=0.25 | prune:neurons,fraction=0.25")
    assert all(error is not None and 0.01 < error < 2 for error in found.blocks)
    shapes = {linear.name: (linear.shape, linear.shapes[0]) for linear in found.linears}
    assert shapes["mlp.up_proj"] == ((192, 64), (128, 48))
    assert shapes["self_attn.o_proj"] == ((64, 128), (48, 128))
