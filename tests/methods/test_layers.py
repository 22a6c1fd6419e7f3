import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from engine.checkpoints import checkpoint
from engine.errors import InputError
from engine.methods.importance import block_scores
from engine.methods.layers import angular_distance, block_influence, compress, scores_of
from engine.models import LanguageModel
from engine.spec.prune import ANGLE, IMPORTANCE, Layers


def test_angular_distance_by_hand() -> None:
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 2.0]])
    b = torch.tensor([[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(angular_distance(a, b).float(), torch.tensor([0.0, 0.5, 1.0, 0.25]))


@pytest.mark.parametrize("importance", [ANGLE, *IMPORTANCE])
def test_removes_the_block_that_does_nothing(each_family: LanguageModel, windows: Tensor, importance: str) -> None:
    idle = each_family.anatomy.blocks[2]
    for layer in idle.writers.values():
        layer.weight.data.zero_()
    assert float(scores_of(each_family, importance, windows, _silent)[2]) == pytest.approx(0, abs=1e-6)
    expected = each_family.network(windows).logits
    compress(each_family, Layers(count=1, importance=importance), windows, _silent)
    assert len(each_family.anatomy.blocks) == each_family.network.config.num_hidden_layers == 3
    torch.testing.assert_close(each_family.network(windows).logits, expected)


def test_the_rest_decodes_with_a_cache_and_reloads(each_family: LanguageModel, windows: Tensor, tmp_path: Path) -> None:
    compress(each_family, Layers(count=2), windows, _silent)
    prompt = windows[:1, :8]
    cached = each_family.network.generate(prompt, max_new_tokens=6, do_sample=False, use_cache=True)
    plain = each_family.network.generate(prompt, max_new_tokens=6, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)
    checkpoint.export_plain(each_family, tmp_path)
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.equal(reloaded.generate(prompt, max_new_tokens=6, do_sample=False), cached)


def test_influence_is_measured_once_on_the_model_as_it_comes(tiny_llama: LanguageModel, windows: Tensor) -> None:
    influence = block_influence(tiny_llama, windows, _silent)
    lowest = sorted(sorted(range(4), key=lambda i: influence[i])[:2])
    compress(tiny_llama, Layers(count=2), windows, _silent)
    assert f"Removed layers {lowest[0]} and {lowest[1]} of 0 to 3," in tiny_llama.notes[0]


def test_a_round_measures_what_the_one_before_it_left(tiny_llama: LanguageModel, windows: Tensor) -> None:
    influence = block_influence(tiny_llama, windows, _silent)
    first = min(range(4), key=lambda i: (influence[i], -i))
    once = copy.deepcopy(tiny_llama)
    compress(once, Layers(count=1), windows, _silent)
    again = block_influence(once, windows, _silent)
    second = [i for i in range(4) if i != first][min(range(3), key=lambda i: (again[i], -i))]
    compress(tiny_llama, Layers(count=2, rounds=2), windows, _silent)
    lowest = sorted((first, second))
    assert f"Removed layers {lowest[0]} and {lowest[1]} of 0 to 3," in tiny_llama.notes[0]


def test_a_rule_of_choice_is_followed_and_named(tiny_llama: LanguageModel, windows: Tensor) -> None:
    least = int(block_scores(tiny_llama, "taylor", windows, _silent).argmin())
    compress(tiny_llama, Layers(count=1, importance="taylor"), windows, _silent)
    assert tiny_llama.notes == [f"Removed layers {least} of 0 to 3, chosen by first-order Taylor."]


def test_magnitude_reads_no_text(tiny_llama: LanguageModel) -> None:
    compress(tiny_llama, Layers(count=1, importance="magnitude"), None, _silent)
    assert len(tiny_llama.anatomy.blocks) == 3
    with pytest.raises(ValueError, match="needs calibration windows"):
        compress(tiny_llama, Layers(count=1), None, _silent)


def test_a_round_removes_at_least_one_block() -> None:
    with pytest.raises(InputError, match="rounds must be at most count=2, one block a round, got 3"):
        Layers(count=2, rounds=3)


@pytest.mark.parametrize("count", [4, 5])
def test_at_least_one_block_stays(tiny_llama: LanguageModel, windows: Tensor, count: int) -> None:
    with pytest.raises(InputError, match=f"less than the model's 4 blocks, got {count}"):
        compress(tiny_llama, Layers(count=count), windows, _silent)


def _silent(stage: str, done: int, total: int) -> None:
    assert 0 <= done <= total
