"""The child of `engine.tasks.harness`: the items of one task of lm-evaluation-harness, as JSON lines.

    python -m engine.tasks.harness_items NAME FILE [FOLDER]      FOLDER holds task files of the user's own

Takes tasks whose answers log-likelihoods decide: `multiple_choice`, each choice scored behind its context, and
`loglikelihood`, one continuation that counts as right where it is what the model would write. Whatever would need
another score (generated text, several right answers, rules written in Python) is refused in one sentence.
"""

import json
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.defaults import DEFAULT_OTHER_SEED
from lm_eval.tasks import TaskManager

from engine.errors import InputError
from engine.tasks.harness import PREFIX, REFUSED

_KINDS = ("multiple_choice", "loglikelihood")


def main(name: str, file: str, folder: str | None = None) -> int:
    """Write the items to `file` and print what is known of the task."""
    try:
        task = load(name, folder)
        lines = [json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n" for record in records(name, task)]
    except InputError as error:
        print(error, file=sys.stderr)
        return REFUSED
    Path(file).write_text("".join(lines), encoding="utf-8")
    print(json.dumps({"normalised": "acc_norm" in task.aggregation(), "records": len(lines)}))
    return 0


def load(name: str, folder: str | None = None) -> Any:
    """The harness's own task object; raises InputError for a name or a task that can't be taken."""
    manager = _manager(name, folder)
    if name not in manager.all_tasks:
        near = get_close_matches(name, manager.all_tasks, n=1)
        hint = f"; did you mean '{PREFIX}{near[0]}'?" if near else ""
        raise InputError(f"the installed lm-eval has no task {name!r}{hint}")
    if name not in manager.all_subtasks:
        raise InputError(f"{PREFIX}{name} is a group; name the tasks wanted of it, such as {_member(manager, name)}")
    task = manager.load(name)["tasks"][name]
    refuse(name, task)
    return task


def _manager(name: str, folder: str | None) -> Any:
    """The index that holds the name: the folder's alone where it does, as reading the harness's own takes seconds."""
    if folder is not None:
        own = TaskManager(include_path=folder, include_defaults=False)
        if name in own.all_tasks:
            return own
    return TaskManager()


def refuse(name: str, task: Any) -> None:
    """Raise InputError for a task whose score is more than log-likelihoods of texts compared."""
    why = ""
    if not isinstance(task, ConfigurableTask):
        why = "is written in Python, with rules of its own"
    elif task.OUTPUT_TYPE not in _KINDS:
        why = f"asks for {task.OUTPUT_TYPE}"
    elif callable(task.config.process_results):
        why = "scores answers by a rule of its own"
    elif task.config.doc_to_image or task.config.doc_to_audio:
        why = "shows images or plays sounds"
    elif not {"acc", "acc_norm"} & set(task.aggregation()):
        why = f"has no accuracy, only {', '.join(task.aggregation())}"
    if why:
        raise InputError(f"{PREFIX}{name} {why}; only {' and '.join(_KINDS)} tasks scored by accuracy can be taken")


def records(name: str, task: Any) -> Iterator[dict[str, Any]]:
    """Requests, options and answer of every document, few-shot examples drawn as the harness draws them."""
    if task.config.num_fewshot is None:
        task.set_config(key="num_fewshot", value=0)
    task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
    task.build_all_requests()
    for place, group in groupby(task.instances, key=lambda instance: instance.doc_id):
        instances = list(group)
        asked = [instance.args for instance in instances]
        if task.OUTPUT_TYPE == "loglikelihood":
            yield {"requests": asked, "options": [asked[0][1].strip()], "gold": None}
        else:
            yield _choices(f"{PREFIX}{name}, document {place}", task, instances[0].doc, asked)


def _choices(where: str, task: Any, doc: Any, asked: list[tuple[str, str]]) -> dict[str, Any]:
    """The record of a multiple choice; requests past its choices score them without their context, and are left out."""
    options = task.doc_to_choice(doc)
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    if isinstance(gold, list):
        raise InputError(f"{where} has several right answers; only tasks with one can be taken")
    if isinstance(gold, str) and gold in options:
        gold = options.index(gold)
    if not isinstance(gold, int) or not 0 <= gold < len(options):
        raise InputError(f"{where} has the answer {gold!r}, which is none of its {len(options)} choices")
    return {"requests": asked[: len(options)], "options": options, "gold": int(gold)}


def _member(manager: Any, name: str) -> str:
    """A task of a group or a tag, or of the first group in it."""
    while name not in manager.all_subtasks:
        entry = manager.task_index[name]
        members = sorted(entry.tags) or [member for member in entry.cfg["task"] if member in manager.all_tasks]
        if not members:
            return "those that `lm_eval ls tasks` lists"
        name = members[0]
    return f"{PREFIX}{name}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
