"""Where things lie: what a user or the environment names is taken, or refused in one sentence."""

from pathlib import Path

import pytest

from engine import paths
from engine.errors import InputError

TOO_LONG = "x" * 300


def test_a_path_is_expanded_and_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").touch()
    assert paths.user_path("~/new", "--json") == tmp_path / "new"
    assert paths.user_path("~/file/below", "--json") == tmp_path / "file" / "below"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("~nouser/x", "home"),
        (TOO_LONG, "File name too long"),
        ("a\0b", "null"),
        ("caf\udce9", "no text in UTF-8"),
        ("", "must be a path"),
    ],
)
def test_a_path_where_nothing_can_be_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"^--json .*{why}") as caught:
        paths.user_path(text, "--json")
    assert repr(text) in str(caught.value)
    str(caught.value).encode()  # and can itself be written


@pytest.mark.parametrize("folder", ["/proc/nope", "~nouser/x", TOO_LONG])
def test_a_cache_that_cannot_be_made_names_the_folder_and_the_variable(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNEEPOINT_CACHE", folder)
    with pytest.raises(InputError, match="KNEEPOINT_CACHE") as caught:
        paths.cache_dir()
    assert repr(folder) in str(caught.value)


def test_a_default_store_that_cannot_be_made_names_the_folder_and_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KNEEPOINT_STORE", raising=False)
    monkeypatch.setattr(paths, "user_data_path", lambda name: Path("/proc/nope"))
    with pytest.raises(InputError, match=r"'/proc/nope' .* set KNEEPOINT_STORE"):
        paths.store_url()


def test_data_that_cannot_be_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNEEPOINT_DATA", TOO_LONG)
    with pytest.raises(InputError, match=r"^KNEEPOINT_DATA can't be"):
        paths.data_dir()
