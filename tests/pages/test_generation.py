"""Compare's live texts: every state a text can be in, where texts part, and what pressing the buttons asks for."""

from collections.abc import Sequence

import pytest

from engine.errors import InputError
from engine.spec import Protocol, parse
from engine.store import Generation, Generations, Store
from engine.trials import unmeasured
from pages.shared import markup
from tests.pages import filling
from tests.pages.conftest import said

RECIPES = ("dense", "quantize:rtn,bits=8", "quantize:rtn,bits=2")
SKY = ("The", " sky", " is", " blue", ".")
ASK, STOP = "compare:generation:ask", "compare:generation:stop"


@pytest.fixture
def ids(store: Store) -> list[str]:
    filling.fill(store, filling.make_trials(RECIPES))
    return [row.trial_id for row in store.rows()]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stores for which a lane was to be started."""
    urls: list[str] = []
    monkeypatch.setattr("engine.running.lane.ensure_running", urls.append)
    return urls


def ask(store: Store, ids: Sequence[str], prompt: str = "Why?") -> int:
    return Generations(store).ask(ids, [unmeasured(store.trial(i)) for i in ids], prompt, True, 64)


def answer(store: Store, ids: Sequence[str], *written: dict[str, object]) -> int:
    """Ask, write what each completion shall hold, and finish."""
    generation_id = ask(store, ids)
    for place, values in enumerate(written):
        Generations(store).write(generation_id, place, **{"state": "done", "decode_s": 0.5, **values})
    Generations(store).finish(generation_id)
    return generation_id


def newest(store: Store, ids: Sequence[str]) -> Generation:
    found = Generations(store).newest(ids)
    assert found is not None
    return found


def keys(app) -> list[str]:
    return [button.key for button in app.button]


def test_a_prompt_stands_ready_and_nothing_runs(open_page, store, ids, woken):
    app = open_page("compare", trials=",".join(ids))
    assert app.text_area(key="compare:generation:prompt").value.startswith("What is the capital of France?")
    assert ASK in keys(app)
    assert STOP not in keys(app)
    assert "kp-live" not in said(app)
    assert woken == []


def test_every_run_says_what_the_form_holds_since_the_first_may_be_cut_short(open_page, ids):
    app = open_page("compare", trials=",".join(ids)).run()
    prompt = app.text_area(key="compare:generation:prompt").proto
    assert prompt.default == "What is the capital of France?"
    style, length = (app.segmented_control(key=f"compare:generation:{name}").proto for name in ("style", "length"))
    assert (list(style.default), list(length.default)) == ([0], [1])


def test_one_result_alone_has_no_prompt(open_page, ids):
    assert not open_page("compare", trials=ids[0]).text_area


def test_generate_asks_every_model_and_starts_the_lane(open_page, store, ids, woken):
    app = open_page("compare", trials=",".join(ids))
    app.text_area(key="compare:generation:prompt").input("Who wrote <b>Hamlet</b>?")
    app.segmented_control(key="compare:generation:style").set_value("plain")
    app.segmented_control(key="compare:generation:length").set_value("32")
    app.button(key=ASK).click().run()
    assert not app.exception
    found = newest(store, ids)
    assert (found.prompt, found.chat, found.most_tokens) == ("Who wrote <b>Hamlet</b>?", False, 32)
    assert [one.trial.recipe.text for one in found.completions] == [store.row(i).recipe for i in ids]
    assert woken == [store.url]
    words = said(app)
    assert "Starting the process that writes" in words
    assert words.count("Waiting for its turn.") == 3
    assert "Who wrote &lt;b&gt;Hamlet&lt;/b&gt;?" in words
    assert STOP in keys(app)


def test_an_empty_prompt_is_refused_in_a_sentence(open_page, store, ids):
    app = open_page("compare", trials=",".join(ids))
    app.text_area(key="compare:generation:prompt").input("  ")
    app.button(key=ASK).click().run()
    assert "write a prompt" in app.error[0].value
    assert Generations(store).newest(ids) is None
    app.run()
    assert not app.error


def test_stop_asks_the_lane_and_says_so(open_page, store, ids):
    ask(store, ids)
    app = open_page("compare", trials=",".join(ids))
    app.button(key=STOP).click().run()
    assert newest(store, ids).stop_asked
    assert app.button(key=STOP).label == "Stopping"
    assert app.button(key=STOP).disabled


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "loading"}, "Loading the model."),
        ({"state": "compressing"}, "Compressing again from its recipe."),
        ({"state": "compressing", "done": 3, "total": 32}, "Compressing again from its recipe: 3 of 32."),
        ({"state": "writing", "total": 64}, "Reading the prompt."),
        ({"state": "writing", "total": 64, "pieces": SKY, "decode_s": 0.5}, "Writing: 5 of 64 tokens."),
        ({"state": "writing", "total": 64, "pieces": SKY, "decode_s": 0.5}, "8.00 tokens/s"),
        ({"state": "writing", "paused": True}, "Waiting for a timing: it needs the machine to itself."),
        ({"state": "failed", "reason": "no <disk> space"}, "Failed: no &lt;disk&gt; space."),
        ({"state": "done", "pieces": SKY, "note": "It has no template."}, "It has no template."),
    ],
)
def test_each_state_of_a_text_is_said_while_the_others_wait(open_page, store, ids, values, words):
    generation_id = ask(store, ids)
    Generations(store).write(generation_id, 0, **values)
    page = said(open_page("compare", trials=",".join(ids)))
    assert words in page
    assert page.count("Waiting for its turn.") == 2


def test_a_prompt_behind_another_says_so(open_page, store, ids):
    ask(store, ids[:2])
    ask(store, ids)
    assert "Waiting behind 1 other prompt." in said(open_page("compare", trials=",".join(ids)))


def test_where_texts_part_is_marked_and_said(open_page, store, ids):
    parted = ("The", " sky", " <i>", " grey")
    answer(store, ids, {"pieces": SKY, "ended": True}, {"pieces": SKY, "ended": True}, {"pieces": parted})
    app = open_page("compare", trials=",".join(ids))
    words = said(app)
    assert "The same as A, to the last token." in words
    assert "Parts from A at token 3: “&lt;i&gt;”, not “is”." in words
    assert "is<sup>C</sup></mark>" in words
    assert words.count('class="kp-part kp-tip"') == 2
    assert "<i>" not in words
    assert "5 tokens, then it ended." in words
    assert "4 tokens, as many as were asked for." in words
    assert ASK in keys(app)


def test_a_text_that_ends_early_parts_there(open_page, store, ids):
    answer(store, ids, {"pieces": SKY}, {"pieces": SKY[:3], "ended": True}, {"pieces": SKY})
    words = said(open_page("compare", trials=",".join(ids)))
    assert "Parts from A at token 4: it ends, A writes “blue”." in words
    assert "■" in words


def test_a_simulated_result_s_speed_is_not_shown(open_page, store, ids):
    answer(store, ids, {"pieces": SKY}, {"pieces": SKY}, {"pieces": SKY})
    words = said(open_page("compare", trials=",".join(ids)))  # 2 bits are simulated in these results
    assert words.count("8.00 tokens/s") == 2
    assert words.count("Simulated, so its speed says nothing.") == 1


def test_what_was_stopped_keeps_its_text(open_page, store, ids):
    answer(store, ids, {"pieces": SKY}, {"state": "stopped", "pieces": SKY[:2]}, {"state": "stopped"})
    words = said(open_page("compare", trials=",".join(ids)))
    assert "Stopped after 2 tokens." in words
    assert "Stopped before it began." in words
    assert "The same as A so far." in words


def test_the_base_answers_first_where_it_is_not_in_the_tray(open_page, store, ids):
    asked = [ids[0], *ids[1:]]
    answer(store, asked, {"pieces": SKY}, {"pieces": SKY[:1], "ended": True}, {"pieces": SKY})
    words = said(open_page("compare", trials=",".join(ids[1:]), against="original"))
    assert '<span class="kp-letter">Original</span>' in words
    assert "Parts from the original at token 2: it ends, the original writes “sky”." in words


def test_recorded_results_are_compressed_from_their_recipe(open_page, store, ids, woken, record, monkeypatch):
    rows = record()
    asked = []

    def make(model, recipe, protocol):
        asked.append((model, recipe.text, protocol))
        return filling.make_trials([recipe.text])[0]

    monkeypatch.setattr("pages.shared.live.make_unmeasured", make)
    names = [f"recorded-{i}" for i in ids[:2]]
    app = open_page("compare", trials=",".join(names))
    app.button(key=ASK).click().run()
    assert not app.exception
    protocol = Protocol.from_dict(rows[0].protocol)
    assert asked == [(rows[0].model, parse(recipe).text, protocol) for recipe in RECIPES[:2]]
    assert newest(store, names).unfinished


def test_a_model_that_is_not_here_is_said_in_a_sentence(open_page, ids, record, monkeypatch):
    record()

    def refuse(*_):
        raise InputError("the default model was not fetched; run `python -m engine fetch`")

    monkeypatch.setattr("pages.shared.live.make_unmeasured", refuse)
    app = open_page("compare", trials=f"recorded-{ids[0]},recorded-{ids[1]}")
    app.button(key=ASK).click().run()
    assert "was not fetched" in app.error[0].value


def test_a_letter_stands_on_the_line_whose_end_it_marks(open_page, store, ids):
    broken = ("The", "\n", "\n", "sky")
    answer(store, ids, {"pieces": broken}, {"pieces": broken}, {"pieces": SKY})
    words = said(open_page("compare", trials=",".join(ids)))
    assert f"<mark{markup.tip('C parts here', 'kp-part')}>↵<sup>C</sup></mark>\n\nsky" in words
