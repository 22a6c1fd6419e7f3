"""Folders to work in: gone with the work, and those of killed processes with the next, but none that is in use."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.system.work_folder import work_folder

STAYS = (
    "import sys, time; from pathlib import Path; from engine.system.work_folder import work_folder\n"
    "with work_folder(Path(sys.argv[1]), 'trial') as folder:\n"
    "    (folder / 'packed').write_text('half'); print(folder, flush=True); time.sleep(200)"
)


def test_it_is_empty_and_gone_afterwards_also_where_the_work_fails(tmp_path: Path) -> None:
    def fails() -> None:
        with work_folder(tmp_path, "trial") as folder:
            assert list(folder.iterdir()) == []
            (folder / "packed").mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STAYS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        left = Path(other.stdout.readline().strip())
        with work_folder(tmp_path, "trial"), work_folder(tmp_path, "trial"):
            assert (left / "packed").read_text() == "half"
            assert len(list(tmp_path.iterdir())) == 3
        other.kill()
    assert left.is_dir()
    with work_folder(tmp_path, "trial") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_folders_of_other_work_and_of_other_people_are_let_be(tmp_path: Path) -> None:
    others = [tmp_path / "trial-mine", tmp_path / "trials.kneepoint-x", tmp_path / "t*.kneepoint-y"]
    for folder in others:
        folder.mkdir()
    (tmp_path / "t.kneepoint-file").write_text("no folder")
    for name in ("trial", "t"):
        with work_folder(tmp_path, name):
            pass
    assert all(folder.is_dir() for folder in others)
    assert (tmp_path / "t.kneepoint-file").exists()


def test_where_none_can_be_made_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), work_folder(tmp_path / "absent", "trial"):
        pass
