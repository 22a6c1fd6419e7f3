"""Where the text for perplexity comes from, and what is said where it can't be had."""

import hashlib
from pathlib import Path

import pytest

from engine import perplexity_text
from engine.errors import InputError
from engine.perplexity_text import FILES, absolute, read, sha256

RELEASE = " \n = Robert Boulter = \n \n He is an actor . \n"
RECORDS = [{"text": text} for text in ("", " = Robert Boulter = \n", "", " He is an actor . \n")]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, str | None]]:
    """A hub that has the records; what was asked of it."""
    asked: list[tuple[str, str, str, str | None]] = []

    def load_rows(source: perplexity_text.HubData, config: str | None) -> list[dict[str, str]]:
        asked.append((source.dataset, source.revision, source.split, config))
        return RECORDS

    monkeypatch.setattr(perplexity_text, "load_rows", load_rows)
    return asked


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_rows(*_: object) -> None:
        raise ConnectionError("Couldn't reach\nthe hub")

    monkeypatch.setattr(perplexity_text, "load_rows", load_rows)


@pytest.mark.parametrize("name", FILES)
def test_wikitext_comes_from_the_data_folder(tmp_path: Path, no_hub: None, name: str) -> None:
    (tmp_path / name).write_text(RELEASE)
    assert read("wikitext2", tmp_path) == RELEASE
    assert sha256("wikitext2", tmp_path) == hashlib.sha256(RELEASE.encode()).hexdigest()


def test_the_hubs_records_are_the_release_and_are_asked_for_once(tmp_path: Path, hub: list[object]) -> None:
    assert read("wikitext2", None) == read("wikitext2", tmp_path) == RELEASE
    assert sha256("wikitext2", tmp_path) == hashlib.sha256(RELEASE.encode()).hexdigest()
    revision = "b08601e04326c79dfdd32d625aee71d232d685c3"
    assert hub == [("Salesforce/wikitext", revision, "test", "wikitext-2-raw-v1")]


def test_without_file_or_hub_one_sentence_says_what_to_do(tmp_path: Path, no_hub: None) -> None:
    with pytest.raises(
        InputError, match=r"^WikiText-2 is not .*Couldn't reach the hub.*wikitext2_test_raw.txt as --data"
    ):
        sha256("wikitext2", tmp_path)


def test_any_text_file_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "novel.txt").write_bytes("\ufeffEs war einmal\r\nein Kätzchen.".encode())
    monkeypatch.chdir(tmp_path)
    assert absolute("novel.txt") == str(tmp_path / "novel.txt")
    assert absolute("wikitext2") == "wikitext2"
    assert absolute("heldout") == "heldout"
    assert read("novel.txt", None) == "Es war einmal\r\nein Kätzchen."


def test_another_content_is_another_text(tmp_path: Path) -> None:
    file = tmp_path / "novel.txt"
    file.write_text("one")
    first = sha256(str(file), None)
    assert sha256(str(file), None) == first
    file.write_text("three")
    assert sha256(str(file), None) != first


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.txt", None, r"perplexity_text must be heldout, wikitext2 or a text file, and there is no file '.*none"),
        ("latin.txt", b"caf\xe9 noir", r"latin.txt' is not UTF-8: .* at byte 3"),
    ],
)
def test_what_is_no_text_file_is_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        sha256(str(tmp_path / name), None)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(InputError, match="perplexity_text must be a path, got ''"):
        absolute("")
