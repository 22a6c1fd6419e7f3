import errno
from pathlib import Path

import pytest

from engine.system.whole_files import replace_text, written_whole


def test_what_fails_half_way_leaves_the_old_one_and_no_part(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")

    def write_half(partial: Path) -> None:
        partial.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device", str(partial))

    with pytest.raises(OSError, match="No space left"), written_whole(tmp_path / "a.json") as partial:
        write_half(partial)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_a_text_replaces_the_old_one_and_makes_its_folder(tmp_path: Path) -> None:
    for text in ("old", "new"):
        replace_text(tmp_path / "made" / "a.json", text)
    assert (tmp_path / "made" / "a.json").read_text() == "new"
    assert len(list((tmp_path / "made").iterdir())) == 1


def test_a_folder_that_another_process_has_just_put_there_stays(tmp_path: Path) -> None:
    with written_whole(tmp_path / "made") as partial:
        partial.mkdir()
        (partial / "ours").touch()
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "theirs").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["made", "theirs"]
