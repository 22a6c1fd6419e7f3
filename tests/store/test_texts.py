"""What trials wrote, kept and read back."""

import pytest

from engine.outcome.texts import Text
from engine.store import Queue, StateError, Store
from engine.store.texts import pack, unpack
from tests.store.filled import EIGHT, FOUR, claimed

TEXTS = [Text("Once", " upon é\n", (1, 2, 3), (5, 6, 8)), Text("Twice", " “more” <b>", (4, 5, 6), (1, 3, 10))]


def test_texts_come_back_as_they_were_and_are_replaced_by_newer_ones(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    queue.keep_texts(EIGHT.id, TEXTS[:1])
    revision = store.revision()
    queue.keep_texts(EIGHT.id, TEXTS)
    assert store.texts(EIGHT.id) == TEXTS
    assert store.texts(FOUR.id) == []
    assert store.revision() > revision


def test_profiles_are_kept_by_name_and_replaced_by_newer_ones(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    for name, content in (("layers", {"a": [1.5, None]}), ("grid", {}), ("layers", {"a": [2.5]})):
        queue.keep_profile(EIGHT.id, name, content)
    assert store.profiles(EIGHT.id) == {"layers": {"a": [2.5]}, "grid": {}}
    assert store.profile(EIGHT.id, "layers") == {"a": [2.5]}
    assert store.profile(FOUR.id, "layers") is None


def test_texts_of_a_trial_that_another_runs_are_refused(store: Store, queue: Queue) -> None:
    store.submit([EIGHT], ["size"])
    claimed(queue)
    with Queue(store) as other, pytest.raises(StateError, match="no longer this worker's"):
        other.keep_texts(EIGHT.id, TEXTS)
    assert store.texts(EIGHT.id) == []


def test_fifty_texts_take_few_bytes() -> None:
    words = [f" word{n}" for n in range(32)]
    ends = tuple(len("".join(words[: n + 1])) for n in range(32))
    texts = [Text(f"Prompt {n}", "".join(words), tuple(range(n, n + 32)), ends) for n in range(50)]
    assert unpack(pack(texts)) == texts
    assert len(pack(texts)) < 6000
