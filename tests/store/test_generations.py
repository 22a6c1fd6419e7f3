"""Prompts in the store: asked, answered, stopped, and bounded in number."""

import pytest

from engine.errors import InputError
from engine.outcome.texts import MOST_TOKENS
from engine.store import Generations, Store, generations
from engine.store.generations import LONGEST_PROMPT
from tests.fake_trial import made

NAMES, TRIALS = ("a", "b"), (made(), made(8))


@pytest.fixture
def asked(store: Store) -> Generations:
    return Generations(store, store.clock)


def ask(asked: Generations, prompt: str = "Why?", names: tuple[str, ...] = NAMES) -> int:
    return asked.ask(names, TRIALS[: len(names)], prompt, True, 32)


def test_what_was_asked_is_read_back(asked: Generations) -> None:
    assert asked.newest(NAMES) is None
    ask(asked)
    found = asked.newest(NAMES)
    assert found is not None
    assert (found.names, found.prompt, found.chat, found.most_tokens) == (NAMES, "Why?", True, 32)
    assert found.unfinished
    assert [one.trial for one in found.completions] == list(TRIALS)
    assert {(one.state, one.pieces, one.tokens_per_s) for one in found.completions} == {("waiting", (), None)}


def test_the_newest_prompt_of_the_same_results_is_shown_and_the_oldest_is_answered_first(asked: Generations) -> None:
    first, second, _ = ask(asked), ask(asked, "How?"), ask(asked, "Else?", ("b", "a"))
    newest, following = asked.newest(NAMES), asked.next()
    assert newest is not None
    assert following is not None
    assert (newest.prompt, following.id) == ("How?", first)
    assert asked.ahead(second) == 1
    asked.finish(first)
    assert asked.ahead(second) == 0
    following = asked.next()
    assert following is not None
    assert following.id == second


def test_a_text_grows_and_has_a_speed_after_its_first_token(asked: Generations) -> None:
    generation_id = ask(asked)
    asked.write(generation_id, 1, state="writing", pieces=["The", " sky", " is"], decode_s=0.5)
    found = asked.newest(NAMES)
    assert found is not None
    other, mine = found.completions
    assert mine.pieces == ("The", " sky", " is")
    assert mine.tokens_per_s == 4.0
    assert other.pieces == ()


def test_what_is_finished_early_is_stopped_and_keeps_what_is_done(asked: Generations) -> None:
    generation_id = ask(asked)
    asked.write(generation_id, 0, state="done", pieces=["The"])
    asked.write(generation_id, 1, state="compressing", paused=True)
    assert not asked.stop_asked(generation_id)
    asked.ask_to_stop(generation_id)
    assert asked.stop_asked(generation_id)
    asked.finish(generation_id)
    found = asked.newest(NAMES)
    assert found is not None
    assert not found.unfinished
    assert [(one.state, one.paused) for one in found.completions] == [("done", False), ("stopped", False)]
    assert asked.next() is None


def test_prompts_raise_no_revision(asked: Generations, store: Store) -> None:
    before = store.revision()
    generation_id = ask(asked)
    asked.write(generation_id, 0, state="writing")
    asked.finish(generation_id)
    assert store.revision() == before


def test_only_the_newest_are_kept_and_a_dropped_one_is_written_no_further(
    asked: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generations, "KEPT", 2)
    ids = [ask(asked, f"{n}?") for n in range(4)]
    following = asked.next()
    assert following is not None
    assert following.id == ids[2]
    assert asked.stop_asked(ids[0])
    asked.write(ids[0], 0, state="writing")  # the lane may be at it


@pytest.mark.parametrize(
    ("prompt", "most", "says"),
    [
        (" \n", 32, "write a prompt"),
        ("x" * (LONGEST_PROMPT + 1), 32, "2,000 characters, got 2,001"),
        ("Why?", 0, r"in \[1, 512\], got 0"),
        ("Why?", MOST_TOKENS + 1, r"got 513"),
    ],
)
def test_what_can_not_be_asked_is_refused_in_a_sentence(asked: Generations, prompt: str, most: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        asked.ask(NAMES, TRIALS, prompt, True, most)
    assert asked.newest(NAMES) is None
