import json
import math

from engine.analysis.result_json import front_json, to_json
from engine.analysis.results import verdict
from engine.outcome.row import Row
from tests.made_rows import answers, row, sweep

ROWS, _ = sweep()


def test_the_verdict_is_written_but_for_dense() -> None:
    dense, worse = (next(r for r in ROWS if r.recipe.startswith(name)) for name in ("dense", "quantize:rtn,bits=2"))
    found = verdict(worse, "accuracy")
    assert found is not None
    assert to_json(worse)["verdict"]["accuracy"] == found._asdict()
    assert to_json(dense)["verdict"] == {}


def test_json_has_null_with_a_reason_for_what_is_not_finite() -> None:
    one = row(metrics={"perplexity": math.inf, "accuracy": 0.5})
    content = to_json(one, {"piqa": answers(1, 2)})
    assert content["metrics"] == {"perplexity": None, "accuracy": 0.5}
    assert content["reasons"] == {"perplexity": "the value is not finite"}
    assert content["items"]["piqa"][0] == {
        "id": 0,
        "loglikelihoods": [-1.0, -2.0],
        "choice": 0,
        "choice_norm": 0,
        "correct": True,
    }
    json.dumps(content, allow_nan=False)


def test_front_json_lists_every_finished_trial_and_says_which_are_on_the_front() -> None:
    failed = Row("c" * 16, "group", "m", "dense", {}, state="failed")
    content = front_json([*ROWS, failed])
    assert [c["trial"] for c in content] == [r.trial_id for r in ROWS]
    assert [c["on_front"] for c in content] == [i in (1, 2, 3, 7) for i in range(len(ROWS))]
    wanted = {"trial", "model", "recipe", "protocol", "metrics", "environment", "simulated", "on_front"}
    assert all(wanted <= set(c) and "items" not in c for c in content)
