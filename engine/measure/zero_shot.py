"""Zero-shot accuracy by log-likelihood, with the numbers of lm-evaluation-harness 0.4.13 (`hf`, fp32).

The rules that make them equal: the context's trailing spaces move to the continuation; the continuation's tokens are
those of the whole after as many as the context alone has; sequences are cut from the left to the model's length; a
choice's score is the sum of its tokens' log-probabilities; ties go to the first choice. What differs is the work: the
head runs at scored positions only, and choices that differ in their last token share one pass.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from engine.errors import InputError
from engine.measure.logits import Logits
from engine.tasks import Item, chance, get

_BATCH_TOKENS = {"cpu": 512, "cuda": 16384}  # padded; on a CPU small enough to report every second or so
_LENGTHS = ("n_positions", "max_position_embeddings", "n_ctx")
_UNSET_LENGTH = 10**9  # a tokenizer without a limit gives an absurd one
_DEFAULT_LENGTH = 2048


class Answer(TypedDict):
    """How a model answered an item, as `--json` writes it; `choice` and `correct` follow acc.

    choice is None where a log-likelihood is not a number; choice_norm divides by the characters of the choices.
    """

    id: int
    loglikelihoods: list[float]
    choice: int | None
    choice_norm: int | None
    correct: bool


@dataclass(frozen=True)
class _Pass:
    """One sequence to run, and what is read from it: (item, choice, the tokens scored at its end)."""

    tokens: tuple[int, ...]
    scored: list[tuple[int, int, list[int]]] = field(default_factory=list)


def evaluate(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[Item],
    report: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Every item's answer, in the order given.

    report: called after each batch with the items answered and their number. Raises InputError for an item without a
    token to score, or with more than the model's length of them.
    """
    scores = [[0.0] * len(item.requests) for item in items]
    open_choices = [len(item.requests) for item in items]
    logits = Logits(network)
    passes = _passes(items, Encoder(tokenizer), max_length(network, tokenizer))
    for batch in _batches(passes, _BATCH_TOKENS.get(logits.device.type, 512)):
        for (i, choice, _), score in zip(_scored(batch), _scores(logits, batch), strict=True):
            scores[i][choice] = score
            open_choices[i] -= 1
        if report:
            report(open_choices.count(0), len(items))
    return [_answer(item, sums) for item, sums in zip(items, scores, strict=True)]


def metrics(answered: Mapping[str, tuple[Sequence[Item], Sequence[Answer]]]) -> dict[str, float]:
    """accuracy, accuracy_norm and accuracy_chance, macro means over the tasks, and the first two of every task.

    answered: task name -> its items and their answers, paired and not empty. A task for which acc_norm is not defined
    counts with its acc.
    """
    values: dict[str, float] = {}
    for task, (items, answers) in answered.items():
        norm = "choice_norm" if get(task).normalised else "choice"
        values[f"accuracy_{task}"] = _mean(answer["correct"] for answer in answers)
        values[f"accuracy_norm_{task}"] = _mean(
            answer[norm] == item.gold  # type: ignore[literal-required]
            for item, answer in zip(items, answers, strict=True)
        )
    for name in ("accuracy", "accuracy_norm"):
        values[name] = _mean(values[f"{name}_{task}"] for task in answered)
    return {**values, "accuracy_chance": _mean(chance(items) for items, _ in answered.values())}


class Encoder:
    """Text to tokens as lm-evaluation-harness does it: with the tokenizer's own special tokens, if it adds any."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer: Any = tokenizer
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.prefix: int | None = bos if bos is not None else eos
        self.prefix_text: str | None = None if self.prefix is None else self.tokenizer.decode(self.prefix)
        self._known: dict[str, list[int]] = {}  # contexts repeat for each of their choices

    def pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The tokens of the context and of the continuation; an empty context becomes the first special token."""
        if not context:
            tokens = self._encode(continuation, add_special_tokens=False)
            if self.prefix is None or tokens[:1] == [self.prefix]:
                return tokens[:1], tokens[1:]
            return [self.prefix], tokens
        kept = context.rstrip()
        whole = self.encode(context + continuation)
        if kept not in self._known:
            self._known[kept] = self.encode(kept)
        return self._known[kept], whole[len(self._known[kept]) :]

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


