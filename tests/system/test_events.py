"""What a trial writes for the process that started it."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.system.events import Events


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def told(events: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in events.splitlines()]


def test_values_that_are_not_finite_go_out_as_null_with_a_reason() -> None:
    stream = io.StringIO()
    Events(stream).metrics({"perplexity": float("inf"), "prefill_ms": float("nan"), "accuracy": 0.5})
    (event,) = told(stream.getvalue())
    assert event["metrics"] == {"perplexity": None, "prefill_ms": None, "accuracy": 0.5}
    assert set(event["reasons"]) == {"perplexity", "prefill_ms"}
    assert "infinite" in event["reasons"]["perplexity"]
    assert "not a number" in event["reasons"]["prefill_ms"]


def test_missing_metrics_carry_their_reason() -> None:
    stream = io.StringIO()
    Events(stream).missing(["prefill_ms"], "no kernel")
    assert told(stream.getvalue()) == [
        {"event": "metrics", "metrics": {"prefill_ms": None}, "reasons": {"prefill_ms": "no kernel"}}
    ]


def test_log_likelihoods_that_are_not_finite_go_out_as_null() -> None:
    stream = io.StringIO()
    answer = {"id": 0, "loglikelihoods": [-1.5, float("-inf")], "choice": 0, "choice_norm": 0, "correct": True}
    Events(stream).items("piqa", [answer])
    assert told(stream.getvalue())[0]["items"] == [{**answer, "loglikelihoods": [-1.5, None]}]


def test_texts_go_out_as_they_were_written() -> None:
    stream = io.StringIO()
    text = {"prompt": "Once", "text": " upon \u00e9", "tokens": [5, 6], "ends": [5, 7]}
    Events(stream).texts([text])
    assert told(stream.getvalue()) == [{"event": "texts", "texts": [text]}]


def test_progress_is_thinned_out_but_its_end_is_told() -> None:
    stream, clock = io.StringIO(), Clock()
    events = Events(stream, clock)
    events.stage("accuracy", 100)
    for done in range(1, 101):
        clock.now += 0.01
        events.progress(done, 100)
    reports = [event["done"] for event in told(stream.getvalue()) if event["event"] == "progress"]
    assert reports[0] == 1
    assert reports[-1] == 100
    assert 8 <= len(reports) <= 13


def test_a_stage_within_a_stage_begins_once() -> None:
    stream = io.StringIO()
    events = Events(stream)
    for done in range(3):
        events.staged_progress("compress: covariances", done, 2)
    assert [event["event"] for event in told(stream.getvalue())].count("stage") == 1
    assert events.current == "compress: covariances"


def test_what_libraries_print_never_reaches_the_events() -> None:
    code = """
import os, sys
from engine.system.events import Events
events = Events.on_stdout()
print("printed by Python")
os.system("echo printed by a child")
os.write(1, b"written to the descriptor")
events.done()
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert told(run.stdout) == [{"event": "done"}]
    for text in ("printed by Python", "printed by a child", "written to the descriptor"):
        assert text in run.stderr
