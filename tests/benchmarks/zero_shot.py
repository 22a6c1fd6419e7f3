"""Our zero-shot evaluation against lm-evaluation-harness 0.4.13, item by item and second by second.

    python -m tests.benchmarks.zero_shot --data DIR [--tasks hellaswag,piqa] [--limit N] [--recipe RECIPE] [--blocks N]

Both answer the same items with the same fp32 network in this process, block of items by block of items in alternating
order; lm-eval runs at whichever of its batch sizes is quickest on a first sample. Prints for each task the largest
difference of a log-likelihood, the answers that differ, the ratio of the times, and how near ours comes to the
arithmetic limit: the FLOP of the trees over the throughput of the network's own matrix products. The exit status is 1
where an answer differs that is no tie. Needs the development requirements and the default model and data.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch import nn
from torch.nn import functional

from engine import models, tasks
from engine.checkpoints import fp32
from engine.measure.zero_shot import Answer, Evaluator, Work
from engine.methods import compress
from engine.models import LanguageModel
from engine.network import sources
from engine.spec import DEFAULT_MODEL, parse
from engine.tasks import Item

TASKS = "hellaswag,piqa,arc_easy,openbookqa,commonsense_qa,social_iqa,boolq"
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
SAMPLE = 12  # items that the batch size is chosen on
TIE = 1e-3  # nats; choices nearer than this may swap places
MATRIX_TOKENS = 512
REPETITIONS = 7


@dataclass
class Outcome:
    """Of one task: seconds of both, and how the answers compare."""

    ours_s: float = 0.0
    theirs_s: float = 0.0
    difference: float = 0.0
    other_answers: list[int] = field(default_factory=list)
    work: Work = field(default_factory=Work)

    @property
    def ratio(self) -> float:
        return self.theirs_s / self.ours_s


def main() -> int:
    asked = parser().parse_args()
    model = load(asked.model, asked.recipe)
    network = fp32.dequantized(model)
    throughput = matrix_throughput(network)
    threads = torch.get_num_threads()
    print(f"{asked.model}, {asked.recipe}, fp32, {threads} threads; {throughput / 1e9:,.0f} GFLOP/s in its products")
    total = Outcome()
    for task in asked.tasks.split(","):
        items = tasks.load(task, asked.limit, asked.data)
        outcome = compare(network, model, items, asked.blocks)
        flop = arithmetic(network, outcome.work)
        print(describe(task, len(items), outcome, flop / throughput), flush=True)
        total.ours_s += outcome.ours_s
        total.theirs_s += outcome.theirs_s
        total.other_answers += outcome.other_answers
    print(f"all together: {total.ratio:.2f} x lm-eval ({total.ours_s:.1f} s against {total.theirs_s:.1f} s)")
    return 1 if total.other_answers else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    made.add_argument("--model", default=DEFAULT_MODEL)
    made.add_argument("--recipe", default="dense")
    made.add_argument("--data", type=Path)
    made.add_argument("--tasks", default=TASKS)
    made.add_argument("--limit", type=int, default=64)
    made.add_argument("--blocks", type=int, default=4)
    return made


def load(name: str, recipe: str) -> LanguageModel:
    model = models.load(sources.resolve(name), torch.float32)
    compress(model, parse(recipe), None, lambda *_: None)
    return model


def compare(network: nn.Module, model: LanguageModel, items: Sequence[Item], blocks: int) -> Outcome:
    """Answer the items with both, a block at a time, and hold the answers against each other."""
    size = best_batch_size(network, model, items[:SAMPLE])
    outcome = Outcome()
    began = time.perf_counter()
    evaluator = Evaluator(network, model.tokenizer)  # once, as in a trial
    outcome.ours_s = time.perf_counter() - began
    cuts = [round(i * len(items) / blocks) for i in range(blocks + 1)]
    for number, (start, end) in enumerate(pairwise(cuts)):
        block = items[start:end]
        if number % 2:
            scores = theirs(network, model, block, size, outcome)
            answers = ours(evaluator, block, outcome)
        else:
            answers = ours(evaluator, block, outcome)
            scores = theirs(network, model, block, size, outcome)
        check(block, answers, scores, outcome)
    return outcome


def ours(evaluator: Evaluator, items: Sequence[Item], outcome: Outcome) -> list[Answer]:
    began = time.perf_counter()
    answers = evaluator.answer(items)
    outcome.ours_s += time.perf_counter() - began
    outcome.work = evaluator.work
    return answers


def theirs(
    network: nn.Module, model: LanguageModel, items: Sequence[Item], size: int, outcome: Outcome | None = None
) -> list[list[tuple[float, bool]]]:
    """(log-likelihood, whether it is what the model would write) [items][choices], of lm-eval's own `hf` model."""
    began = time.perf_counter()
    harness = HFLM(pretrained=network, tokenizer=model.tokenizer, batch_size=size)
    requests = [Instance("loglikelihood", {}, pair, i) for item in items for i, pair in enumerate(item.requests)]
    flat = iter(harness.loglikelihood(requests, disable_tqdm=True))
    scores = [[next(flat) for _ in item.requests] for item in items]
    if outcome:
        outcome.theirs_s += time.perf_counter() - began
    return scores


