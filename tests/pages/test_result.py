"""Result: done, failed, waiting, and not there."""

import json
import re
from dataclasses import replace
from pathlib import Path

import streamlit as st

from engine import tasks
from engine.store import Store
from pages.shared import markup
from tests.pages import filling
from tests.pages.conftest import downloads, said

LAYERS = "prune:layers,count=6"
TWO_BITS = "quantize:rtn,bits=2"


def fill_with_questions(store: Store, folder: Path) -> str:
    """Two finished trials whose PIQA questions lie in a folder, and hold HTML; the compressed one's id."""
    record = {"goal": "<img src=x onerror=alert(1)>", "sol1": "<b>this</b>", "sol2": "that", "label": 0}
    (folder / "piqa.jsonl").write_text(
        "\n".join(json.dumps({**record, "goal": f"{record['goal']} {n}"}) for n in range(100))
    )
    data = (("piqa", tasks.task_sha256("piqa", folder)), ("text", "1"))
    made = filling.make_trials(["dense", LAYERS])
    filling.fill(store, [replace(trial, data_sha256=data, data_dir=str(folder)) for trial in made])
    return filling.trial_of(store, LAYERS)


def test_a_finished_result_shows_bytes_metrics_and_definitions(open_result, store):
    filling.fill(store, filling.make_trials())
    app = open_result("quantize:rtn,bits=4")
    words = said(app)
    assert "Download CSV" in downloads(app)
    assert "4-bit, round to nearest, groups of 64" in words
    assert "Where the bytes are" in words
    assert "Bytes of the packed tensors" in words
    assert "±" in words


def test_a_failed_result_keeps_reason_traceback_and_log(open_page, store):
    filling.fill(store, filling.make_trials(), finish=1)
    trial = filling.fail_one(store, "ran out of memory")
    app = open_page("result", trial=trial)
    assert "ran out of memory" in app.error[0].value
    assert "MemoryError" in app.code[0].value
    assert "compressing" in app.code[1].value
    app.button(key="result:retry").click().run()
    assert store.row(trial).state == "queued"


def test_a_waiting_result_says_so(open_page, store):
    filling.fill(store, filling.make_trials(), finish=1)
    waiting = next(row.trial_id for row in store.rows() if row.state == "queued")
    assert open_page("result", trial=waiting).get("progress")[0].proto.text == "Waiting"


def test_a_cancelled_result_can_be_retried(open_page, store):
    from engine.store import Queue

    filling.fill(store, filling.make_trials(), finish=1)
    waiting = next(row.trial_id for row in store.rows() if row.state == "queued")
    store.request_cancel([waiting])
    with Queue(store) as queue:
        queue.honour_cancels()
    app = open_page("result", trial=waiting)
    assert "Cancelled" in said(app)
    app.button(key="result:retry").click().run()
    assert store.row(waiting).state == "queued"


def test_an_unknown_result_says_where_links_work(open_page):
    assert "not in the store" in said(open_page("result", trial="0" * 16))
    assert "Choose a point" in said(open_page("result"))


def test_a_result_is_judged_against_the_original_with_its_questions(open_result, store):
    filling.fill(store, filling.make_trials())
    alike = said(open_result("quantize:rtn,bits=8"))
    assert "Not distinguishable from the original on 300 questions" in alike
    assert "To settle a difference of 5, 2 or 1 points takes about" in alike
    worse = said(open_result("quantize:rtn,bits=2"))
    assert "Worse than the original on 300 questions: by" in worse
    assert "from the original on" not in said(open_result("dense"))


def test_where_the_original_only_guesses_what_was_found_is_still_said(open_page, open_result, store, monkeypatch):
    measured = filling.invent

    def invent_guesses(trial):
        metrics, items = measured(trial)
        return {**metrics, "accuracy_chance": 0.9}, items

    monkeypatch.setattr(filling, "invent", invent_guesses)
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    words = said(open_result(LAYERS))
    assert "no better than guessing" in words
    assert "Worse than the original on 300 questions: by" in words
    assert "points was found on 300 questions" in words
    assert set(open_page("explore").dataframe[0].value["Against the original"]) == {"", "worse"}


