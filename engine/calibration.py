"""Token batches that calibrated methods read, and what passes through the network on them.

Windows come from the passages of one split, in an order drawn from the seed, joined by blank lines, tokenized without
special tokens and cut without overlap: the same tokenizer, protocol and split give the same tokens. Other texts for
perplexity are cut the same way from their beginning.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine import assets, perplexity_text
from engine.errors import InputError
from engine.network.anatomy import Anatomy
from engine.network.streaming import streamed
from engine.spec.protocol import Protocol

JOIN = "\n\n"
_CHARACTERS_A_TOKEN = 4  # a first guess of how much text to tokenize
_CUT_TOKENS = 64  # before the place where a text is cut, tokens may be others than those of the whole

OnBlock = Callable[[int, Tensor, Tensor], None]  # (block, its input [tokens, width], its output [tokens, width])
OnNorm = Callable[[nn.Module, Tensor], None]  # (norm, its input [tokens, width])


def calibration_windows(tokenizer: PreTrainedTokenizerBase, protocol: Protocol) -> Tensor:
    """Tokens [calibration_windows, sequence_length] of the calibration split."""
    passages = assets.text("calibration")
    return windows_of(passages, tokenizer, protocol.calibration_windows, protocol.sequence_length, protocol.seed)


def perplexity_windows(tokenizer: PreTrainedTokenizerBase, protocol: Protocol, data_dir: Path | None) -> Tensor:
    """Tokens [perplexity_windows or, of a short text, fewer, sequence_length] of the protocol's perplexity text.

    Held-out passages, of which no method sees one, are chosen by the seed; any other text is read from its beginning.
    Raises InputError where the text is missing or too short.
    """
    name, count, length = protocol.perplexity_text, protocol.perplexity_windows, protocol.sequence_length
    if name == perplexity_text.HELDOUT:
        return windows_of(assets.text("heldout"), tokenizer, count, length, protocol.seed)
    return first_windows(perplexity_text.read(name, data_dir), tokenizer, count, length)


def heldout_prompts(tokenizer: PreTrainedTokenizerBase, count: int, length: int, seed: int) -> Tensor:
    """The first tokens [count or, of few passages, fewer, length] of held-out passages in an order drawn from the seed.

    Raises InputError where no passage has as many tokens.
    """
    prompts: list[list[int]] = []
    for passage in _shuffled(assets.text("heldout"), seed):
        tokens = _tokens(tokenizer, passage)
        if len(tokens) >= length:
            prompts.append(tokens[:length])
        if len(prompts) == count:
            break
    if not prompts:
        raise InputError(f"prompts of {length} tokens were asked for, and no held-out passage has as many")
    return torch.tensor(prompts)


def first_windows(text: str, tokenizer: PreTrainedTokenizerBase, count: int, length: int) -> Tensor:
    """Tokens [count or, of a short text, fewer, length] from a text's beginning; InputError for under one window."""
    tokens = _first_tokens(text, tokenizer, count * length)
    whole = min(count, len(tokens) // length)
    if not whole:
        raise InputError(
            f"the perplexity text has {len(tokens)} tokens, and one window needs {length}; "
            "give a longer text or a smaller sequence_length"
        )
    return torch.tensor(tokens[: whole * length]).view(whole, length)


def windows_of(passages: list[str], tokenizer: PreTrainedTokenizerBase, count: int, length: int, seed: int) -> Tensor:
    """Tokens [count, length] of passages taken in an order drawn from the seed.

    Only as much text is tokenized as the windows need. Raises InputError where the passages are too few.
    """
    shuffled = _shuffled(passages, seed)
    needed, taken = count * length, 0
    tokens: list[int] = []
    while len(tokens) < needed:
        if taken == len(passages):
            raise InputError(
                f"{count} windows of {length} tokens were asked for; the text gives {len(tokens) // length}"
            )
        chosen, characters = [], 0
        while taken < len(passages) and characters < (needed - len(tokens)) * _CHARACTERS_A_TOKEN:
            chosen.append(shuffled[taken])
            characters += len(chosen[-1])
            taken += 1
        tokens += _tokens(tokenizer, JOIN.join(chosen) + JOIN)
    return torch.tensor(tokens[:needed]).view(count, length)


@torch.inference_mode()
def walk(
    anatomy: Anatomy,
    windows: Tensor,
    report: Callable[[int, int], None],
    on_block: OnBlock | None = None,
    on_norm: OnNorm | None = None,
) -> None:
    """Run windows [windows, tokens] through the blocks one at a time, showing visitors what passes.

    on_block sees each block's input and output, on_norm the input of each norm on the residual stream (a block's,
    then the final one), in the order of the forward pass. Visitors must not keep or change the tensors. The head does
    not run.
    """
    hooks = []
    for index, block in enumerate(anatomy.blocks):
        if on_block is not None:
            hooks.append(block.module.register_forward_hook(_block_hook(index, on_block)))
        norms = [norm for norm, _ in block.readers]
        hooks += [norm.register_forward_hook(_norm_hook(on_norm)) for norm in norms if on_norm is not None]
    if on_norm is not None:
        hooks.append(anatomy.final_norm.register_forward_hook(_norm_hook(on_norm)))
    try:
        with streamed(anatomy.network, anatomy.device):
            for done, window in enumerate(windows):
                report(done, len(windows))
                anatomy.base(input_ids=window.unsqueeze(0).to(anatomy.device), use_cache=False)
        report(len(windows), len(windows))
    finally:
        for hook in hooks:
            hook.remove()


def _shuffled(passages: list[str], seed: int) -> list[str]:
    order = torch.randperm(len(passages), generator=torch.Generator().manual_seed(seed)).tolist()
    return [passages[place] for place in order]


def _first_tokens(text: str, tokenizer: PreTrainedTokenizerBase, count: int) -> list[int]:
    """The first `count` tokens of a text, or all of a short one's: a long one takes memory and time by what is read."""
    characters = (count + _CUT_TOKENS) * _CHARACTERS_A_TOKEN
    while True:
        tokens = _tokens(tokenizer, text[:characters])
        if characters >= len(text) or len(tokens) >= count + _CUT_TOKENS:
            return tokens[:count]
        characters *= 2


def _tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _block_hook(index: int, visit: OnBlock) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        visit(index, args[0].flatten(0, 1), output.flatten(0, 1))

    return hook


def _norm_hook(visit: OnNorm) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        visit(module, args[0].flatten(0, -2))

    return hook
