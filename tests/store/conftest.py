"""An empty store whose clock ticks once a look, and its queue."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store import Queue, Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    ticks = itertools.count(1000)
    opened = Store(url, clock=lambda: float(next(ticks)))
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> Iterator[Queue]:
    with Queue(store) as opened:
        yield opened