def _passes(items: Sequence[Item], encoder: Encoder, longest: int) -> list[_Pass]:
    """The sequences to run, longest first; requests whose tokens differ in the last one only share a sequence."""
    passes: dict[tuple[int, ...], _Pass] = {}
    for i, item in enumerate(items):
        for choice, (context, continuation) in enumerate(item.requests):
            before, scored = encoder.pair(context, continuation)
            if not before or not 0 < len(scored) <= longest:
                raise InputError(
                    f"item {item.id}, choice {choice}: {len(before)} tokens of context and {len(scored)} to score; "
                    f"each needs one at least, and the model reads {longest}"
                )
            tokens = tuple((before + scored)[-(longest + 1) : -1])
            passes.setdefault(tokens, _Pass(tokens)).scored.append((i, choice, scored))
    return sorted(passes.values(), key=lambda one: -len(one.tokens))


def _batches(passes: Sequence[_Pass], budget: int) -> Iterator[list[_Pass]]:
    """Runs of passes whose padded tokens stay within the budget; a longer pass goes alone. The first is the longest."""
    start = 0
    while start < len(passes):
        rows = max(1, budget // len(passes[start].tokens))
        yield list(passes[start : start + rows])
        start += rows


def _scores(logits: Logits, batch: Sequence[_Pass]) -> list[float]:
    """The log-likelihood of everything scored in a batch, in the order of `_scored`."""
    tokens = torch.zeros(len(batch), len(batch[0].tokens), dtype=torch.long)
    for row, one in enumerate(batch):
        tokens[row, : len(one.tokens)] = torch.tensor(one.tokens)
    spans = [max(len(scored) for _, _, scored in one.scored) for one in batch]
    ends = [len(one.tokens) for one in batch]
    rows = torch.repeat_interleave(torch.arange(len(batch)), torch.tensor(spans))
    positions = torch.cat([torch.arange(end - span, end) for end, span in zip(ends, spans, strict=True)])
    offsets = torch.tensor(spans).cumsum(0).tolist()  # where each pass ends among the wanted positions
    wanted = [
        (range(offset - len(scored), offset), scored)
        for one, offset in zip(batch, offsets, strict=True)
        for _, _, scored in one.scored
    ]
    places = torch.tensor([place for span, _ in wanted for place in span])
    targets = torch.tensor([token for _, scored in wanted for token in scored])
    each = _token_scores(logits.at(tokens, rows, positions), places, targets)
    parts = torch.split(each, [len(scored) for _, scored in wanted])  # type: ignore[no-untyped-call]
    return [part.sum().item() for part in parts]


def _token_scores(pieces: Iterator[tuple[slice, Tensor]], places: Tensor, targets: Tensor) -> Tensor:
    """The log-probability of each target at its place among the wanted positions, [targets] in fp32."""
    result = torch.empty(len(targets))
    for piece, log_probabilities in pieces:
        here = (places >= piece.start) & (places < piece.start + len(log_probabilities))
        rows, columns = (places[here] - piece.start), targets[here]
        result[here] = log_probabilities[rows.to(log_probabilities.device), columns.to(log_probabilities.device)].cpu()
    return result


def _scored(batch: Sequence[_Pass]) -> list[tuple[int, int, list[int]]]:
    return [entry for one in batch for entry in one.scored]


def _answer(item: Item, sums: list[float]) -> Answer:
    normed = [s / n if n else -math.inf for s, n in zip(sums, item.lengths, strict=True)]
    choice = _argmax(sums)
    return Answer(
        id=item.id, loglikelihoods=sums, choice=choice, choice_norm=_argmax(normed), correct=choice == item.gold
    )


def _argmax(values: list[float]) -> int | None:
    """The first of the largest; None where one is not a number."""
    return None if any(map(math.isnan, values)) else values.index(max(values))


def _mean(values: Any) -> float:
    listed = [float(value) for value in values]
    return sum(listed) / len(listed)
