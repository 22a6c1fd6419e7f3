"""Greedy text of one model, token by token."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine.errors import InputError
from engine.models import LanguageModel
from engine.network.past import likeliest, read_on

HELD_BACK = 3  # tokens at most whose bytes are no whole character yet; a character has at most four bytes
_BROKEN = "\ufffd"  # what a decoder puts in place of bytes that are no character


class Token(NamedTuple):
    """A token and the seconds that the network took for it; the first one's include reading the prompt."""

    id: int
    seconds: float


def prompt_tokens(model: LanguageModel, prompt: str, chat: bool, most: int) -> Tensor:
    """A prompt as tokens [1, T], as a chat's first message where that is asked for and the tokenizer has a template.

    Raises InputError where the model can't read the prompt and write `most` tokens after it, and for a prompt without
    tokens.
    """
    tokenizer = model.tokenizer
    if chat and has_template(tokenizer):
        message = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]  # the template writes them itself
    else:
        ids = tokenizer(prompt)["input_ids"]
    if not ids:
        raise InputError("the model's tokenizer makes no token of this prompt; write another")
    longest = getattr(model.network.config, "max_position_embeddings", None)
    if longest is not None and len(ids) + most > longest:
        raise InputError(f"the prompt is {len(ids):,} tokens; with {most:,} more the model reads {longest:,} at most")
    return torch.tensor([ids], device=model.device)


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def end_tokens(model: LanguageModel) -> frozenset[int]:
    """The tokens that end a text: those that the model's configurations and its tokenizer name."""
    network = model.network
    named = [getattr(network.generation_config, "eos_token_id", None), network.config.eos_token_id]
    named.append(model.tokenizer.eos_token_id)
    return frozenset(i for ids in named if ids is not None for i in (ids if isinstance(ids, list) else [ids]))


@torch.inference_mode()
def write(network: nn.Module, prompt: Tensor, most: int) -> Iterator[Token]:
    """The likeliest tokens after a prompt [1, T], each as soon as it is known, `most` at most.

    The reader stops at an end-of-text token; here it is one like any other.
    """
    following = likeliest(network, prompt)
    for _ in range(most):
        began = time.perf_counter()
        yield Token(int(next(following)), time.perf_counter() - began)


@torch.inference_mode()
def warm(model: LanguageModel) -> None:
    """Have a model read one token, so that what is compiled at the first one of all counts in no speed."""
    read_on(model.network, torch.zeros((1, 1), dtype=torch.long, device=model.device), None)


class Spelling:
    """What each further token adds to a text; a character that several tokens make comes with the last of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._text = ""
        self._held = 0

    def add(self, token: int) -> str:
        self._ids.append(token)
        text: str = self._tokenizer.decode(self._ids, clean_up_tokenization_spaces=False)
        self._held = self._held + 1 if text.endswith(_BROKEN) else 0
        if 0 < self._held <= HELD_BACK:
            return ""
        piece, self._text, self._held = text[len(self._text) :], text, 0
        return piece
