import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.layers.packed_linear import PackedLinear
from engine.methods import compress as apply_recipe
from engine.methods import neurons
from engine.methods.neurons import compress
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.prune import IMPORTANCE, Neurons


@pytest.mark.parametrize("importance", IMPORTANCE)
def test_neurons_that_nothing_reads_go_and_change_no_logits(
    each_family: LanguageModel, windows: Tensor, importance: str
) -> None:
    idle = torch.randperm(192, generator=torch.Generator().manual_seed(0))[:32]
    for block in each_family.anatomy.blocks:
        block.linears["mlp.down_proj"].weight.data[:, idle] = 0
        block.linears["mlp.gate_proj"].weight.data[idle] = 0  # activation sees only what a neuron gives
    expected = each_family.network(windows).logits
    compress(each_family, Neurons(fraction=1 / 6, importance=importance, multiple=8), windows, quiet)
    assert each_family.network.config.intermediate_size == 160
    assert [tuple(b.linears["mlp.down_proj"].weight.shape) for b in each_family.anatomy.blocks] == [(64, 160)] * 4
    assert [tuple(b.linears["mlp.up_proj"].weight.shape) for b in each_family.anatomy.blocks] == [(160, 64)] * 4
    torch.testing.assert_close(each_family.network(windows).logits, expected)


def test_removing_none_is_dense(each_family: LanguageModel, windows: Tensor) -> None:
    expected = each_family.network(windows).logits
    compress(each_family, Neurons(fraction=0.0), None, quiet)
    assert torch.equal(each_family.network(windows).logits, expected)
    assert not each_family.notes


def test_biases_of_removed_neurons_go_with_them(tiny_llama: LanguageModel, windows: Tensor) -> None:
    block = tiny_llama.anatomy.blocks[0]
    for name in ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):
        layer = block.linears[name]
        layer.bias = torch.nn.Parameter(torch.arange(float(layer.out_features)), requires_grad=False)
    block.keep_neurons(torch.tensor([0, 7, 100]))
    biases = [block.linears[f"mlp.{name}_proj"].bias.tolist() for name in ("gate", "up", "down")]
    assert biases == [[0, 7, 100], [0, 7, 100], list(range(64))]


def test_importance_is_measured_again_before_each_round(
    tiny_llama: LanguageModel, windows: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = []
    measured = neurons.unit_scores

    def watched(model: LanguageModel, *args):  # type: ignore[no-untyped-def]
        widths.append(model.anatomy.blocks[0].linears["mlp.down_proj"].in_features)
        return measured(model, *args)

    monkeypatch.setattr(neurons, "unit_scores", watched)
    compress(tiny_llama, Neurons(fraction=0.5, multiple=8, rounds=3), windows, quiet)
    assert widths == [192, 160, 128]
    assert tiny_llama.network.config.intermediate_size == 96
    assert tiny_llama.notes == ["Removed 96 of 192 neurons of every block, chosen by activation; 96 are left."]


def test_packed_rows_stay_packed_and_columns_leave_their_grid(tiny_llama: LanguageModel, windows: Tensor) -> None:
    apply_recipe(tiny_llama, parse("quantize:rtn,bits=4,group_size=16 | prune:neurons,fraction=0.3"), windows, quiet)
    layers = tiny_llama.anatomy.blocks[0].linears
    assert isinstance(layers["mlp.gate_proj"], PackedLinear)
    assert not isinstance(layers["mlp.down_proj"], PackedLinear)
    assert "had packed 4 matrices" in tiny_llama.notes[0]


def test_what_rounding_leaves_whole_or_empty_is_refused(tiny_llama: LanguageModel, windows: Tensor) -> None:
    with pytest.raises(InputError, match=r"fraction=0.1 leaves all of the model's 192 neurons .* a multiple of 64"):
        compress(tiny_llama, Neurons(fraction=0.1), windows, quiet)
    with pytest.raises(InputError, match=r"fraction=0.9 leaves none of the model's 192 neurons"):
        compress(tiny_llama, Neurons(fraction=0.9), windows, quiet)


def quiet(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
