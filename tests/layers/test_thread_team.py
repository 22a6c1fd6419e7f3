import ctypes
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numba import carray, cfunc

from engine.layers import thread_team
from engine.layers.thread_team import run, thread_count, thread_number


@cfunc("void(voidptr)")
def _count_in(arguments):  # type: ignore[no-untyped-def]
    """Each thread writes how many there are to its own place."""
    carray(arguments, (8,), np.int64)[thread_number()] = thread_count()


@pytest.fixture
def two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def test_every_one_of_torch_s_threads_takes_its_share(two_threads: None) -> None:
    if thread_team._library is None:
        pytest.skip("this build of torch brings no OpenMP library")
    numbers = (ctypes.c_int64 * 8)()
    run(_count_in.address, numbers)
    assert list(numbers) == [2, 2, 0, 0, 0, 0, 0, 0]


def test_one_thread_works_alone() -> None:
    numbers = (ctypes.c_int64 * 8)()
    run(_count_in.address, numbers)
    assert list(numbers) == [1, 0, 0, 0, 0, 0, 0, 0]


def test_without_openmp_the_calling_thread_does_it_all(two_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_team, "_library", None)
    numbers = (ctypes.c_int64 * 8)()
    run(_count_in.address, numbers)
    assert list(numbers) == [1, 0, 0, 0, 0, 0, 0, 0]
