"""One trial from beginning to end, in a process of its own: load -> compress -> measure.

    python -m engine.trial < job.json        {"trial": …, "measures": […], "work_dir": …}

Events go to standard output as they happen (see `engine.events`), so a failure late in the trial loses nothing that
was measured before. Quality is measured on the dequantized weights in fp32; memory and latency on the
packed checkpoint.
"""

import gc
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine import (
    assets,
    calibration,
    checkpoint,
    entry,
    kept_files,
    latency_cells,
    layer_errors,
    models,
    perplexity_text,
    sensitivity,
    sources,
    streaming,
    tasks,
)
from engine.anytime import Schedule
from engine.errors import InputError
from engine.events import Events
from engine.formats import EXPANDED, ZEROS_KERNEL
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.measure import block_sensitivity, environment, latency, latency_grid, memory, perplexity, size, zero_shot
from engine.measure.layers import Layers
from engine.measure.next_words import NextWords
from engine.measure.peak import peak_bytes
from engine.measure.timing_lock import WAITING, timing_lock
from engine.measure.zero_shot import Answer, Evaluator
from engine.methods import compress
from engine.models import LanguageModel
from engine.sources import Source
from engine.spec import Trial, length_notes
from engine.streaming import streamed
from engine.tasks import Item

KERNEL_WINDOWS = 2
LATENCY_METRICS = (
    *("prefill_ms", "prefill_spread_ms", "decode_ms_per_token", "decode_spread_ms", "decode_tokens_per_s"),
    *("prefill_speedup", "prefill_speedup_low", "prefill_speedup_high"),
    *("decode_speedup", "decode_speedup_low", "decode_speedup_high"),
)


class Sized(NamedTuple):
    """What counting a result's bytes tells of timing it: why it is simulated and why no kernel runs it, if so."""

    simulated: str = ""
    no_kernel: str = ""


@dataclass(frozen=True)
class Job:
    """A trial, the measures wanted of it, and an empty folder that is deleted afterwards."""

    trial: Trial
    measures: tuple[str, ...]
    work_dir: Path
    share: float | None = None  # of the questions, in the order of an anytime sweep; None for all
    answered: Mapping[str, Sequence[Answer]] = field(default_factory=dict)  # by task, what is known already
    halfway: Path | None = None  # where the compressed model lies, or is to be kept, between shares

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Job":
        trial, work_dir = Trial.from_dict(values["trial"]), Path(values["work_dir"])
        halfway = Path(values["halfway"]) if values.get("halfway") else None
        measures, answered = tuple(values["measures"]), values.get("answered", {})
        return Job(trial, measures, work_dir, values.get("share"), answered, halfway)

    @property
    def threads(self) -> int:
        return self.trial.protocol.threads or environment.cpu_threads()

    @property
    def packed(self) -> Path:
        """The folder of the packed checkpoint."""
        return self.work_dir / "packed"


def run(job: Job, events: Events) -> None:
    """Compress the trial's model and measure what the job asks for, telling `events`; raises what goes wrong."""
    refuse_absent_device(job.trial)
    sensitivity.refuse_beside(job.measures, job.trial.recipe)
    torch.set_num_threads(job.threads)
    events.environment(environment.describe() | {"threads": job.threads} | _accelerator(job))
    if go_on(job, events):
        return
    source, model = load(job, events)
    if sensitivity.NAME in job.measures:
        measure_sensitivity(job, model, events)
        return
    asked = questions(job, model) if "accuracy" in job.measures else {}
    words = next_words(job, source, model, events)
    dense = dense_layers(job, model, events)
    compress_model(job, model, events)
    keep_halfway(job, model)
    sized = measure_size(job, model, events)
    network = checkpoint.evaluated(model)
    if dense is not None:
        measure_layers(dense, model, network, events)
    with streamed(network, model.device):
        if words is not None:
            measure_perplexity(job, network, words, events)
        if "accuracy" in job.measures:
            measure_accuracy(job, asked, network, model.tokenizer, events)
    del model, network, words, dense
    release(job)
    if "memory" in job.measures:
        measure_memory(job, events)
    if "latency" in job.measures:
        measure_latency(job, source, sized, events)
    if "latency_grid" in job.measures:
        measure_latency_grid(job, source, sized, events)


