"""Task files of lm-evaluation-harness with the data set replaced by records written down here."""

import json
from pathlib import Path

import lm_eval
import yaml
from lm_eval.tasks import TaskManager

TASKS = Path(lm_eval.__file__).parent / "tasks"


def write(folder, name, records, include=None, **config):
    """`<name>.yaml` in the folder, whose every split is the records; `include` is a file below lm-eval's tasks."""
    data = folder / f"{name}.records.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    splits = dict.fromkeys(("train", "validation", "test"), str(data))
    base = {"include": str(TASKS / include)} if include else {}
    content = {
        **base,
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": splits},
        **config,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))


def load(folder, name):
    """lm-eval's own task object, its requests built."""
    task = TaskManager(include_path=str(folder), include_defaults=False).load(name)["tasks"][name]
    task.set_config(key="num_fewshot", value=0)
    task.build_all_requests()
    return task