def test_a_simulated_result_has_no_speed_or_memory_on_any_page(open_page, open_result, store, monkeypatch):
    measured = filling.invent
    held = {"peak_memory_bytes": 654e6, "prefill_ms": 765.0}
    monkeypatch.setattr(filling, "invent", lambda trial: ({**measured(trial)[0], **held}, measured(trial)[1]))
    filling.fill(store, filling.make_trials(["dense", TWO_BITS]))
    trials = [filling.trial_of(store, recipe) for recipe in ("dense", TWO_BITS)]
    assert said(open_page("compare", trials=",".join(trials))).count("654 MB") == 1
    assert said(open_result(TWO_BITS)).count("654 MB") == 1  # the original's
    assert "654 MB" not in said(open_page("explore", trial=trials[1]))
    memory = open_page("explore").dataframe[0].value["Peak memory"]
    assert sorted(memory.isna()) == [False, True]


def test_the_originals_time_beside_a_result_is_that_of_the_same_run_on_every_page(open_page, store, monkeypatch):
    measured = filling.invent

    def invent_a_slower_run(trial):
        metrics, items = measured(trial)
        slower = {"decode_ms_per_token": 40.0, "decode_speedup": 1.3, "decode_tokens_per_s": 25.0}
        metrics["decode_spread_ms"] = 3.1
        return metrics | (slower if trial.recipe.steps else {"decode_tokens_per_s": 38.5}), items

    monkeypatch.setattr(filling, "invent", invent_a_slower_run)
    filling.fill(store, filling.make_trials(["dense", "quantize:rtn,bits=4"]))
    dense, four = (filling.trial_of(store, recipe) for recipe in ("dense", "quantize:rtn,bits=4"))
    result = said(open_page("result", trial=four))
    assert "of the original&#x27;s; 40.0 ms a word, was 52.0 ms" in result
    assert '40.0 ms</td><td class="kp-num">52.0 ms</td>' in result
    assert '25.0 tokens/s</td><td class="kp-num">19.2 tokens/s</td>' in result
    assert re.search(
        "Of the original&#x27;s own run[^>]*>3.10 ms<", result
    )  # its spread beside the result is not known
    compared = said(open_page("compare", trials=f"{dense},{four}"))
    assert "25.3 ms" in compared
    assert "1.3x the speed of the original, 52.0 ms then" in compared
    assert "not equally fast in every run" in compared


def test_every_task_has_its_score_by_both_metrics_with_the_original_beside(open_result, store):
    filling.fill(store, filling.make_trials())
    words = said(open_result(LAYERS))
    for label in ("PIQA", "OpenBookQA", "CommonsenseQA"):
        assert words.count(f">{label}</span>") == 2
    assert words.count('class="kp-then"') == 8
    assert "Standard error" in words


def test_the_answers_that_changed_are_listed_with_their_questions_escaped(open_page, store, tmp_path):
    app = open_page("result", trial=fill_with_questions(store, tmp_path), task="piqa")
    words = said(app)
    assert "&lt;img src=x" in words
    assert "&lt;b&gt;this&lt;/b&gt;" in words
    assert "<img src=x" not in words
    assert words.count('class="kp-flip"') == 10
    assert "McNemar" in words
    first = words.index("kp-flip")
    assert "Right to wrong" in words[first : first + 200]


def test_filters_and_pages_narrow_the_list(open_page, store, tmp_path):
    trial = fill_with_questions(store, tmp_path)
    app = open_page("result", trial=trial, changed="to_right", task="piqa")
    listed = said(app)
    assert listed.count("<b>Wrong to right</b>") == listed.count('class="kp-flip"') > 0
    assert "can't be shown" not in listed
    app.session_state["result:changed"] = "to_wrong"
    app.run()
    assert app.query_params["changed"] == "to_wrong"
    before = said(app)
    app.pagination[0].set_value(2).run()
    assert said(app) != before
    assert "<b>Right to wrong</b>" in said(app)


