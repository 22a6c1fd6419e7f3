"""Memory that large tensors leave, kept for the next ones instead of going back to the system in between.

By default glibc maps every large tensor anew and unmaps it with its end, and the system clears each page of it on the
first touch: where hundreds of large tensors come and go, that takes longer than much of the arithmetic between.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # mallopt's names for them, in malloc.h
_LARGEST = 2**31 - 1  # that mallopt takes
_MAPPINGS = 2**16
_MAPPED = 32 * 2**20  # bytes: where glibc's own threshold ends up once a tensor of that size was freed


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Within, freed memory up to 2 GiB waits for the next tensor; afterwards it is given back. Does nothing where the C
    library is not glibc."""
    c = ctypes.CDLL(None) if sys.platform == "linux" else None
    if c is None or not hasattr(c, "mallopt"):
        yield
        return
    c.mallopt(_MMAP_MAX, 0)
    c.mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:
        c.mallopt(_MMAP_MAX, _MAPPINGS)
        c.mallopt(_MMAP_THRESHOLD, _MAPPED)
        c.mallopt(_TRIM_THRESHOLD, 2 * _MAPPED)
        c.malloc_trim(0)
