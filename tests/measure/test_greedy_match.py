"""Greedy continuations, and how much of them is the dense model's."""

import pytest
import torch
from scipy import stats
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from engine.measure.greedy_match import SELF, TOKENS, common_prefix, continuations, metrics, texts
from engine.models import LanguageModel


def test_continuations_are_those_of_generate(each_family: LanguageModel, windows: Tensor) -> None:
    network = each_family.network
    network.generation_config.eos_token_id = None
    expected = network.generate(windows, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
    told: list[tuple[int, int]] = []
    found = continuations(network, windows, lambda done, total: told.append((done, total)))
    assert torch.equal(found, expected[:, windows.shape[1] :])
    assert len({tuple(row) for row in found.tolist()}) > 1
    assert told == [(i + 1, TOKENS) for i in range(TOKENS)]


def test_a_prefix_ends_at_the_first_difference() -> None:
    dense = torch.tensor([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    ours = torch.tensor([[1, 2, 3], [1, 2, 9], [1, 9, 3], [9, 2, 3]])
    assert common_prefix(ours, dense).tolist() == [3, 2, 1, 0]


def test_texts_are_decoded_token_by_token_with_special_tokens_by_name(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    prompt, written = tiny_tokenizer("No", return_tensors="pt").input_ids, tiny_tokenizer(" é!").input_ids
    (found,) = texts(tiny_tokenizer, prompt, torch.tensor([[*written, tiny_tokenizer.eos_token_id]]))
    assert (found.prompt, found.text) == ("No", " é!</s>")
    assert found.tokens == (*written, tiny_tokenizer.eos_token_id)
    assert found.ends == (1, 1, 2, 3, 7)  # a byte a token: the first of é shows nothing yet


def test_bytes_that_are_no_character_are_kept_as_signs(tiny_tokenizer: PreTrainedTokenizerFast) -> None:
    broken = tiny_tokenizer("é").input_ids[:1]
    (found,) = texts(tiny_tokenizer, torch.tensor([tiny_tokenizer("a").input_ids]), torch.tensor([broken * 2]))
    assert found.ends[-1] == len(found.text)
    assert set(found.text) == {"\ufffd"}


def test_the_interval_is_students_with_two_imagined_prompts() -> None:
    dense = torch.zeros(6, TOKENS, dtype=torch.long)
    ours = dense.clone()
    shared = [0, 4, 10, 20, 31, 32]
    for row, length in enumerate(shared):
        ours[row, length : length + 1] = 1
    found = metrics(ours, dense)
    reference = stats.ttest_1samp([*shared, 0, 32], 0).confidence_interval(0.95)
    assert found["greedy_match_tokens"] == pytest.approx(sum(shared) / 6)
    assert found["greedy_match_tokens_low"] == pytest.approx(reference.low)
    assert found["greedy_match_tokens_high"] == pytest.approx(reference.high)


def test_prompts_that_all_agree_leave_room_for_one_that_would_not() -> None:
    same = torch.ones(50, TOKENS, dtype=torch.long)
    found = metrics(same, same)
    assert found["greedy_match_tokens"] == found["greedy_match_tokens_high"] == TOKENS
    assert 28 < found["greedy_match_tokens_low"] < 31
    none = metrics(same, same + 1)
    assert none["greedy_match_tokens"] == none["greedy_match_tokens_low"] == 0
    assert set(found) == set(SELF)