def test_questions_that_are_gone_leave_ids_and_log_likelihoods(open_page, store, tmp_path):
    trial = fill_with_questions(store, tmp_path)
    (tmp_path / "piqa.jsonl").write_text(json.dumps({"goal": "g", "sol1": "a", "sol2": "b", "label": 0}))
    words = said(open_page("result", trial=trial, task="piqa"))
    assert "the file of PIQA has changed" in words
    assert "Choice 1" in words
    assert "onerror" not in words


def test_a_recorded_result_says_that_it_keeps_no_answers(open_result, store, record):
    filling.fill(store, filling.make_trials())
    record()
    words = said(open_result(LAYERS, **{"from": "recorded"}))
    assert "Recorded without single answers" in words
    assert 'class="kp-flip"' not in words


def test_what_it_writes_stands_beside_the_original_with_the_parting_marked_and_said(open_result, store):
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    app = open_result(LAYERS)
    words = said(app)
    assert "It goes on exactly as the original does for" in words
    assert "Of 2 texts of 2 tokens, 1 is the same to the end." in words
    assert "A prompt &lt;i&gt;that&lt;/i&gt; all…" in words
    assert "The same as the original, to the last token." in words
    assert "<mark" not in words
    box = app.selectbox(key="result:prompt")
    assert box.options == ["1. A prompt <i>that</i> all · the same", "2. A prompt that each · parts at token 2"]
    words = said(box.select("A prompt that each").run())
    assert not app.exception
    assert f"Parts from the original at token 2: “{LAYERS}”, not “dense”." in words
    assert words.count('class="kp-part kp-tip"') == 2
    assert f" ends <mark{markup.tip('Parts here', 'kp-part')}>dense</mark>" in words


def test_the_original_has_no_interval_against_itself(open_result, store):
    filling.fill(store, filling.make_trials(["dense"]))
    words = said(open_result("dense"))
    assert ">100.0%</td>" in words
    assert "± 0.0" not in words


def test_the_original_s_texts_stand_alone(open_result, store):
    filling.fill(store, filling.make_trials(["dense"]))
    words = said(open_result("dense"))
    assert "…</p>" in words
    assert words.count('class="kp-wrote"') == 1
    assert "goes on exactly" not in words


def test_a_result_without_texts_says_why(open_result, store, monkeypatch):
    monkeypatch.setattr(filling, "write", lambda trial: [])
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    words = said(open_result(LAYERS))
    assert "It goes on exactly as the original does for" in words
    assert words.count("Measured before texts were kept: measure it again") == 1


def test_an_original_without_texts_says_why_in_its_place(open_result, store, monkeypatch):
    wrote = filling.write
    monkeypatch.setattr(filling, "write", lambda trial: wrote(trial) if trial.recipe.steps else [])
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    words = said(open_result(LAYERS))
    assert "Measured before texts were kept" in words
    assert words.count('class="kp-wrote"') == 1
    assert "<mark" not in words


def test_where_next_words_were_not_measured_nothing_was_written(open_result, store, monkeypatch):
    measured = filling.invent

    def invent_answers_only(trial):
        metrics, items = measured(trial)
        return {k: v for k, v in metrics.items() if k not in ("perplexity", "greedy_match_tokens")}, items

    monkeypatch.setattr(filling, "invent", invent_answers_only)
    monkeypatch.setattr(filling, "write", lambda trial: [])
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    words = said(open_result(LAYERS))
    assert "Nothing was written: next words were not measured for this result." in words
    assert "goes on exactly" not in words


def test_a_recorded_result_shows_the_texts_that_were_recorded(open_result, store, record):
    filling.fill(store, filling.make_trials(["dense", LAYERS]))
    record()
    recorded = {"from": "recorded"}
    assert "Recorded before texts were kept: measure it here" in said(open_result(LAYERS, **recorded))
    st.cache_resource.clear()
    record(store.kept)
    words = said(open_result(LAYERS, **recorded))
    assert words.count('class="kp-wrote"') == 2
    assert "Recorded results keep a few of their texts" in words


def test_ends_and_errors_stand_beside_a_metric_and_not_as_one(open_result, store):
    filling.fill(store, filling.make_trials())
    words = said(open_result(LAYERS))
    assert "McNemar&#x27;s exact test" in words
    assert "Standard error" in words  # on the hovers
    assert ", standard error" not in words
    assert "end of the 95% interval" not in words
