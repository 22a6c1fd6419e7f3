"""A compressed model as files, made again from its recipe, in a process of its own.

    python -m engine.running.export < job.json {"trial": …, "folder": …, "work_dir": …, "format": "plain" | "packed", …}

Compression is deterministic, so what is exported is what was measured. The events are those of a trial.
With a `card`, that text is the folder's README; with `yields` it stands still, between its steps, while a timing has
the machine. `work_dir` lies beside the folder; whoever started this deletes it (see `engine.running.exporter`).
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints import checkpoint
from engine.measure.timing_lock import WAITING, stand_aside
from engine.running import model_card, trial_model
from engine.running.job import Job
from engine.spec import Trial
from engine.system import entry
from engine.system.events import Events


def export(values: Mapping[str, Any], events: Events) -> None:
    """Compress the trial's model and write it; the folder gets its name once it is whole."""
    folder = Path(values["folder"])
    job = Job(Trial.from_dict(values["trial"]), (), Path(values["work_dir"]))
    trial_model.refuse_absent_device(job.trial)
    torch.set_num_threads(job.threads)
    if values.get("yields"):
        events.pause = lambda: stand_aside(on_wait=lambda: events.stage(WAITING))
    _, model = trial_model.load(job.trial, events)
    trial_model.compress(job.trial, model, events)
    checkpoint.save(model, job.packed)
    events.stage("write")
    made = job.packed
    if values["format"] == "plain":
        made = job.work_dir / "plain"
        checkpoint.export_plain(model, made)
    if card := values.get("card"):
        (made / model_card.FILE).write_text(card, encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    shutil.move(made, folder)


if __name__ == "__main__":
    entry.main(export)
