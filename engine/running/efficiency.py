"""What compression gained: bytes, memory and time of the packed checkpoint, told through the trial's events."""

from typing import NamedTuple

import torch
from torch import nn

from engine import models
from engine.checkpoints import checkpoint
from engine.layers.formats import EXPANDED, ZEROS_KERNEL
from engine.layers.packed_linear import PackedLinear, has_kernel
from engine.measure import latency, latency_grid, memory, size
from engine.measure.peak import peak_bytes
from engine.measure.timing_lock import WAITING, timing_lock
from engine.models import LanguageModel
from engine.network.sources import Source
from engine.outcome import latency_cells
from engine.running.job import Job
from engine.system.events import Events

LATENCY_METRICS = (
    *("prefill_ms", "prefill_spread_ms", "decode_ms_per_token", "decode_spread_ms", "decode_tokens_per_s"),
    *("prefill_speedup", "prefill_speedup_low", "prefill_speedup_high"),
    *("decode_speedup", "decode_speedup_low", "decode_speedup_high"),
)


class Sized(NamedTuple):
    """What counting a result's bytes tells of timing it: why it is simulated and why no kernel runs it, if so."""

    simulated: str = ""
    no_kernel: str = ""


def measure_compressing(job: Job, events: Events) -> None:
    """The peak of this process, once it has compressed."""
    if job.trial.recipe.steps:
        events.metrics({"compress_peak_memory_bytes": peak_bytes()})
    else:
        events.missing(["compress_peak_memory_bytes"], "nothing was compressed")


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
