"""Machine code on torch's own threads.

torch runs its loops on a team of OpenMP threads, which keep spinning for a while when a loop ends. A second team beside
it, such as numba's, fights it for the cores. So this asks the very library that torch has loaded, for the same team.
Compiled code finds its share of the work by `thread_number` and `thread_count`. Where torch brings no such library,
work runs on the calling thread alone.
"""

import ctypes
from pathlib import Path
from typing import Any

import torch
from llvmlite import binding  # type: ignore[import-untyped]
from numba import types
from numba.core.typing import signature

_OPENMP = ("libgomp*", "libomp.*", "libiomp*")  # all of them know GOMP_parallel, the call that compilers make
_CURRENT = ctypes.CFUNCTYPE(ctypes.c_int)


def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library in torch's folder; opening it by its path gives the one that is loaded."""
    for pattern in _OPENMP:
        for path in sorted((Path(torch.__file__).parent / "lib").glob(pattern)):
            try:
                library = ctypes.CDLL(str(path))
                library.GOMP_parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
                library.GOMP_parallel.restype = None
            except (OSError, AttributeError):
                continue
            return library
    return None


_library = _openmp()
_alone = _CURRENT(lambda: 0), _CURRENT(lambda: 1)  # kept: compiled code holds their addresses


def _declare(name: str, own: Any) -> Any:
    """A function of the library under a name that compiled code, also when it comes from the cache, is linked to."""
    function = own if _library is None else getattr(_library, f"omp_get_{name}")
    address = ctypes.cast(function, ctypes.c_void_p).value
    binding.add_symbol(f"kneepoint_{name}", address)
    return types.ExternalFunction(f"kneepoint_{name}", signature(types.int32))


thread_number = _declare("thread_num", _alone[0])  # to be called in compiled code: from 0
thread_count = _declare("num_threads", _alone[1])


def run(address: int, arguments: ctypes.Array[ctypes.c_int64]) -> None:
    """Call the compiled `void f(void *)` at an address once on each of torch's threads, and wait for all."""
    if _library is None:
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(arguments))
    else:
        _library.GOMP_parallel(address, ctypes.addressof(arguments), torch.get_num_threads(), 0)
