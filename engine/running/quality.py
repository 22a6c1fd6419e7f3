"""What compression cost: next words, answers and errors by layer, of the dequantized weights in fp32.

What compares with the dense model reads its side before the model is compressed in place. Metrics, answers and profiles
go out through the trial's events.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine import tasks
from engine.analysis.anytime import Schedule
from engine.checkpoints import checkpoint
from engine.errors import InputError
from engine.measure import block_sensitivity, perplexity, zero_shot
from engine.measure.layers import Layers
from engine.measure.next_words import NextWords
from engine.measure.zero_shot import Answer, Evaluator
from engine.models import LanguageModel
from engine.network.sources import Source
from engine.network.streaming import streamed
from engine.outcome import layer_errors, sensitivity
from engine.running.job import Job
from engine.spec import length_notes
from engine.system.events import Events
from engine.tasks import Item

KERNEL_WINDOWS = 2


def next_words(job: Job, source: Source, model: LanguageModel, events: Events) -> NextWords | None:
    """What perplexity is measured on with what the dense model says of it, or None where it is not asked for."""
    if "perplexity" not in job.measures:
        return None
    events.notes("perplexity", length_notes(job.trial.protocol, source.config))
    words = NextWords(job.trial, source, model.tokenizer, job.work_dir / "dense_head.safetensors", events)
    with streamed(model.network, model.device):
        words.read_dense(model.network)
    return words


def dense_layers(job: Job, model: LanguageModel, events: Events) -> Layers | None:
    """The dense model's side of the errors by layer, or None where they are not asked for or nothing is compressed."""
    if "layers" not in job.measures or not job.trial.recipe.steps:
        return None
    found = Layers(model, job.trial.recipe, job.work_dir / "layers")
    events.stage("layers: dense", len(found.windows))
    found.read_dense(model, events.progress)
    return found


def measure_layers(dense: Layers, model: LanguageModel, network: PreTrainedModel, events: Events) -> None:
    """The error of the state after every block and of every linear, as a profile."""
    events.stage("layers", len(dense.windows))
    events.profile(layer_errors.NAME, dense.measure(model, network, events.progress).to_dict())


def measure_perplexity(job: Job, network: nn.Module, words: NextWords, events: Events) -> None:
    """Next words in fp32 beside the dense model's, and the agreement of the packed checkpoint's kernels with fp32."""
    argmax = words.measure(network)
    events.stage("kernel agreement", KERNEL_WINDOWS)
    running = checkpoint.load(job.packed, torch.bfloat16, job.trial.protocol.device)
    said = perplexity.read(running.network, words.windows[:KERNEL_WINDOWS], events.progress).argmax
    events.metrics({"kernel_top1_agreement": perplexity.agreement(said, argmax[:KERNEL_WINDOWS])})


def measure_accuracy(
    job: Job,
    asked: Mapping[str, Sequence[Item]],
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    events: Events,
) -> None:
    """Answer the questions of every task; each task's answers go out as soon as they are there."""
    evaluator = Evaluator(network, tokenizer)
    events.notes("accuracy", [evaluator.note] if evaluator.note else [])
    answered: dict[str, tuple[Sequence[Item], Sequence[Answer]]] = {}
    for task, items in asked.items():
        known = {answer["id"]: answer for answer in job.answered.get(task, ())}
        more = [item for item in items if item.id not in known]
        events.stage(f"accuracy: {task}", len(more))
        with _naming(task):
            known |= {answer["id"]: answer for answer in evaluator.answer(more, events.progress)}
        answers = [known[item.id] for item in items]
        events.items(task, answers)
        answered[task] = (items, answers)
    events.metrics(zero_shot.metrics(answered))


def questions(job: Job, model: LanguageModel) -> dict[str, list[Item]]:
    """The items to answer, by task; raises InputError where the model can't, before it is worked on."""
    asked = shared_questions(job)
    for task, items in asked.items():
        with _naming(task):
            zero_shot.refuse_unscorable(model.network, model.tokenizer, items)
    return asked


def shared_questions(job: Job) -> dict[str, list[Item]]:
    """The protocol's items by task: all up to its limit, or the job's share of them."""
    protocol, folder = job.trial.protocol, Path(job.trial.data_dir) if job.trial.data_dir else None
    every = {task: tasks.load(task, protocol.limit, folder) for task in protocol.tasks}
    if job.share is None:
        return every
    schedule = Schedule({task: len(items) for task, items in every.items()}, protocol.seed)
    asked = {task: chain.from_iterable(schedule.places(task)[: schedule.first(job.share)]) for task in every}
    return {task: [every[task][place] for place in sorted(places)] for task, places in asked.items()}


@contextmanager
def _naming(task: str) -> Iterator[None]:
    """Within, what is refused says of which task it was: an item's number alone fits every task."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{task}, {error}") from None


def measure_sensitivity(job: Job, model: LanguageModel, events: Events) -> None:
    """How much the loss rises where one block alone is compressed, kept as a profile."""
    with streamed(model.network, model.device):
        found = block_sensitivity.measure(model, job.trial.protocol, events.staged_progress)
    events.profile(sensitivity.NAME, found.to_dict())
