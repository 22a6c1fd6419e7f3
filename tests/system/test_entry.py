"""Why a child process failed, as its user is told."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from engine.errors import InputError
from engine.system import entry


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("bits must be in [2, 8], got 0"), "bits must be in [2, 8], got 0"),
        (MemoryError(), "ran out of memory (stage: compress): "),
        (torch.OutOfMemoryError("CUDA out of memory."), "ran out of memory (stage: compress): "),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "ran out of memory"),
        (OSError(28, "No space left on device"), "the disk is full (stage: compress): "),
        (KeyError("q_proj"), "KeyError (stage: compress): 'q_proj'"),
        (RuntimeError("mat1 and mat2\n\tdo not fit"), "RuntimeError (stage: compress): mat1 and mat2 do not fit"),
    ],
)
def test_a_failure_is_explained_in_a_sentence(error: Exception, expected: str) -> None:
    reason = entry.explain(error, "compress")
    assert reason.startswith(expected)
    assert "\n" not in reason


def test_a_failure_before_any_stage_names_none() -> None:
    assert entry.explain(KeyError("trial"), "") == "KeyError: 'trial'"


def test_of_several_disks_the_full_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry.tempfile, "gettempdir", lambda: str(tmp_path))
    usage = {str(tmp_path): 1_000}
    monkeypatch.setattr(entry.shutil, "disk_usage", lambda path: SimpleNamespace(free=usage.get(str(path), 10**12)))
    full = OSError(28, "No space left on device")
    assert entry.explain(full, "load") == f"the disk of {tmp_path} is full (stage: load): free some space, then retry"
