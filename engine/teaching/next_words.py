"""What a model thinks comes next: whole, turned, and cut."""

from collections.abc import Callable

import torch
from torch import Tensor

from engine.measure import perplexity
from engine.methods import Report
from engine.methods.slicegpt import principal_axes, slice_by
from engine.models import LanguageModel
from engine.spec.slicing import SliceGpt
from engine.teaching.pack import Cut, NextWords

PROMPTS = (
    "She poured the milk into the",
    "The capital of France is",
    "He opened the umbrella because it was",
    "Once upon a time there was a",
)
TOP = 50
SHOWN = 5  # of a cut model
FRACTIONS = (0.0, 0.05, 0.1, 0.25)


def next_words(model: LanguageModel) -> tuple[NextWords, ...]:
    """The likeliest next tokens of each prompt with their logits, and the log of the sum over the vocabulary."""
    return tuple(_next_words(model, prompt) for prompt in PROMPTS)


def cuts(load: Callable[[], LanguageModel], covariance: Tensor, heldout: Tensor, report: Report) -> tuple[Cut, ...]:
    """The model after each fraction of its width was deleted, once along the principal axes and once as it comes.

    load: gives a fresh model; covariance: what the axes are taken from, [width, width]; heldout: tokens [windows,
    tokens] of the perplexities. Without the turn, the coordinates of least variance go. A larger cut goes on from a
    smaller one: what it deletes includes the other's.
    """
    made: list[Cut] = []
    for turned, axes in ((True, principal_axes(covariance)), (False, _coordinates(covariance))):
        model, width = load(), len(axes)
        slice_by(model.anatomy, axes, untie=False)
        for fraction in FRACTIONS:
            report("cut the width", len(made), 2 * len(FRACTIONS))
            kept = SliceGpt(fraction=fraction).width(len(axes))
            slice_by(model.anatomy, torch.eye(width, dtype=torch.float64)[:, :kept], untie=False)
            width = kept
            words = tuple(_likeliest(model, prompt) for prompt in PROMPTS)
            found = perplexity.metrics(perplexity.read(model.network, heldout))["perplexity"]
            made.append(Cut(fraction, turned, float(f"{found:.4g}"), words))
    report("cut the width", len(made), len(made))
    return tuple(made)


def _coordinates(covariance: Tensor) -> Tensor:
    """The coordinates themselves as axes [width, width], that of the largest variance first."""
    return torch.eye(len(covariance), dtype=torch.float64)[
        :, covariance.diagonal().argsort(descending=True, stable=True)
    ]


def _next_words(model: LanguageModel, prompt: str) -> NextWords:
    logits = logits_after(model, prompt)
    top = logits.topk(min(TOP, len(logits)))
    words = tuple(model.tokenizer.decode([token]) for token in top.indices.tolist())
    return NextWords(
        prompt, words, tuple(round(x, 4) for x in top.values.tolist()), round(float(logits.logsumexp(0)), 4)
    )


def _likeliest(model: LanguageModel, prompt: str) -> tuple[tuple[str, float], ...]:
    top = logits_after(model, prompt).softmax(0).topk(SHOWN)
    words = (model.tokenizer.decode([token]) for token in top.indices.tolist())
    return tuple((word, float(f"{share:.3g}")) for word, share in zip(words, top.values.tolist(), strict=True))


@torch.inference_mode()
def logits_after(model: LanguageModel, prompt: str) -> Tensor:
    """Logits of the token after a prompt, fp32 [vocabulary]."""
    tokens = model.tokenizer(prompt, return_tensors="pt")["input_ids"].to(model.device)
    logits: Tensor = model.network(input_ids=tokens, use_cache=False).logits[0, -1].float()
    return logits
