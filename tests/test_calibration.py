import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine import assets
from engine.calibration import (
    calibration_windows,
    first_windows,
    heldout_prompts,
    perplexity_windows,
    walk,
    windows_of,
)
from engine.errors import InputError
from engine.models import LanguageModel
from engine.spec import Protocol
from tests.measure.test_zero_shot import make_tokenizer

PASSAGES = [f"passage number {i} is here" for i in range(50)]


def test_windows_follow_each_other_without_overlap(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    windows = windows_of(PASSAGES, tiny_tokenizer, count=5, length=40, seed=0)
    assert windows.shape == (5, 40)
    text = tiny_tokenizer.decode(windows.flatten().tolist())
    whole = text.split("\n\n")[:-1]
    assert len(whole) >= 7
    assert set(whole) <= set(PASSAGES)
    assert len(set(whole)) == len(whole)


def test_the_seed_chooses_the_passages(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    one, same, other = (windows_of(PASSAGES, tiny_tokenizer, 3, 40, seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_more_windows_begin_with_the_fewer(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    few, more = (windows_of(PASSAGES, tiny_tokenizer, count, 40, 0) for count in (2, 6))
    assert torch.equal(more[:2], few)


def test_too_little_text_says_what_there_is(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InputError, match=r"100 windows of 40 tokens were asked for; the text gives \d+"):
        windows_of(PASSAGES, tiny_tokenizer, 100, 40, 0)


def test_splits_are_those_of_the_assets(
    monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    monkeypatch.setattr(assets, "text", lambda split: [f"{split} {i}" for i in range(200)])
    protocol = Protocol(calibration_windows=3, perplexity_windows=4, sequence_length=16)
    calibration = calibration_windows(tiny_tokenizer, protocol)
    heldout = perplexity_windows(tiny_tokenizer, protocol, None)
    assert calibration.shape == (3, 16)
    assert heldout.shape == (4, 16)
    assert tiny_tokenizer.decode(calibration.flatten().tolist()).startswith("calibration ")
    assert tiny_tokenizer.decode(heldout.flatten().tolist()).startswith("heldout ")


def test_windows_of_one_text_are_its_first_in_order(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    text = "abcdefghij" * 10
    windows = first_windows(text, tiny_tokenizer, count=3, length=24)
    assert tiny_tokenizer.decode(windows.flatten().tolist()) == text[:72]
    assert first_windows(text, tiny_tokenizer, count=50, length=24).shape == (4, 24)


class Spy:
    """A tokenizer that remembers how many characters it was given."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer, self.characters = tokenizer, 0

    def __call__(self, text: str, **options: bool) -> object:
        self.characters += len(text)
        return self.tokenizer(text, **options)


@pytest.mark.parametrize("text", ["the quick brown fox  jumps\n" * 3000, "fox" * 30_000, " " * 90_000])
def test_of_a_long_text_only_its_beginning_is_tokenized_with_the_tokens_of_the_whole(text: str) -> None:
    tokenizer = make_tokenizer(adds_bos=False)
    windows = first_windows(text, spy := Spy(tokenizer), count=4, length=32)
    whole = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert windows.flatten().tolist() == whole[:128]
    assert spy.characters < len(text) // 10


def test_a_text_of_less_than_a_window_says_what_it_has_and_what_is_needed(
    tiny_tokenizer: PreTrainedTokenizerFast,
) -> None:
    with pytest.raises(InputError, match="the perplexity text has 23 tokens, and one window needs 24"):
        first_windows("x" * 23, tiny_tokenizer, count=1, length=24)


def test_prompts_are_beginnings_of_passages_long_enough_drawn_by_the_seed(
    monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    passages = [*PASSAGES, "short"]
    monkeypatch.setattr(assets, "text", lambda split: passages if split == "heldout" else [])
    one, same, other = (heldout_prompts(tiny_tokenizer, 60, 16, seed) for seed in (0, 0, 1))
    assert one.shape == (50, 16)
    beginnings = [tiny_tokenizer.decode(prompt) for prompt in one.tolist()]
    assert sorted(beginnings) == sorted(passage[:16] for passage in PASSAGES)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(heldout_prompts(tiny_tokenizer, 5, 16, 0), one[:5])
    with pytest.raises(InputError, match="prompts of 90 tokens were asked for, and no held-out passage has as many"):
        heldout_prompts(tiny_tokenizer, 20, 90, 0)


def test_the_walk_shows_what_the_network_computes(each_family: LanguageModel, windows: Tensor) -> None:
    outputs: dict[int, list[Tensor]] = {i: [] for i in range(4)}
    norms, told = [], []
    walk(
        each_family.anatomy,
        windows,
        lambda done, total: told.append((done, total)),
        on_block=lambda index, before, after: outputs[index].append(after.clone()),
        on_norm=lambda norm, x: norms.append((norm, x.shape)),
    )
    assert not any(module._forward_hooks for module in each_family.network.modules())
    states = each_family.network(windows, output_hidden_states=True).hidden_states
    torch.testing.assert_close(torch.cat(outputs[1]), states[2].flatten(0, 1))
    assert len(norms) == 4 * (2 * 4 + 1)
    assert norms[0] == (each_family.anatomy.blocks[0].input_norm, (32, 64))
    assert norms[8][0] is each_family.anatomy.final_norm
    assert told == [(i, 4) for i in range(5)]
