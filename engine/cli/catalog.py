"""`fetch`, `models`, `methods`, `tasks`: what there is."""

import argparse
from dataclasses import fields
from pathlib import Path

from engine import assets, paths
from engine import tasks as all_tasks
from engine.cli.progress_line import ProgressLine
from engine.errors import InputError
from engine.network import sources
from engine.spec import DENSE, METHODS, TASK_GROUPS, Settings
from engine.spec.setting import write


def fetch(args: argparse.Namespace) -> int:
    """Get and verify the default model and data."""
    line = ProgressLine()
    assets.fetch(lambda progress: line.show("fetch", progress))
    line.say(f"{assets.MODEL_NAME} and the data of the tasks are in {paths.cache_dir()}")
    return 0


def models(args: argparse.Namespace) -> int:
    """List the models that need no network."""
    for known in sources.known():
        size = f"{known.parameters / 1e6:.1f} M parameters" if known.parameters else "size unknown"
        fetched = "" if known.ready else "; not fetched yet, run `python -m engine fetch`"
        revision = f"@{known.revision}" if known.revision else ""
        print(f"{known.name}{revision}  {known.model_type}, {size} ({known.origin}{fetched})")
    print(
        "Besides: any folder in Hugging Face format with safetensors, any causal LM of the hub: owner/name[@revision]."
    )
    return 0


def methods(args: argparse.Namespace) -> int:
    """List every method with its paper, its settings and what is real about its results."""
    print(f"{DENSE}  The model as it is.")
    for name, method in METHODS.items():
        print(f"\n{name}  {method.summary}")
        print(f"  paper: {method.paper}")
        print(f"  real: {method.real}")
        print(f"  families: {', '.join(method.families())}" + ("; reads calibration text" if method.calibrated else ""))
        rows = _settings(method)
        width = [max(len(row[i]) for row in rows) for i in range(3)]
        for row in rows:
            print("    " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, width, strict=False)) + f"  {row[3]}")
    return 0


def tasks(args: argparse.Namespace) -> int:
    """List the tasks, how many items of each there are here and where they come from."""
    folder = data_folder(args.data)
    for task in all_tasks.overview(folder):
        items = "not here" if task.items is None else f"{task.items:,} items"
        print(f"{task.name:<16}{items:>12}  {task.summary} ({_origin(task)})")
    for group, members in TASK_GROUPS.items():
        print(f"{group:<16}{'':>12}  {', '.join(members)}")
    print("Besides: lm_eval:<name>, any task of an installed lm-eval that log-likelihoods answer.")
    return 0


def data_folder(given: str | None) -> Path | None:
    """The folder of --data, which goes before KNEEPOINT_DATA; raises InputError where it is no folder."""
    folder = paths.data_dir() if given is None else paths.user_path(given, "--data")
    if folder is not None and not folder.is_dir():
        raise InputError(f"the data folder {str(folder)!r} does not exist or is no folder")
    return folder


def _origin(task: all_tasks.Overview) -> str:
    """Where a task's items come from, or in a few words what it takes to have some."""
    if task.items is None:
        if all_tasks.TASKS[task.name].hub is None:
            return "run `python -m engine fetch`"
        return f"{task.origin}, or give a folder with {task.name}.jsonl as --data"
    return task.origin + (f", {task.rejected} records rejected" if task.rejected else "")


def _settings(method: type[Settings]) -> list[tuple[str, str, str, str]]:
    """Name, type and default, range, and help of every setting."""
    rows = []
    for f in fields(method):  # type: ignore[arg-type]
        kind = f.metadata["kind"].__name__ + ("s joined by +" if f.metadata["many"] else "")
        default = "not given" if f.default is None else write(f.default)
        limits = f.metadata["range"]
        bounded = limits.choices or limits.low is not None
        rows.append((f.name, f"{kind} = {default}", str(limits) if bounded else "", f.metadata["help"]))
    return rows