def go_on(job: Job, events: Events) -> bool:
    """Answer more questions with the model that answered the others; False where it is not kept or damaged."""
    if job.halfway is None or not job.halfway.is_dir() or job.measures != ("accuracy",):
        return False
    events.stage("load")
    refuse_changed_data(job.trial)
    try:
        model = checkpoint.load(job.halfway, torch.float32)
    except InputError:
        kept_files.delete(job.halfway)
        return False
    asked, network = questions(job, model), checkpoint.evaluated(model).to(job.trial.protocol.device)
    measure_accuracy(job, asked, network, model.tokenizer, events)
    return True


def keep_halfway(job: Job, model: LanguageModel) -> None:
    """Keep the model for further questions, where there will be any and the disk has room.

    Not one that is streamed: it would be loaded whole.
    """
    if job.halfway is None or job.share == 1 or model.network.device.type != model.device.type:
        return
    with suppress(InputError, OSError), kept_files.written_whole(job.halfway) as partial:
        checkpoint.save(model, partial, exact=True)


def refuse_absent_device(trial: Trial) -> None:
    """Raise InputError where the protocol names a GPU and there is none."""
    if trial.protocol.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda needs a GPU that torch can use, and there is none here; use device=cpu")


def load(job: Job, events: Events) -> tuple[Source, LanguageModel]:
    """The dense model in fp32; raises InputError where it or the data is not what the trial's id covers."""
    events.stage("load")
    trial = job.trial
    source = find_source(trial)
    refuse_changed_data(trial)
    model = models.load_to_run(source, trial.protocol.device)
    if model.network.device.type != model.device.type:
        events.note(streaming.NOTE)
    return source, model


def find_source(trial: Trial) -> Source:
    """The model that the trial's id covers; raises InputError where it is gone or has changed."""
    source = sources.resolve(trial.model, trial.revision)
    if source.weights_sha256 != trial.weights_sha256:
        raise InputError(f"the model {trial.model!r} has changed since the trial was made; submit it again")
    return source


def refuse_changed_data(trial: Trial) -> None:
    """Raise InputError where a text or a task's file is not the one that the trial's id covers."""
    folder = Path(trial.data_dir) if trial.data_dir else None
    for name, sha256 in trial.data_sha256:
        match name:
            case "text":
                found = assets.text_sha256()
            case perplexity_text.NAME:
                found = perplexity_text.sha256(trial.protocol.perplexity_text, folder)
            case _:
                found = tasks.task_sha256(name, folder)
        if found != sha256:
            raise InputError(f"the data of {name!r} has changed since the trial was made; submit it again")


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


def compress_model(job: Job, model: LanguageModel, events: Events) -> None:
    """Apply the recipe and keep the packed checkpoint, which memory and latency are measured on."""
    recipe, protocol = job.trial.recipe, job.trial.protocol
    events.stage("compress")
    windows = calibration.calibration_windows(model.tokenizer, protocol) if recipe.calibrated else None

    def report(stage: str, done: int, total: int) -> None:
        events.staged_progress(f"compress: {stage}", done, total)

    compress(model, recipe, windows, report)
    for note in model.notes:
        events.note(note)
    if "memory" in job.measures:
        if recipe.steps:
            events.metrics({"compress_peak_memory_bytes": peak_bytes()})
        else:
            events.missing(["compress_peak_memory_bytes"], "nothing was compressed")
    checkpoint.save(model, job.packed)


def measure_layers(dense: Layers, model: LanguageModel, network: PreTrainedModel, events: Events) -> None:
    """The error of the state after every block and of every linear, as a profile."""
    events.stage("layers", len(dense.windows))
    events.profile(layer_errors.NAME, dense.measure(model, network, events.progress).to_dict())


