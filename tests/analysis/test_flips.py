import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine import tasks
from engine.analysis import flips
from engine.errors import InputError
from engine.spec import Protocol, Recipe, Trial
from engine.store.items import ItemResult
from engine.tasks import Item


def answer(id: int, sums: tuple[float | None, ...], gold: int) -> ItemResult:
    choice = sums.index(max(sums, key=lambda one: one if one is not None else -1e9))
    return ItemResult(id, sums, choice, choice, choice == gold)


def test_flips_stand_right_to_wrong_first_and_the_farthest_swing_before() -> None:
    dense = [answer(0, (-1.0, -2.0, -9.0), 0), answer(1, (-1.0, -5.0, -9.0), 0), answer(2, (-1.0, -2.0, -9.0), 1)]
    dense += [answer(3, (-1.0, -2.0, -9.0), 2), answer(4, (-1.0, -2.0, -9.0), 0)]
    ours = [answer(0, (-3.0, -2.5, -9.0), 0), answer(1, (-3.0, -2.5, -9.0), 0), answer(2, (-3.0, -2.5, -9.0), 1)]
    ours += [answer(3, (-3.0, -2.5, -9.0), 2), answer(4, (-1.0, -2.0, -9.0), 0)]
    found = flips.find_flips({"piqa": ours[::-1]}, {"piqa": dense})
    assert [(f.id, f.direction) for f in found] == [
        (1, "to_wrong"),
        (0, "to_wrong"),
        (2, "to_right"),
        (3, "other_wrong"),
    ]
    assert (found[0].dense_margin, found[0].compressed_margin, found[0].swing) == (4.0, 0.5, 4.5)
    assert [f.gold for f in found] == [0, 0, 1, None]


def test_a_word_to_guess_flips_by_being_right() -> None:
    dense, ours = ItemResult(0, (-1.0,), None, None, True), ItemResult(0, (-3.5,), None, None, False)
    (found,) = flips.find_flips({"lambada_openai": [ours]}, {"lambada_openai": [dense]})
    assert (found.direction, found.swing, found.dense_margin, found.gold) == ("to_wrong", 2.5, None, None)


def test_a_log_likelihood_that_is_no_number_flips_without_a_swing() -> None:
    dense, ours = answer(0, (-1.0, -2.0), 0), ItemResult(0, (None, -1.0), None, None, False)
    (found,) = flips.find_flips({"piqa": [ours]}, {"piqa": [dense]})
    assert (found.direction, found.swing, found.compressed_margin) == ("to_wrong", 0.0, None)


def test_only_questions_that_both_answered_are_compared() -> None:
    assert flips.find_flips({"piqa": [answer(0, (0.0, -1.0), 0)]}, {"piqa": [answer(1, (-1.0, 0.0), 0)]}) == []
    assert flips.find_flips({"piqa": [answer(0, (0.0, -1.0), 0)]}, {}) == []


@pytest.fixture
def asked(tmp_path: Path) -> Trial:
    """A trial of three PIQA questions that lie in a folder."""
    records = [{"goal": f"goal {n}", "sol1": "this", "sol2": "that", "label": 0} for n in range(3)]
    (tmp_path / "piqa.jsonl").write_text("\n".join(map(json.dumps, records)))
    data = (("piqa", tasks.task_sha256("piqa", tmp_path)), ("text", "1"))
    return Trial("m", None, "w", Recipe(), Protocol(tasks=("piqa",), limit=3), data, str(tmp_path))


def test_questions_are_those_that_were_asked(asked: Trial) -> None:
    found = flips.load_questions(asked, "piqa")
    assert list(found) == [0, 1, 2]
    assert flips.question_text(found[1]) == "Question: goal 1\nAnswer:"


def test_questions_that_changed_or_went_away_are_not_shown(asked: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="not kept"):
        flips.load_questions(asked, "lm_eval:anything")
    assert asked.data_dir
    file = Path(asked.data_dir, "piqa.jsonl")
    file.write_text(file.read_text().replace("goal 1", "goal one"))
    with pytest.raises(InputError, match="changed"):
        flips.load_questions(asked, "piqa")
    file.unlink()
    monkeypatch.setenv("KNEEPOINT_CACHE", str(file.parent))
    with pytest.raises(InputError, match="PIQA is not there any more"):
        flips.load_questions(asked, "piqa")
    with pytest.raises(InputError, match="folder"):
        flips.load_questions(replace(asked, data_dir="/nowhere/at/all"), "piqa")


def test_an_option_inside_a_sentence_leaves_a_blank() -> None:
    inside = Item(0, (("Ann saw Ann", " fall."), ("Ann saw Bea", " fall.")), ("Ann", "Bea"), 1)
    assert flips.question_text(inside) == "Ann saw ___ fall."
    apart = Item(0, (("", "A cat sat."), ("", "Cat a sat.")), ("A cat sat.", "Cat a sat."), 0)
    assert flips.question_text(apart) == ""
