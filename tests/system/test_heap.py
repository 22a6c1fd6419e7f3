"""Freed memory is kept within, and given back after."""

import resource
import sys
from pathlib import Path

import pytest
import torch

from engine.system.heap import keep_freed_memory

PAGE = resource.getpagesize()
PAGES = 64 * 2**20 // PAGE  # of a tensor


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told what to do with freed memory")
def test_a_freed_tensor_stays_in_memory_until_the_end() -> None:
    before = resident()
    with keep_freed_memory():
        torch.ones(PAGES * PAGE // 4)
        assert resident() - before > PAGES / 2
    assert resident() - before < PAGES / 2
    torch.ones(PAGES * PAGE // 4)
    assert resident() - before < PAGES / 2


def resident() -> int:
    """Pages of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1])
