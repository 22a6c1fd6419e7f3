"""Checkpoints in the store: asked for once, written in turn, stopped."""

import pytest

from engine.outcome.row import Progress
from engine.store import Export, Exports, Store
from tests.fake_trial import made


@pytest.fixture
def asked(store: Store) -> Exports:
    return Exports(store, store.clock)


def ask(asked: Exports, name: str = "a", format: str = "plain") -> int:
    return asked.ask(name, made(8), format, "# A card")


def test_what_was_asked_is_read_back_as_it_stands(asked: Exports) -> None:
    assert asked.newest("a") is None
    plain, packed = ask(asked), ask(asked, format="packed")
    asked.write(plain, state="writing", attempts=1, stage="compress", done=3, total=9)
    card = "# A card"
    expected = Export(plain, "a", made(8), "plain", card, "writing", 1, Progress("compress", 3, 9), False, "", "")
    assert asked.newest("a", "plain") == expected
    newest = asked.newest("a")
    assert newest is not None
    assert (newest.id, newest.format) == (packed, "packed")


def test_the_same_is_asked_only_once_until_it_is_finished(asked: Exports, store: Store) -> None:
    before = store.revision()
    first = ask(asked)
    assert ask(asked) == first
    asked.write(first, state="failed", reason="no disk space")
    assert ask(asked) > first
    assert store.revision() == before


def test_they_are_written_in_turn_and_a_stop_is_seen(asked: Exports) -> None:
    first, second = ask(asked), ask(asked, "b")
    asked.ask_to_stop(second)
    assert (asked.stop_asked(first), asked.stop_asked(second)) == (False, True)
    for one in (first, second):
        found = asked.next()
        assert found is not None
        assert found.id == one
        asked.write(one, state="stopped")
    assert asked.next() is None
