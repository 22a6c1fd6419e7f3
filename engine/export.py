"""A compressed model as files, made again from its recipe, in a process of its own.

    python -m engine.export < job.json       {"trial": …, "folder": …, "format": "plain" | "packed"}

Compression is deterministic, so what is exported is what was measured. The events are those of a trial.
"""

import json
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch

from engine import checkpoint, trial
from engine.child import exit_with_parent, leave
from engine.events import Events
from engine.spec import Trial
from engine.trial import Job


def main() -> int:
    """Run the export on standard input; 0 when the folder is there, 1 when it failed and left nothing."""
    events = Events.on_stdout()
    exit_with_parent()
    try:
        export(json.load(sys.stdin), events)
    except Exception as error:
        events.failed(trial.explain(error, events.current), traceback.format_exc())
        return 1
    events.done()
    return 0


def export(values: dict[str, Any], events: Events) -> None:
    """Compress the trial's model and write it; the folder gets its name once it is whole."""
    folder = Path(values["folder"])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work_dir:
        job = Job(Trial.from_dict(values["trial"]), (), Path(work_dir))
        torch.set_num_threads(job.threads)
        _, model = trial.load(job, events)
        trial.compress_model(job, model, events)
        events.stage("write")
        made = job.packed
        if values["format"] == "plain":
            made = Path(work_dir) / "plain"
            checkpoint.export_plain(model, made)
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)


if __name__ == "__main__":
    leave(main())
