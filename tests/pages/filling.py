"""Stores with invented results for page tests and benchmarks, written through the store's own interface.

The numbers are made up by simple rules from the recipe; nothing here is ever shown to users.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from zlib import crc32

import numpy as np

from engine.analysis.results import derive
from engine.outcome import layer_errors
from engine.outcome.layer_errors import LayerErrors, LinearErrors
from engine.outcome.row import Progress
from engine.outcome.texts import Text
from engine.spec import DEFAULT_MODEL, MEASURES, Protocol, Recipe, Trial, parse
from engine.store import ItemResult, Job, Queue, Store

Answered = tuple[dict[str, float | None], dict[str, list[ItemResult]]]  # metrics, answers by task
DENSE_BYTES = 269_030_016
TASKS = ("commonsense_qa", "openbookqa", "piqa")
SWEEP = (
    "dense",
    *(f"quantize:rtn,bits={b}" for b in (8, 4, 3, 2)),
    "quantize:rtn,bits=4,group_size=32,symmetric=false",
    *(f"prune:magnitude,sparsity={s}" for s in (0.3, 0.5)),
    *(f"prune:layers,count={n}" for n in (3, 6)),
    *(f"slice:slicegpt,fraction={f}" for f in (0.1, 0.2, 0.3)),
    "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4",
)
ENVIRONMENT = {
    "cpu": "Test CPU",
    "cpu_threads": 2,
    "torch": "2.13.0",
    "kneepoint": "0.1.0",
    "commit": "abc",
    "date": "2026-01-02T03:04:05+00:00",
}


def make_trials(recipes: Sequence[str] = SWEEP, model: str = DEFAULT_MODEL, limit: int = 100) -> list[Trial]:
    protocol = Protocol(tasks=TASKS, limit=limit)
    data = tuple((name, f"{name} of the tests") for name in (*TASKS, "text"))
    return [Trial(model, None, f"weights of {model}", parse(text), protocol, data) for text in recipes]


def fill(store: Store, trials: Sequence[Trial], finish: int | None = None, name: str = "First look") -> int:
    """Submit the trials as one sweep and answer the first `finish` of them (all unless given); the sweep's id."""
    submitted = store.submit(trials, MEASURES, name)
    ticks = count(1_700_000_000, 45)
    with Queue(store, clock=lambda: next(ticks)) as queue:
        dense: dict[str, Answered] = {}
        for _ in range(len(submitted.queued) if finish is None else finish):
            job = queue.claim()
            assert job is not None
            answer(queue, job, dense)
    return submitted.sweep_id


def answer(queue: Queue, job: Job, dense: dict[str, Answered]) -> None:
    """Finish one claimed trial with invented results."""
    trial, trial_id = job.trial, job.trial.id
    metrics, items = invent(trial)
    queue.keep_facts(trial_id, simulated=_simulated(trial.recipe), environment=ENVIRONMENT)
    if not trial.recipe.steps:
        dense[trial.comparison_id] = (metrics, items)
    reference = dense.get(trial.comparison_id)
    own = reference[1] if reference and not trial.recipe.steps else items
    derived = derive(metrics, own, *(reference or (None, None)))
    queue.keep_metrics(trial_id, {**metrics, **derived.metrics}, derived.reasons)
    for task, answers in items.items():
        queue.keep_items(trial_id, task, answers)
    queue.keep_texts(trial_id, write(trial))
    if trial.recipe.steps:
        queue.keep_profile(trial_id, layer_errors.NAME, errors_of(trial).to_dict())
    queue.finish(job)


@contextmanager
def running(store: Store, progress: Progress) -> Iterator[str]:
    """The id of the next trial while it is claimed, as by a worker that lives, and has come this far."""
    with Queue(store) as queue:
        job = queue.claim()
        assert job is not None
        queue.progress(job.trial.id, progress)
        yield job.trial.id


def fail_one(store: Store, reason: str) -> str:
    """Let the next trial fail; its id."""
    with Queue(store) as queue:
        job = queue.claim()
        assert job is not None
        queue.fail(job, reason, "Traceback: somewhere\nMemoryError", "loading\ncompressing")
    return job.trial.id


def trial_of(store: Store, recipe: str) -> str:
    """The id of the recipe's trial."""
    return next(row.trial_id for row in store.rows() if row.recipe == parse(recipe).text)