def measure_size(job: Job, model: LanguageModel, events: Events) -> Sized:
    """Count bytes and parameters, and say whether the result is simulated."""
    events.stage("size")
    measured = size.measure(model, job.packed)
    events.simulated(measured.simulated)
    if job.trial.protocol.device == "cuda":
        events.environment({ZEROS_KERNEL: measured.zeros_kernel})
    if measured.simulated:
        events.note(f"Simulated: {measured.reason}.")
    if "size" in job.measures:
        events.metrics(measured.metrics)
    packed = [layer for layer in model.network.modules() if isinstance(layer, PackedLinear)]
    if packed and job.trial.protocol.device == "cpu":
        found = {layer.expands_to for layer in packed}
        events.environment({EXPANDED: found.pop() if len(found) == 1 else ""})
    widths = sorted({layer.matrix.bits for layer in packed if not has_kernel(layer.matrix)})
    unrun = [f"runs {' and '.join(f'{bits}-bit' for bits in widths)} weights packed"] if widths else []
    unrun += [f"reads a {model.kv_cache.bits}-bit KV cache"] if model.kv_cache is not None else []
    if not unrun:
        return Sized(measured.reason)
    no_kernel = f"no kernel {' or '.join(unrun)} here; timing the simulation would time something else"
    return Sized(measured.reason, no_kernel)


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
        known |= {answer["id"]: answer for answer in evaluator.answer(more, events.progress)}
        answers = [known[item.id] for item in items]
        events.items(task, answers)
        answered[task] = (items, answers)
    events.metrics(zero_shot.metrics(answered))


def questions(job: Job, model: LanguageModel) -> dict[str, list[Item]]:
    """The items to answer, by task; raises InputError where the model can't, before it is worked on."""
    asked = shared_questions(job)
    zero_shot.refuse_unscorable(model.network, model.tokenizer, list(chain.from_iterable(asked.values())))
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


def measure_sensitivity(job: Job, model: LanguageModel, events: Events) -> None:
    """How much the loss rises where one block alone is compressed, kept as a profile."""
    with streamed(model.network, model.device):
        found = block_sensitivity.measure(model, job.trial.protocol, events.staged_progress)
    events.profile(sensitivity.NAME, found.to_dict())


def measure_memory(job: Job, events: Events) -> None:
    """Peak memory of a fresh process that loads the packed checkpoint and generates."""
    events.stage("memory")
    events.metrics({"peak_memory_bytes": memory.measure(job.packed, job.trial.protocol, job.threads)})


def measure_latency(job: Job, source: Source, sized: Sized, events: Events) -> None:
    """Prefill and decoding times against the dense model's, with the machine to ourselves."""
    if sized.no_kernel:
        events.missing(LATENCY_METRICS, sized.no_kernel)
        events.notes("latency", [])
        return
    with timing_lock(on_wait=lambda: events.stage(WAITING)):
        events.stage("latency")
        timing = latency.measure(*sides(job, source), job.trial.protocol, events.progress)
    events.environment(timing.facts)
    events.metrics(timing.metrics)
    events.notes("latency", timing.notes)


def measure_latency_grid(job: Job, source: Source, sized: Sized, events: Events) -> None:
    """The same times over batches and prompts, as a profile; nothing for what is simulated."""
    if sized.simulated or sized.no_kernel:
        events.notes("latency_grid", ["Not timed by batch and prompt: a simulated result has no time of its own."])
        return
    with timing_lock(on_wait=lambda: events.stage(WAITING)):
        events.stage("latency by batch and prompt")
        grid = latency_grid.measure(*sides(job, source), job.trial.protocol, events.progress)
    events.profile(latency_cells.NAME, grid.to_dict())
    events.notes("latency_grid", [])


def sides(job: Job, source: Source) -> tuple[latency.Load, latency.Load | None]:
    """What loads the dense network and, of a recipe with steps, the packed one in a number format."""
    device = job.trial.protocol.device

    def dense(dtype: torch.dtype) -> nn.Module:
        network: nn.Module = models.load(source, dtype, device).network
        return network

    def compressed(dtype: torch.dtype) -> nn.Module:
        network: nn.Module = checkpoint.load(job.packed, dtype, device).network
        return network

    return dense, compressed if job.trial.recipe.steps else None


def release(job: Job) -> None:
    """Give back the memory of what went out of scope, before other networks are loaded and timed."""
    gc.collect()
    if job.trial.protocol.device == "cuda":
        torch.cuda.empty_cache()


def _accelerator(job: Job) -> dict[str, str]:
    return {"gpu": torch.cuda.get_device_name()} if job.trial.protocol.device == "cuda" else {}


def work(content: Mapping[str, Any], events: Events) -> None:
    """Run the trial of a job's content, as the process of a trial does."""
    run(Job.from_dict(content), events)


if __name__ == "__main__":
    entry.main(work)
