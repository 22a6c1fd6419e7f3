"""Compressed models kept on disk, so that a text can be generated again without compressing again.

One packed checkpoint a folder, named by its trial's id, made from its recipe. Importable without torch.
"""

from collections.abc import Callable
from pathlib import Path

from engine.paths import cache_dir
from engine.running import exporter
from engine.spec import Trial
from engine.system import kept_files
from engine.system.child import Event, Outcome

BUDGET_BYTES = 4_000_000_000  # of all of them together, the newest one aside


def find(trial: Trial) -> Path | None:
    """The folder of a trial's compressed model, which then counts as new again, or None while it is not kept."""
    folder = _folder(trial)
    if not (folder / "kneepoint.json").is_file():
        return None
    kept_files.use(folder)
    return folder


def make(trial: Trial, on_event: Callable[[Event], None], cancelled: Callable[[], bool]) -> Outcome:
    """Compress a trial's model and keep it, standing still while a timing has the machine; how that ended.

    Others are deleted, those that were not used for longest first, until the rest is within BUDGET_BYTES.
    """
    folder = _folder(trial)
    outcome = exporter.write(trial, "packed", folder, on_event, cancelled, yields=True)
    if outcome.state == "failed" and find(trial):  # another store's lane was quicker
        outcome = Outcome("done")
    if outcome.state == "done":
        kept_files.keep_within(folder, BUDGET_BYTES)
    return outcome


def _folder(trial: Trial) -> Path:
    parent = cache_dir() / "compressed"
    parent.mkdir(exist_ok=True)
    return parent / trial.id
