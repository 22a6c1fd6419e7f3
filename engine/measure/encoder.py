"""Text to tokens as lm-evaluation-harness 0.4.13 does it: with the tokenizer's own special tokens, if it adds any."""

from typing import Any

from torch import nn
from transformers import PreTrainedTokenizerBase

_LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")
_UNSET_LENGTH = 10**9  # a tokenizer without a limit gives an absurd one
_DEFAULT_LENGTH = 2048


class Encoder:
    """Splits a request into the tokens that are read and those that are scored."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer: Any = tokenizer
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix: int | None = bos if bos is not None else eos
        self.prefix_text: str | None = None if self.prefix is None else self.tokenizer.decode(self.prefix)
        self._last: tuple[str, list[int]] | None = None  # a context repeats for each of its choices

    def pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The tokens of the context and of the continuation; an empty context becomes the first special token.

        The context's trailing spaces move to the continuation, whose tokens are those of the whole after as many as
        the context alone has, also where the tokenizer merges across the boundary.
        """
        if not context:
            tokens = self._encode(continuation, add_special_tokens=False)
            if self.prefix is None or tokens[:1] == [self.prefix]:
                return tokens[:1], tokens[1:]
            return [self.prefix], tokens
        kept = context.rstrip()
        if self._last is None or self._last[0] != kept:
            self._last = kept, self.encode(kept)
        before = self._last[1]
        return before, self.encode(context + continuation)[len(before) :]

    def encode(self, text: str) -> list[int]:
        """Tokens with special ones, except where the text already begins with the first of them."""
        begun = self.prefix_text is not None and text.startswith(self.prefix_text)
        return self._encode(text, **({"add_special_tokens": False} if begun else {}))

    def _encode(self, text: str, **options: bool) -> list[int]:
        return list(self.tokenizer(text, verbose=False, **options)["input_ids"])


def max_length(network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens that the model reads: its configuration's, else its tokenizer's, else 2048."""
    config: Any = network.config
    text_config = getattr(config, "text_config", None) or config
    for name in _LENGTHS:
        if (length := getattr(text_config, name, None)) is not None:
            return int(length)
    length = tokenizer.model_max_length
    return int(length) if length is not None and length < _UNSET_LENGTH else _DEFAULT_LENGTH