def write(trial: Trial) -> list[Text]:
    """Two invented texts: one that every model writes, and one whose second word is the recipe's own."""
    own = f" {trial.recipe.text}"
    return [
        Text("A prompt <i>that</i> all", " continue alike", (1, 2), (9, 15)),
        Text("A prompt that each", f" ends{own}", (3, int(trial.id[:8], 16)), (5, 5 + len(own))),
    ]


def errors_of(trial: Trial) -> LayerErrors:
    """Invented errors of two blocks and one linear; of slicing the linear's are not known."""
    sliced = trial.recipe.family == "slice"
    shape = (48, 64) if sliced else (64, 64)
    linear = LinearErrors("mlp.up_proj", (64, 64), (None, None) if sliced else (0.1, 0.2), (shape, shape))
    return LayerErrors(512, (0.05, 0.1), (), sliced, (linear,), "slicing turns them" if sliced else "")


def invent(trial: Trial) -> Answered:
    """Metrics and answers of a trial; the same trial always gives the same."""
    ratio, harm = _effect(trial.recipe)
    random = np.random.default_rng(crc32(trial.recipe.text.encode()))
    shared = np.random.default_rng(7)
    items: dict[str, list[ItemResult]] = {}
    for task in TASKS:
        right = shared.random(trial.protocol.limit) < 0.52
        kept = np.where(random.random(trial.protocol.limit) < harm, random.random(trial.protocol.limit) < 0.3, right)
        items[task] = [ItemResult(n, (0.0, -1.0), int(not ok), int(not ok), bool(ok)) for n, ok in enumerate(kept)]
    accuracy = float(np.mean([np.mean([a.correct for a in answers]) for answers in items.values()]))
    weight = DENSE_BYTES / ratio
    speed = None if _simulated(trial.recipe) else 0.75 + 0.3 * ratio * (0.9 + 0.1 * random.random())
    metrics: dict[str, float | None] = {
        "weight_bytes": weight,
        "checkpoint_bytes": weight + 40_000,
        "resident_weight_bytes": weight if not _simulated(trial.recipe) else DENSE_BYTES,
        "embedding_bytes": 56_623_104.0,
        "head_bytes": 0.0,
        "linears_bytes": max(weight - 56_623_104 - 70_272, 1.0) * 0.94,
        "scales_zeros_bytes": max(weight - 56_623_104 - 70_272, 1.0) * 0.06 if ratio > 1.01 else 0.0,
        "norms_bytes": 70_272.0,
        "other_bytes": 0.0,
        "compression_ratio": ratio,
        "compression_ratio_fp32": 2 * ratio,
        "bits_per_weight": 16 / ratio,
        "parameters": 134_515_008.0,
        "nonzero_parameters": 134_515_008.0,
        "perplexity": 21.6 * float(np.exp(4 * harm)),
        "top1_agreement": 1 - 0.9 * harm if trial.recipe.steps else None,
        "greedy_match_tokens": 32 * (1 - harm),
        "accuracy": accuracy,
        "accuracy_norm": accuracy + 0.01,
        "accuracy_chance": 0.34,
        "decode_speedup": speed,
        "decode_ms_per_token": None if speed is None else 26 / speed,
        "prefill_ms": None if speed is None else 310 / speed,
        "prefill_speedup": speed,
        "peak_memory_bytes": None if _simulated(trial.recipe) else weight * 1.3,
    }
    return metrics, items


def _simulated(recipe: Recipe) -> bool:
    last = recipe.steps[-1] if recipe.steps else None
    return getattr(last, "bits", 8) not in (4, 8) or (last is not None and last.method == "magnitude")


def _effect(recipe: Recipe) -> tuple[float, float]:
    """How many times smaller, and the share of answers that turn to guesses."""
    share, harm = 1.0, 0.0
    for step in recipe.steps:
        if step.family == "quantize":
            bits = getattr(step, "bits", 4)
            share *= 0.21 + 0.79 * (bits + 0.25) / 16
            harm += {8: 0.01, 6: 0.02, 5: 0.03, 4: 0.1, 3: 0.5, 2: 1.0}[bits]
        elif step.method == "magnitude":
            harm += 0.8 * (getattr(step, "sparsity", None) or 0.5) ** 2
        elif step.method == "layers":
            share *= 1 - 0.0263 * getattr(step, "count", 3)
            harm += 0.09 * getattr(step, "count", 3)
        else:
            share *= 1 - 0.8 * getattr(step, "fraction", 0.2)
            harm += 2.2 * getattr(step, "fraction", 0.2)
    return 1 / share, min(harm, 1.0)
