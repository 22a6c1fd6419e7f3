"""The saved sweeps that were opened here."""

from pathlib import Path

import pytest

from engine.errors import InputError
from engine.store import Store, saved, shelf
from tests.pages import filling


@pytest.fixture
def content(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))
    filling.fill(store, filling.make_trials(("dense", "quantize:rtn,bits=8")))
    return saved.content(store)


def test_a_file_is_opened_once_and_can_be_closed(content: bytes) -> None:
    assert shelf.names() == []
    name = shelf.put(content, "theirs.kneepoint")
    assert shelf.put(content, "the same.kneepoint") == name
    assert shelf.names() == [name]
    opened = Store(shelf.url(name))
    assert len(opened.rows()) == 2
    opened.close()
    shelf.drop(name)
    assert shelf.names() == []


def test_what_is_refused_leaves_nothing(content: bytes) -> None:
    with pytest.raises(InputError, match=r"theirs\.kneepoint is damaged"):
        shelf.put(content[:5000], "../theirs.kneepoint")
    assert shelf.names() == []


def test_only_what_is_on_the_shelf_is_deleted(content: bytes, tmp_path: Path) -> None:
    shelf.put(content, "theirs.kneepoint")
    shelf.drop("../../store")
    assert (tmp_path / "store.db").exists()
    assert len(shelf.names()) == 1
