"""One trial from beginning to end, in a process of its own: load -> compress -> measure.

    python -m engine.trial < job.json        {"trial": …, "measures": […], "work_dir": …}

Events go to standard output as they happen (see `engine.system.events`), so a failure late in the trial loses nothing
that was measured before. The model comes from `engine.running.trial_model`; dequantized in fp32 it shows its quality
(`engine.running.quality`), as a packed checkpoint its size, memory and time (`engine.running.efficiency`).
"""

import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from engine.checkpoints import checkpoint, fp32
from engine.errors import InputError
from engine.measure import environment
from engine.models import LanguageModel
from engine.network.streaming import streamed
from engine.outcome import sensitivity
from engine.running import efficiency, quality, trial_model
from engine.running.job import Job
from engine.system import entry, kept_files
from engine.system.events import Events
from engine.system.whole_files import written_whole


def run(job: Job, events: Events) -> None:
    """Compress the trial's model and measure what the job asks for, telling `events`; raises what goes wrong."""
    trial_model.refuse_absent_device(job.trial)
    sensitivity.refuse_beside(job.measures, job.trial.recipe)
    torch.set_num_threads(job.threads)
    events.environment(environment.describe() | {"threads": job.threads} | _accelerator(job))
    if go_on(job, events):
        return
    source, model = trial_model.load(job.trial, events)
    if sensitivity.NAME in job.measures:
        quality.measure_sensitivity(job, model, events)
        return
    asked = quality.questions(job, model) if "accuracy" in job.measures else {}
    words = quality.next_words(job, source, model, events)
    dense = quality.dense_layers(job, model, events)
    trial_model.compress(job.trial, model, events)
    if "memory" in job.measures:
        efficiency.measure_compressing(job, events)
    checkpoint.save(model, job.packed)
    keep_halfway(job, model)
    sized = efficiency.measure_size(job, model, events)
    network = fp32.evaluated(model)
    if dense is not None:
        quality.measure_layers(dense, model, network, events)
    with streamed(network, model.device):
        if words is not None:
            quality.measure_perplexity(job, network, words, events)
        if "accuracy" in job.measures:
            quality.measure_accuracy(job, asked, network, model.tokenizer, events)
    del model, network, words, dense
    release(job)
    if "memory" in job.measures:
        efficiency.measure_memory(job, events)
    if "latency" in job.measures:
        efficiency.measure_latency(job, source, sized, events)
    if "latency_grid" in job.measures:
        efficiency.measure_latency_grid(job, source, sized, events)


def go_on(job: Job, events: Events) -> bool:
    """Answer more questions with the model that answered the others; False where it is not kept or damaged."""
    if job.halfway is None or not job.halfway.is_dir() or job.measures != ("accuracy",):
        return False
    events.stage("load")
    trial_model.refuse_changed_data(job.trial)
    try:
        model = checkpoint.load(job.halfway, torch.float32)
    except InputError:
        kept_files.delete(job.halfway)
        return False
    asked, network = quality.questions(job, model), fp32.evaluated(model).to(job.trial.protocol.device)
    quality.measure_accuracy(job, asked, network, model.tokenizer, events)
    return True


def keep_halfway(job: Job, model: LanguageModel) -> None:
    """Keep the model for further questions, where there will be any and the disk has room.

    Not one that is streamed: it would be loaded whole.
    """
    if job.halfway is None or job.share == 1 or model.network.device.type != model.device.type:
        return
    with suppress(InputError, OSError), written_whole(job.halfway) as partial:
        checkpoint.save(model, partial, exact=True)


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
