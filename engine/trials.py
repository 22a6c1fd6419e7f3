"""From a user's words (a model's name, recipes, a protocol, a data folder) to trials that know what they are about.

All that can be wrong is found here, before any work: a model or task that does not exist, a model that can't be loaded,
a method that does not know its family, settings that do not fit its shape, a task file that can't be read. Torch-free,
and quick when asked again, so pages call it at every rerun.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from engine import assets, paths, perplexity_text, tasks
from engine.errors import InputError
from engine.network import sources
from engine.network.loadable import refuse_unloadable
from engine.network.sources import Source
from engine.spec import Protocol, Recipe, Sweep, Trial, refuse_length, refuse_misfits, refuse_unknown
from engine.spec.quantize import Rtn


def make_trials(sweep: Sweep, data_dir: Path | None = None) -> list[Trial]:
    """The trials of a sweep, in its order.

    data_dir: where `<task>.jsonl` files lie that go before the default data; KNEEPOINT_DATA unless given.
    Raises InputError, one sentence, for whatever of it can't be measured here.
    """
    source = find_model(sweep.model)
    _refuse(source, sweep.recipes)
    refuse_length(sweep.protocol, source.config)
    folder = data_dir or paths.data_dir()
    protocol = replace(sweep.protocol, perplexity_text=perplexity_text.absolute(sweep.protocol.perplexity_text))
    data = _data_sha256(protocol, folder)
    return [_trial(source, recipe, protocol, data, folder) for recipe in sweep.recipes]


def make_trial(model: str, recipe: Recipe, protocol: Protocol, data_dir: Path | None = None) -> Trial:
    """The trial of one recipe; raises InputError as `make_trials` does."""
    return make_trials(Sweep(model, protocol, (recipe,)), data_dir)[0]


def make_unmeasured(model: str, recipe: Recipe, protocol: Protocol | None = None) -> Trial:
    """A trial to compress and not to measure, which needs no task's data; raises InputError as `make_trials` does."""
    source = find_model(model)
    _refuse(source, [recipe])
    return _trial(source, recipe, protocol or Protocol(), [], None)


def make_sensitivity(model: str) -> Trial:
    """The trial whose sensitivity is measured: the dense model, which reads calibration text and nothing else.

    It is none of those that others are compared with, so that measuring, cancelling or failing changes no result.
    Raises InputError where the model can't be found, or methods don't know its family.
    """
    source, alone = find_model(model), Recipe((Rtn(),))
    refuse_unknown(alone, source.config)
    return _trial(source, Recipe(), Protocol(), [("text", assets.text_sha256())], None)


def unmeasured(trial: Trial) -> Trial:
    """The trial without the data that only measuring reads: what compressing again needs."""
    read = ("text",) if trial.recipe.calibrated else ()
    data = tuple((name, sha256) for name, sha256 in trial.data_sha256 if name in read)
    return replace(trial, data_sha256=data, data_dir=None)


def find_model(name: str) -> Source:
    """The model of a name as users write it: the default's, a folder, a hub id, or `hub/id@revision`.

    Raises InputError where there is none, or none that can be loaded.
    """
    source = _resolve(name)
    refuse_unloadable(source)
    return source


def _resolve(name: str) -> Source:
    hub_id, at, revision = name.partition("@")
    if at and not paths.user_path(name, "the model").exists():
        if not revision:
            raise InputError(f"model {name!r} names no revision after its '@'")
        return sources.resolve(hub_id, revision)
    return sources.resolve(name)


def _refuse(source: Source, recipes: Iterable[Recipe]) -> None:
    for recipe in recipes:
        refuse_unknown(recipe, source.config)
        refuse_misfits(recipe, source.config)


def _trial(
    source: Source, recipe: Recipe, protocol: Protocol, data: Iterable[tuple[str, str]], folder: Path | None
) -> Trial:
    return Trial(
        model=source.name,
        revision=source.revision,
        weights_sha256=source.weights_sha256,
        recipe=recipe,
        protocol=protocol,
        data_sha256=tuple(sorted(data)),
        data_dir=str(folder.resolve()) if folder else None,
    )


def _data_sha256(protocol: Protocol, folder: Path | None) -> list[tuple[str, str]]:
    """(name, sha256) of the texts and of every task's file, each read up to the limit to see that it can be."""
    files = {task: tasks.task_files(task, folder) for task in protocol.tasks}
    hashes = [
        (task, _checked_sha256(task, folder, protocol.limit, tuple(map(_stamp, paths))))
        for task, paths in files.items()
    ]
    if protocol.perplexity_text != perplexity_text.HELDOUT:  # whose passages are in the text
        perplexity_text.refuse_short(protocol.perplexity_text, folder, protocol.sequence_length)
        hashes.append((perplexity_text.NAME, perplexity_text.sha256(protocol.perplexity_text, folder)))
    return [*hashes, ("text", assets.text_sha256())]


@lru_cache(maxsize=256)
def _checked_sha256(task: str, folder: Path | None, limit: int, _stamps: tuple[tuple[str, int, int], ...]) -> str:
    tasks.load(task, limit, folder)
    return tasks.task_sha256(task, folder)


def _stamp(path: Path) -> tuple[str, int, int]:
    """What changes when a file does."""
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns
