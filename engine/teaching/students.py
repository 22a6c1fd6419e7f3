"""What a model and compressed versions of it say next: the teacher and the students of a distillation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from engine.errors import InputError
from engine.layers.weight import inputs_of
from engine.methods import Report, compress
from engine.models import LanguageModel
from engine.network.anatomy import Anatomy
from engine.spec import Recipe, parse
from engine.spec.quantize import PER_CHANNEL
from engine.teaching.next_words import PROMPTS, logits_after
from engine.teaching.pack import Lesson, Sentence, Speaker, numbers

WORDS = (" glass", " Paris", " going", " little")  # that a text goes on with after `PROMPTS`: the hard labels
TOP = 40  # words of every speaker
GROUP = 64


def lesson(load: Callable[[], LanguageModel], windows: Tensor, report: Report) -> Lesson:
    """The logits of a model and of its students after every sentence, over the likeliest words of all of them.

    load: gives a fresh model; windows: calibration tokens [windows, tokens] of the students that need them.
    """
    model = load()
    asked = [(prompt, _first_token(model, prompt, word)) for prompt, word in zip(PROMPTS, WORDS, strict=True)]
    said = {Recipe(): _said(model)}
    wanted = recipes(model.anatomy)
    for done, recipe in enumerate(wanted):
        report("ask compressed students", done, len(wanted))
        model = load()
        try:
            compress(model, recipe, windows, lambda stage, done, total: None)
        except InputError:
            continue  # the family or the sizes of this model don't fit it
        said[recipe] = _said(model)
    report("ask compressed students", len(wanted), len(wanted))
    shown = [_likeliest((one[place] for one in said.values()), label) for place, (_, label) in enumerate(asked)]
    sentences = (
        Sentence(prompt, tuple(model.tokenizer.decode([token]) for token in tokens), tokens.index(label))
        for (prompt, label), tokens in zip(asked, shown, strict=True)
    )
    return Lesson(tuple(sentences), tuple(_speaker(recipe, logits, shown) for recipe, logits in said.items()))


def recipes(anatomy: Anatomy) -> list[Recipe]:
    """The students: fewer bits, a narrower stream, fewer layers."""
    fits = all(inputs_of(layer) % GROUP == 0 for _, layer in anatomy.linears())
    group, count = GROUP if fits else PER_CHANNEL, max(1, len(anatomy.blocks) // 5)
    texts = (
        f"quantize:rtn,bits=4,group_size={group}",
        f"quantize:rtn,bits=3,group_size={group}",
        "slice:slicegpt,fraction=0.1",
        f"prune:layers,count={count}",
    )
    return [parse(text) for text in texts]


def _said(model: LanguageModel) -> list[Tensor]:
    """Logits [vocabulary] after every sentence."""
    return [logits_after(model, prompt) for prompt in PROMPTS]


def _first_token(model: LanguageModel, prompt: str, word: str) -> int:
    """The first token of a word that follows a prompt."""
    before, whole = (model.tokenizer(text)["input_ids"] for text in (prompt, prompt + word))
    return int(whole[len(before)])


def _likeliest(said: Iterable[Tensor], label: int) -> list[int]:
    """The `TOP` likeliest tokens of every speaker and the label, the first speaker's likeliest first."""
    every = list(said)
    tokens = {label}.union(*(logits.topk(min(TOP, len(logits))).indices.tolist() for logits in every))
    return sorted(tokens, key=lambda token: (-float(every[0][token]), token))


def _speaker(recipe: Recipe, said: list[Tensor], shown: list[list[int]]) -> Speaker:
    logits = (numbers(one[tokens].tolist()) for one, tokens in zip(said, shown, strict=True))
    totals = (round(float(torch.logsumexp(one, 0)), 4) for one in said)
    return Speaker(recipe.text, tuple(logits), tuple(totals))
