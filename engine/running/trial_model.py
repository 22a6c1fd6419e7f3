"""The model of a trial: the dense one that its id covers, and the one that its recipe makes of it."""

from pathlib import Path

import torch

from engine import assets, calibration, methods, models, perplexity_text, tasks
from engine.errors import InputError
from engine.models import LanguageModel
from engine.network import sources, streaming
from engine.network.sources import Source
from engine.spec import Trial
from engine.system.events import Events


def refuse_absent_device(trial: Trial) -> None:
    """Raise InputError where the protocol names a GPU and there is none."""
    if trial.protocol.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device=cuda needs a GPU that torch can use, and there is none here; use device=cpu")


def load(trial: Trial, events: Events) -> tuple[Source, LanguageModel]:
    """The dense model in fp32; raises InputError where it or the data is not what the trial's id covers."""
    events.stage("load")
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


def compress(trial: Trial, model: LanguageModel, events: Events) -> None:
    """Apply the recipe in place; what a reader must know of it goes out as notes."""
    events.stage("compress")
    calibrated = trial.recipe.calibrated
    windows = calibration.calibration_windows(model.tokenizer, trial.protocol) if calibrated else None

    def report(stage: str, done: int, total: int) -> None:
        events.staged_progress(f"compress: {stage}", done, total)

    methods.compress(model, trial.recipe, windows, report)
    for note in model.notes:
        events.note(note)
