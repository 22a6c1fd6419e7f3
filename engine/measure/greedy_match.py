"""How long a compressed model goes on exactly as the dense one when both write: what multiple choice doesn't show.

Both continue the same prompts greedily, in one batch, for a fixed number of tokens; an end-of-text
token is one like any other. What counts is the number of tokens before the first that differs.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine import stats
from engine.network.past import likeliest
from engine.outcome.parting import shared
from engine.outcome.texts import Text

PROMPTS, PROMPT_TOKENS, TOKENS = 50, 32, 32
SELF = dict.fromkeys(("greedy_match_tokens", "greedy_match_tokens_low", "greedy_match_tokens_high"), float(TOKENS))


@torch.inference_mode()
def continuations(network: nn.Module, prompts: Tensor, report: Callable[[int, int], None] | None = None) -> Tensor:
    """The likeliest TOKENS tokens [prompts, TOKENS] after prompts [prompts, T] of one length.

    report: called with the tokens done and TOKENS.
    """
    following = likeliest(network, prompts.to(next(network.parameters()).device))
    written: list[Tensor] = []
    for tokens in islice(following, TOKENS):  # [prompts, 1]
        written.append(tokens)
        if report:
            report(len(written), TOKENS)
    return torch.cat(written, dim=1).cpu()


def texts(tokenizer: PreTrainedTokenizerBase, prompts: Tensor, written: Tensor) -> list[Text]:
    """Continuations [prompts, tokens] of prompts [prompts, T] as people read them, special tokens by their names."""
    return [_text(tokenizer, *pair) for pair in zip(prompts.tolist(), written.tolist(), strict=True)]


def _text(tokenizer: Any, prompt: list[int], written: list[int]) -> Text:
    """Decoded behind its prompt, as a token's text may depend on those before it."""
    beginnings = [[*prompt, *written[:count]] for count in range(len(written) + 1)]
    read = tokenizer.batch_decode(beginnings, clean_up_tokenization_spaces=False)
    whole, known = read[-1], 0
    ends = []
    for beginning in read:  # one that stops within a character ends in a sign that the whole doesn't have there
        known = max(known, shared(beginning, whole))
        ends.append(known)
    start = ends[0]
    return Text(whole[:start], whole[start:], tuple(written), tuple(end - start for end in ends[1:]))


def common_prefix(ours: Tensor, theirs: Tensor) -> Tensor:
    """How many tokens two continuations [prompts, tokens] share from the beginning, [prompts]."""
    return (ours == theirs).long().cumprod(dim=1).sum(dim=1)


def metrics(ours: Tensor, dense: Tensor) -> dict[str, float]:
    """greedy_match_tokens, the mean over prompts of what continuations [prompts, TOKENS] share, with its interval.

    Two imagined prompts, one shared from end to end and one not at all, are added before the interval is taken, as is
    done for shares: that 50 prompts all agree doesn't show that the next would.
    Source of the addition: Agresti and Coull 1998, The American Statistician 52.
    """
    shared = common_prefix(ours, dense).double().numpy()
    ends = stats.mean_interval(np.append(shared, (0.0, TOKENS)))
    assert ends is not None
    return {
        "greedy_match_tokens": float(shared.mean()),
        "greedy_match_tokens_low": max(0.0, ends.low),
        "greedy_match_tokens_high": min(float(TOKENS), ends.high),
    }
