"""A KV cache of few bits: its numbers by hand, and attention against a cache that rounds what it is given."""

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from engine.blocks.gradients import walk_back
from engine.checkpoints import fp32
from engine.methods import compress
from engine.models import LanguageModel
from engine.network.kv_cache import rounded
from engine.spec import parse
from engine.spec.quantize import KvCache


class RoundingCache(DynamicCache):
    """Rounds every token once, when it comes; each group to the points min + k (max - min) / 15, moved onto zero."""

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs):
        return super().update(self.points(key_states), self.points(value_states), layer_idx, *args, **kwargs)

    @staticmethod
    def points(states: Tensor) -> Tensor:
        groups = states.view(*states.shape[:-1], -1, 8)
        low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
        step = ((high - low) / 15).half().float()
        zero = (-low / step).round().clamp(0, 15)
        return (((groups / step).round() + zero).clamp(0, 15) - zero).mul(step).view_as(states)


def test_a_group_by_hand() -> None:
    head = torch.tensor([[-1.0, 0.0, 0.5, 0.97, 1.26, 2.0, 2.5, 2.75], [0.0, 0, 0, 0, 0, 0, 0, 0]])
    steps = torch.tensor([[-4.0, 0, 2, 4, 5, 8, 10, 11], [0.0, 0, 0, 0, 0, 0, 0, 0]])  # of 0.25, from -1 to 2.75
    torch.testing.assert_close(rounded(head, KvCache(bits=4, group_size=8)), steps * 0.25)
    assert rounded(head.bfloat16(), KvCache(bits=4, group_size=-1)).dtype == torch.bfloat16


@torch.inference_mode()
def test_attention_reads_what_a_rounding_cache_gives_whole_or_word_by_word(
    each_family: LanguageModel, windows: Tensor
) -> None:
    expected = each_family.network(windows, past_key_values=RoundingCache(config=each_family.network.config)).logits
    dense = each_family.network(windows).logits
    compress(each_family, parse("quantize:kv_cache,bits=4,group_size=8"), None, lambda *_: None)
    network = fp32.evaluated(each_family)
    torch.testing.assert_close(network(windows, use_cache=False).logits, expected, rtol=0, atol=1e-4)
    assert float((expected - dense).abs().max()) > 0.01
    cache = DynamicCache(config=network.config)
    words = [network(windows[:, n : n + 1], past_key_values=cache).logits for n in range(6)]
    torch.testing.assert_close(torch.cat(words, 1), expected[:, :6], rtol=0, atol=1e-3)


def test_more_bits_change_less(tiny_model, windows: Tensor) -> None:
    dense = tiny_model("qwen3").network(windows).logits
    changes = []
    for bits in (8, 4, 2):
        model = tiny_model("qwen3")
        compress(model, parse(f"quantize:kv_cache,bits={bits},group_size=8"), None, lambda *_: None)
        changes.append(float((model.network(windows).logits - dense).norm() / dense.norm()))
    assert changes[0] < 0.03 < changes[1] < changes[2]


def test_gradients_pass_straight_through(tiny_model, windows: Tensor) -> None:
    def gradients(recipe: str) -> Tensor:
        model, found = tiny_model("qwen3"), {}
        compress(model, parse(recipe), None, lambda *_: None)
        first = model.anatomy.layout.attention_in[1]  # of what the keys are made
        walk_back(model.anatomy, first, windows[:1], lambda *_: None, lambda block, x, g: found.update({block: g}))
        return torch.stack([found[block] for block in sorted(found)])

    exact, ours = gradients("dense"), gradients("quantize:kv_cache,bits=8,group_size=8")
    assert float((ours - exact).norm() / exact.norm()) < 0.05


@pytest.mark.parametrize("group_size", [16, 64])
def test_groups_that_do_not_divide_a_head_are_refused(tiny_llama: LanguageModel, group_size: int) -> None:
    with pytest.raises(
        ValueError, match=f"group_size={group_size} does not divide the 8 keys of a head; sizes that do: 8"
    ):
        compress(tiny_llama, parse(f"quantize:kv_cache,group_size={group_size}"), None, lambda *_: None)
