import pytest

from engine.packages import complete


def fill(folder, text="abc"):
    with complete.filling(folder) as (into, facts):
        facts["version"] = 1
        (into / "sub").mkdir()
        (into / "sub" / "file").write_text(text)


def test_a_filled_folder_is_whole_and_keeps_its_facts(tmp_path):
    fill(tmp_path / "f")
    assert complete.facts(tmp_path / "f", 1) == {"version": 1, "files": {"sub/file": 3}}
    assert complete.facts(tmp_path / "f", 2) is None


def test_a_failure_leaves_nothing_and_keeps_what_was_there(tmp_path):
    fill(tmp_path / "f")

    def break_off():
        with complete.filling(tmp_path / "f") as (into, _):
            (into / "file").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        break_off()
    assert complete.facts(tmp_path / "f", 1)
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("harm", ["truncate", "delete", "unmark", "garble"])
def test_a_harmed_folder_does_not_count(tmp_path, harm):
    fill(tmp_path / "f")
    file, marker = tmp_path / "f" / "sub" / "file", tmp_path / "f" / complete.MARKER
    {
        "truncate": lambda: file.write_text("ab"),
        "delete": file.unlink,
        "unmark": marker.unlink,
        "garble": lambda: marker.write_text("[]"),
    }[harm]()
    assert complete.facts(tmp_path / "f", 1) is None


def test_the_leftover_of_a_killed_filling_is_replaced(tmp_path):
    leftover = tmp_path / "f.1.partial"
    leftover.mkdir()
    (leftover / "stale").write_text("x")
    fill(tmp_path / "f")
    assert not leftover.exists()
    assert not (tmp_path / "f" / "stale").exists()
