import json
from pathlib import Path
from typing import Any

import pytest

from engine.analysis.result_json import front_json
from engine.analysis.words import measured_on
from engine.errors import InputError
from engine.outcome import latency_cells, sensitivity
from engine.outcome.kept import Kept
from engine.outcome.texts import Text
from engine.plots.roofline_lesson import formats
from engine.recorded import FOLDER, entries, pack_answers, read, recorded
from engine.spec import DEFAULT_MODEL
from engine.store import ItemResult
from engine.trials import make_sensitivity
from tests.made_rows import sweep

ROWS = sweep()[0]


def write(folder: Path, content: Any, name: str = "sweep.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_what_front_json_wrote_is_read_back_and_flagged(tmp_path: Path) -> None:
    write(tmp_path, front_json(ROWS))
    rows = recorded(tmp_path)
    assert [(r.trial_id, r.recipe, r.simulated) for r in rows] == [(r.trial_id, r.recipe, r.simulated) for r in ROWS]
    assert all(r.recorded and r.state == "done" for r in rows)
    assert dict(rows[2].metrics) == dict(ROWS[2].metrics)
    assert front_json(rows) == front_json(ROWS)


def test_the_texts_profiles_and_answers_that_front_json_wrote_are_read_back(tmp_path: Path) -> None:
    texts = tuple(Text(f"Prompt {n}", " é!", (7, 8), (2, 3)) for n in range(9))
    profiles = {"layers": {"blocks": [0.1, None]}}
    one, others = ROWS[1].trial_id, {row.trial_id for row in ROWS} - {ROWS[1].trial_id}
    answers = {"piqa": [ItemResult(3, (-1.23456, None), 0, 1, True, False)]}
    write(
        tmp_path,
        front_json(
            ROWS,
            kept_of=lambda trial_id: Kept(texts, profiles) if trial_id == one else Kept(),
            answers_of=lambda trial_id: pack_answers(answers) if trial_id == one else {},
        ),
    )
    found = entries(tmp_path)
    assert found[one].items == {"piqa": [ItemResult(3, (-1.235, None), 0, 1, True, False)]}
    assert {trial_id for trial_id in found if found[trial_id].items} == {one}
    assert found[one].kept == Kept(texts[:5], profiles)
    assert {trial_id: found[trial_id].kept for trial_id in others} == dict.fromkeys(others, Kept((), {}))


def test_what_ships_with_the_package_is_sound() -> None:
    rows = recorded(FOLDER)
    assert all(r.recorded for r in rows)
    assert bool(measured_on(rows)) == bool(rows)


@pytest.mark.fetched
def test_what_each_layer_of_the_default_model_minds_is_recorded_as_the_trial_that_would_measure_it() -> None:
    assert sensitivity.NAME in entries()[make_sensitivity(DEFAULT_MODEL).id].kept.profiles


def broken(**changes: Any) -> list[dict[str, Any]]:
    entry = {**front_json(ROWS)[0], **changes}
    return [{k: v for k, v in entry.items() if v is not None}]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ({}, "expected the list"),
        ([1], "entry 0: expected a mapping"),
        (broken(trial=None), "trial must be a str, got nothing"),
        (broken(texts=[{"prompt": "a", "text": "b", "tokens": [1]}]), "entry 0: texts are not as"),
        (broken(texts=[{"prompt": "a", "text": "b", "tokens": [1], "ends": [2]}]), "rising places"),
        (broken(texts=3), "texts are not as"),
        (broken(profiles={"layers": [1]}), "entry 0: profiles must be mappings"),
        (broken(answers={"piqa": [1]}), "entry 0: answers must be texts"),
        (broken(simulated="no"), "simulated must be a bool, got str"),
        (broken(recipe="quantise:rtn"), "unknown recipe word"),
        (broken(protocol={"limits": 3}), "unknown protocol setting"),
        (broken(metrics={"accuracy": "high"}), "accuracy must be a finite number"),
        ("[" + json.dumps(broken()[0]).replace("269030016.0", "NaN") + "]", "weight_bytes must be a finite number"),
        (broken(environment={"cpu": "x"}), "must name date"),
        (broken(environment={**front_json(ROWS)[0]["environment"], "date": "yesterday"}), "ISO 8601"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(tmp_path: Path, content: Any, says: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=says) as refused:
        read(path)
    assert "sweep.json" in str(refused.value)


def test_a_trial_recorded_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, front_json(ROWS), "a.json")
    write(tmp_path, front_json(ROWS[:1]), "b.json")
    with pytest.raises(InputError, match=r"b\.json: trial 0+ is recorded twice"):
        recorded(tmp_path)


def test_the_roofline_s_packed_formats_were_timed_over_batches() -> None:
    timed = {entry.row.trial_id for entry in entries().values() if latency_cells.NAME in entry.kept.profiles}
    rows = recorded()
    dense = next(row for row in rows if row.recipe == "dense")
    chosen = formats(rows, dense, lambda row: row.trial_id in timed)
    assert {name for name, row in chosen.items() if row.trial_id in timed} == {"bf16", "int8", "int4"}
