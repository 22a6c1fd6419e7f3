"""Greedy text: the tokens are those of transformers' own greedy search, and pieces join to the decoded text."""

import pytest
import torch

from engine.errors import InputError
from engine.models import LanguageModel
from engine.running import greedy

PROMPT = "Why is the sky blue?"


def written(model: LanguageModel, most: int) -> list[int]:
    return [token.id for token in greedy.write(model.network, greedy.prompt_tokens(model, PROMPT, False, most), most)]


def test_the_tokens_are_those_of_greedy_search(each_family: LanguageModel) -> None:
    prompt = greedy.prompt_tokens(each_family, PROMPT, False, 24)
    theirs = each_family.network.generate(
        prompt, do_sample=False, max_new_tokens=24, eos_token_id=None, attention_mask=torch.ones_like(prompt)
    )
    assert written(each_family, 24) == theirs[0, prompt.shape[1] :].tolist()


def test_the_first_tokens_do_not_depend_on_how_many_are_asked(tiny_llama: LanguageModel) -> None:
    assert written(tiny_llama, 5) == written(tiny_llama, 12)[:5]


def test_a_message_goes_through_the_template_where_there_is_one(tiny_llama: LanguageModel) -> None:
    assert torch.equal(
        greedy.prompt_tokens(tiny_llama, PROMPT, True, 8), greedy.prompt_tokens(tiny_llama, PROMPT, False, 8)
    )
    message = "{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
    tiny_llama.tokenizer.chat_template = message + "{% if add_generation_prompt %}[you]{% endif %}"
    ids = greedy.prompt_tokens(tiny_llama, PROMPT, True, 8)
    assert tiny_llama.tokenizer.decode(ids[0]) == f"[user] {PROMPT}[you]"


def test_a_prompt_that_leaves_no_room_is_refused(tiny_llama: LanguageModel) -> None:
    with pytest.raises(InputError, match=r"the prompt is 500 tokens; with 32 more the model reads 512 at most"):
        greedy.prompt_tokens(tiny_llama, "x" * 500, False, 32)
    with pytest.raises(InputError, match="makes no token of this prompt"):
        greedy.prompt_tokens(tiny_llama, "", False, 32)


def test_end_tokens_are_those_of_the_configurations_and_the_tokenizer(tiny_llama: LanguageModel) -> None:
    assert greedy.end_tokens(tiny_llama) == {257, tiny_llama.tokenizer.eos_token_id}
    tiny_llama.network.generation_config.eos_token_id = [7, 8]
    assert {7, 8, 257} <= greedy.end_tokens(tiny_llama)


def test_pieces_join_to_the_text_and_split_no_character(tiny_llama: LanguageModel) -> None:
    text = "naïve 日本 \U0001f600!"
    ids = tiny_llama.tokenizer(text)["input_ids"]
    spelling = greedy.Spelling(tiny_llama.tokenizer)
    pieces = [spelling.add(token) for token in ids]
    assert len(pieces) == len(text.encode())
    assert "".join(pieces) == text
    assert [piece for piece in pieces if piece] == list(text)


def test_bytes_that_are_no_character_are_held_back_for_a_few_tokens_only(tiny_llama: LanguageModel) -> None:
    broken = tiny_llama.tokenizer("é")["input_ids"][1]  # a byte that begins no character
    spelling = greedy.Spelling(tiny_llama.tokenizer)
    pieces = [spelling.add(broken) for _ in range(8)]
    assert pieces[:3] == ["", "", ""]
    assert "\ufffd" in pieces[3]
    assert len("".join(pieces)) == 8
