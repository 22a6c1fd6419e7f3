import pytest
import torch
from torch import Tensor

from engine.errors import InputError
from engine.layers.packed_linear import PackedLinear
from engine.methods import compress as apply_recipe
from engine.methods.heads import compress, of_every_group, whole_groups
from engine.models import LanguageModel
from engine.spec import parse
from engine.spec.prune import IMPORTANCE, Heads

HEADS, KV_HEADS, HEAD_DIM = 16, 4, 8  # of the tiny models


def silence(model: LanguageModel, heads: list[int]) -> None:
    """Make these query heads of every block write nothing, with nothing to write."""
    for block in model.anatomy.blocks:
        for head in heads:
            block.linears["self_attn.o_proj"].weight.data[:, head * HEAD_DIM : (head + 1) * HEAD_DIM] = 0


@pytest.mark.parametrize("importance", [rule for rule in IMPORTANCE if rule != "activation"])
@pytest.mark.parametrize(
    ("unit", "idle", "left"),
    [("groups", [4, 5, 6, 7], (12, 3)), ("queries", [1, 6, 8, 15], (12, 4))],
)
def test_heads_that_nothing_reads_go_and_change_no_logits(
    each_family: LanguageModel, windows: Tensor, importance: str, unit: str, idle: list[int], left: tuple[int, int]
) -> None:
    silence(each_family, idle)
    expected = each_family.network(windows).logits
    compress(each_family, Heads(fraction=0.25, unit=unit, importance=importance), windows, quiet)
    config = each_family.network.config
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (*left, HEAD_DIM)
    shapes = [tuple(layer.weight.shape) for layer in each_family.anatomy.blocks[2].linears.values()][:4]
    assert shapes == [(96, 64), (left[1] * HEAD_DIM, 64), (left[1] * HEAD_DIM, 64), (64, 96)]
    torch.testing.assert_close(each_family.network(windows).logits, expected)


def test_a_head_that_gives_nothing_goes_by_activation(each_family: LanguageModel, windows: Tensor) -> None:
    for block in each_family.anatomy.blocks:
        values = block.linears["self_attn.v_proj"]
        values.weight.data[2 * HEAD_DIM : 3 * HEAD_DIM] = 0
        if values.bias is not None:
            values.bias.data[2 * HEAD_DIM : 3 * HEAD_DIM] = 0
    expected = each_family.network(windows).logits
    compress(each_family, Heads(fraction=0.25, importance="activation"), windows, quiet)
    torch.testing.assert_close(each_family.network(windows).logits, expected)


def test_removing_none_is_dense(each_family: LanguageModel, windows: Tensor) -> None:
    expected = each_family.network(windows).logits
    compress(each_family, Heads(fraction=0.0), None, quiet)
    assert torch.equal(each_family.network(windows).logits, expected)


@pytest.mark.parametrize("unit", ["groups", "queries"])
def test_the_rest_decodes_with_a_smaller_cache(each_family: LanguageModel, windows: Tensor, unit: str) -> None:
    compress(each_family, Heads(fraction=0.5, unit=unit), windows, quiet)
    prompt = windows[:1, :8]
    cached = each_family.network.generate(prompt, max_new_tokens=6, do_sample=False, use_cache=True)
    plain = each_family.network.generate(prompt, max_new_tokens=6, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)
    keys = each_family.network(prompt, use_cache=True).past_key_values.layers[0].keys
    assert keys.shape == (1, 2 if unit == "groups" else 4, 8, HEAD_DIM)


def test_the_best_groups_by_hand() -> None:
    queries, keys = whole_groups(torch.tensor([3.0, 1.0, 2.0]), 2, 3)
    assert (queries.tolist(), keys.tolist()) == ([0, 1, 2, 6, 7, 8], [0, 2])


def test_the_best_of_every_group_by_hand() -> None:
    queries, keys = of_every_group(torch.tensor([3.0, 1.0, 2.0, 9.0, 8.0, 9.5]), 2, 2)
    assert (queries.tolist(), keys.tolist()) == ([0, 2, 3, 5], [0, 1])


def test_rounds_reach_the_same_shape(tiny_llama: LanguageModel, windows: Tensor) -> None:
    compress(tiny_llama, Heads(fraction=0.5, unit="queries", rounds=2), windows, quiet)
    config = tiny_llama.network.config
    assert (config.num_attention_heads, config.num_key_value_heads) == (8, 4)
    assert tiny_llama.notes[0].startswith("Removed 8 of 16 query heads and 0 of 4 key and value heads")


def test_packed_layers_are_cut_where_their_groups_allow(tiny_llama: LanguageModel, windows: Tensor) -> None:
    apply_recipe(tiny_llama, parse("quantize:rtn,bits=4,group_size=8 | prune:heads,fraction=0.25"), windows, quiet)
    assert all(isinstance(layer, PackedLinear) for _, layer in tiny_llama.anatomy.linears())
    assert tiny_llama.anatomy.blocks[0].linears["self_attn.o_proj"].matrix.shape == (64, 96)
    assert len(tiny_llama.notes) == 1


def test_what_the_nearest_unit_leaves_whole_or_empty_is_refused(tiny_llama: LanguageModel, windows: Tensor) -> None:
    with pytest.raises(InputError, match=r"fraction=0.1 leaves all of the model's 4 groups of heads; each is 25% of"):
        compress(tiny_llama, Heads(fraction=0.1), windows, quiet)
    with pytest.raises(InputError, match=r"fraction=0.9 leaves none of the model's 4 heads in every group"):
        compress(tiny_llama, Heads(fraction=0.9, unit="queries"), windows, quiet)


def quiet(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
