"""Twenty readers of a real server while a sweep runs: every one sees every step of it, in order."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest

from engine.spec import MEASURES
from engine.store import Queue, Store
from engine.store.lock import hold
from tests.browser.conftest import serving
from tests.browser.session import Session
from tests.pages import filling
from tests.processes import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

READERS = 20
TRIALS = 4
STEP_S = 240.0  # for all of them to be told of a step, at most


@contextmanager
def reading(address: str) -> Iterator[list[Session]]:
    sessions = [Session(address, "runs") for _ in range(READERS)]
    for session in sessions:
        session.start()
    try:
        yield sessions
    finally:
        for session in sessions:
            session.close()


def steps(session: Session) -> list[int]:
    """How many trials had ended, each number once, as the session was told."""
    found = (re.match(rf"(\d) of {TRIALS} trials ended", said) for said in session.said)
    return [number for number, _ in groupby(int(match[1]) for match in found if match)]


def all_at(sessions: list[Session], ended: int) -> bool:
    """Whether all have been told that so many trials have ended."""
    assert all(session.is_alive() for session in sessions), "a session has lost the server"
    return all(steps(session)[-1:] == [ended] for session in sessions)


def test_twenty_sessions_see_every_step_of_a_sweep(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_STORE", store.url)
    store.submit(filling.make_trials()[:TRIALS], MEASURES, "Watched")
    dense: dict[str, filling.Answered] = {}
    with hold(store.url), Queue(store) as queue, serving() as address, reading(address) as sessions:
        wait_until(lambda: all_at(sessions, 0), STEP_S)
        for ended in range(1, TRIALS + 1):
            job = queue.claim()
            assert job is not None
            filling.answer(queue, job, dense)
            wait_until(lambda: all_at(sessions, ended), STEP_S)  # noqa: B023
        assert all(steps(session) == list(range(TRIALS + 1)) for session in sessions)
        assert not [said for session in sessions for said in session.wrong]