def best_batch_size(network: nn.Module, model: LanguageModel, items: Sequence[Item]) -> int:
    seconds = {}
    for size in BATCH_SIZES:
        began = time.perf_counter()
        theirs(network, model, items, size)
        seconds[size] = time.perf_counter() - began
    return min(seconds, key=seconds.__getitem__)


def check(
    items: Sequence[Item],
    answers: Sequence[Answer],
    scores: Sequence[Sequence[tuple[float, bool]]],
    outcome: Outcome,
) -> None:
    for item, answer, of in zip(items, answers, scores, strict=True):
        given, reference = answer["loglikelihoods"], [score for score, _ in of]
        outcome.difference = max(outcome.difference, *(abs(a - b) for a, b in zip(given, reference, strict=True)))
        if item.gold is None:
            other = answer["correct"] != all(greedy for _, greedy in of)
        else:
            normed = [score / n if n else -math.inf for score, n in zip(reference, item.lengths, strict=True)]
            other = _differs(answer["choice"], reference) or _differs(answer["choice_norm"], normed)
        if other:
            outcome.other_answers.append(item.id)


def _differs(chosen: int | None, reference: Sequence[float]) -> bool:
    """Whether the choice is not lm-eval's, ties aside."""
    return chosen is None or max(reference) - reference[chosen] > TIE


def matrix_throughput(network: nn.Module) -> float:
    """FLOP/s of the network's own linears at MATRIX_TOKENS tokens, one after the other, the median of REPETITIONS."""
    weights = [layer.weight for layer in network.modules() if isinstance(layer, nn.Linear)]
    inputs = {weight.shape[1]: torch.randn(MATRIX_TOKENS, weight.shape[1]) for weight in weights}
    seconds = []
    with torch.inference_mode():
        for _ in range(REPETITIONS):
            began = time.perf_counter()
            for weight in weights:
                functional.linear(inputs[weight.shape[1]], weight)
            seconds.append(time.perf_counter() - began)
    return 2 * MATRIX_TOKENS * sum(weight.numel() for weight in weights) / median(seconds)


def arithmetic(network: Any, work: Work) -> float:
    """FLOP of the trees: the body's linears for every node, the head where it scores, attention to every ancestor."""
    head = network.get_output_embeddings()
    outside = {id(layer) for layer in head.modules()} if head is not None else set()
    linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    body = sum(layer.weight.numel() for layer in linears if id(layer) not in outside)
    projection = sum(layer.weight.numel() for layer in linears if id(layer) in outside)
    config = network.config.get_text_config()
    width = config.num_attention_heads * getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)
    attention = 4 * width * config.num_hidden_layers
    return 2.0 * body * work.nodes + 2.0 * projection * work.scored + float(attention) * work.attended


def describe(task: str, count: int, outcome: Outcome, limit_s: float) -> str:
    work = outcome.work
    return (
        f"{task:16s} {count:5,d} items: {outcome.ratio:.2f} x lm-eval ({outcome.ours_s:.1f} s, "
        f"{outcome.theirs_s:.1f} s), {limit_s / outcome.ours_s:.0%} of the arithmetic limit; "
        f"{work.separate / work.nodes:.2f} times fewer tokens, "
        f"{work.padded / work.nodes - 1:.1%} padding; largest difference {outcome.difference:.1e}, "
        f"{len(outcome.other_answers)} other answers"
    )


if __name__ == "__main__":
    sys.exit(main())
