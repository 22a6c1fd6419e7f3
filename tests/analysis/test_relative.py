"""Results of several comparisons on one front, each against its own original."""

from dataclasses import replace

from engine.analysis.front import find_front
from engine.analysis.relative import TOGETHER, relative, together
from tests.made_rows import sweep

ROWS = sweep()[0]
OTHERS = [
    replace(r, trial_id=f"a{r.trial_id[1:]}", comparison_id="other", model="another",
            metrics={**r.metrics, "perplexity": 2 * (r.value("perplexity") or 0)})
    for r in ROWS
]  # fmt: skip


def test_perplexity_is_divided_by_that_of_the_own_original() -> None:
    ratios = [row.value("perplexity_ratio") for row in relative([*ROWS, *OTHERS])]
    assert ratios[0] == ratios[len(ROWS)] == 1
    assert ratios[: len(ROWS)] == ratios[len(ROWS) :]


def test_without_an_original_there_is_no_ratio() -> None:
    assert relative(ROWS[1:]) == ROWS[1:]


def test_results_of_two_models_stand_on_one_front_each_once() -> None:
    rows = together(ROWS, OTHERS, ROWS)
    assert len(rows) == len(ROWS) + len(OTHERS)
    front = find_front(rows, "compression_ratio", "perplexity_ratio", TOGETHER)
    assert {row.model for row in front.points} == {ROWS[0].model, "another"}
    assert len(front.points) == len(rows)
