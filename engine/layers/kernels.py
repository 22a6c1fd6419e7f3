"""CPU kernels on packed weights: a matrix times a few vectors, at 8 and 4 bits, for every group size.

One token reads every weight once, so the time is that of the memory, and fewer bytes are worth more arithmetic. The
kernels read codes, scales and zero points as they are stored and accumulate in fp32:

    y[r] = sum over groups of  scale * (sum of code * x - zero * sum of x)

At 4 bits a byte holds an even and an odd neighbour, so x is split into its even and its odd half once a call; the odd
code is used where it stands, 16 times too large, against a sixteenth of x, which saves a shift and is exact. numba
compiles all of it for the machine's own vector unit, without a C compiler, and keeps the machine code in the cache
folder. Prefill asks for `blocks` instead: the weights some rows at a time in fp32, expanded by the same threads.

A model has hundreds of small linears, and numba takes longer to accept an array than some of them to multiply: the
products take addresses. numba shares the cores with torch through OpenMP. Where it finds none, its own pool fights
torch's for them, and one thread is faster: then one is used.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numba
import numpy as np
import torch
from numba import carray, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from engine.layers.packed_matrix import PackedMatrix
from engine.paths import cache_dir

numba.config.CACHE_DIR = str(cache_dir() / "kernels")  # read where the functions below are declared


@cache
def _has_openmp() -> bool:
    try:
        from numba.np.ufunc import omppool  # type: ignore[attr-defined]  # noqa: F401
    except ImportError:
        return False
    return True


numba.config.THREADING_LAYER = "omp" if _has_openmp() else "default"

DTYPES = (torch.float32, torch.bfloat16)  # of the activations

_ROWS_AT_ONCE = 512  # of a dequantized block: enough for a matrix product, few enough to stay in the cache
_NO_ZEROS = np.zeros((0, 0), dtype=np.uint8)
_SUMS = {"reassoc", "contract", "nsz"}  # lets a dot product run in vector lanes; nothing else may be reordered:
# a scale is a tiny number times 2**112, and that factor on a sum of codes would overflow


def matvec(matrix: PackedMatrix, x: Tensor) -> Tensor:
    """x [..., columns] on the CPU, of one of DTYPES, times the transposed matrix: [..., rows] in x's dtype.

    For a few tokens: each goes over the whole matrix.
    """
    _match_threads()
    known = _known.get(matrix) or _remember(matrix)
    x = x.contiguous()
    shape, dtype = x.shape, x.dtype
    if shape[-1] != known.columns or dtype not in DTYPES or not x.is_cpu:
        raise ValueError(f"a kernel for {known.columns} inputs got {tuple(shape)} of {dtype} on {x.device}")
    out = torch.empty((*shape[:-1], known.rows), dtype=dtype)
    known.multiply(
        *known.addresses,
        x.data_ptr(),
        out.data_ptr(),
        x.numel() // known.columns,
        known.rows,
        known.columns,
        known.group_size,
        dtype == torch.bfloat16,
    )
    return out


def blocks(matrix: PackedMatrix) -> Iterator[tuple[slice, Tensor]]:
    """The weights some rows at a time: (rows, fp32 [rows, columns]); each block is overwritten by the next."""
    _match_threads()
    codes, scales = matrix.codes.numpy(), matrix.scales.numpy().view(np.uint16)
    zeros = _NO_ZEROS if matrix.zeros is None else matrix.zeros.numpy()
    buffer = np.empty((min(_ROWS_AT_ONCE, matrix.rows), matrix.columns), dtype=np.float32)
    expand = _expand8 if matrix.bits == 8 else _expand4
    for start in range(0, matrix.rows, _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, matrix.rows))
        part = buffer[: rows.stop - start]
        expand(codes[rows], scales[rows], zeros[rows], part, matrix.group_size)
        yield rows, torch.from_numpy(part)


def prepare() -> None:
    """Compile the kernels, or load them from the cache: seconds and memory that no measurement should meet first."""
    for bits, x in product((8, 4), (torch.zeros(1, 16), torch.zeros(1, 16).bfloat16())):
        codes = torch.zeros(8, 16, dtype=torch.uint8)
        matrix = PackedMatrix.from_codes(codes, torch.ones(8, 1).half(), None, bits)
        matvec(matrix, x)
        next(blocks(matrix))


def _match_threads() -> None:
    """Use as many threads as torch does."""
    wanted = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS) if _has_openmp() else 1
    if numba.get_num_threads() != wanted:
        numba.set_num_threads(wanted)


class _Known(NamedTuple):
    """What a product asks of a matrix, kept from call to call: asking a module takes longer than a small product.

    The tensors are held, so that their addresses stay theirs. No one gives a matrix other tensors.
    """

    multiply: Callable[..., None]
    addresses: tuple[int, int, int]  # of codes, scales, zeros; 0 for none
    rows: int
    columns: int
    group_size: int
    tensors: tuple[Tensor, Tensor, Tensor | None]


_known: WeakKeyDictionary[PackedMatrix, _Known] = WeakKeyDictionary()


def _remember(matrix: PackedMatrix) -> _Known:
    tensors = matrix.codes, matrix.scales, matrix.zeros
    addresses = (tensors[0].data_ptr(), tensors[1].data_ptr(), 0 if tensors[2] is None else tensors[2].data_ptr())
    multiply = _matvec8 if matrix.bits == 8 else _matvec4
    _known[matrix] = _Known(multiply, addresses, matrix.rows, matrix.columns, matrix.group_size, tensors)
    return _known[matrix]


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing_context: Any, address: Any) -> Any:
    """The memory at an address, for carray."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit
def _from_half(bits):  # type: ignore[no-untyped-def]
    """A float16's bits as float32: exponent and fraction moved into place, the bias corrected by a power of two."""
    wide = np.uint32(bits)
    moved = ((wide & np.uint32(0x8000)) << np.uint32(16)) | ((wide & np.uint32(0x7FFF)) << np.uint32(13))
    return np.uint32(moved).view(np.float32) * np.float32(2.0**112)


@njit
def _read(address, tokens, columns, bf16):  # type: ignore[no-untyped-def]
    """Activations [tokens, columns] as float32; a bf16 number is the upper half of one."""
    if not bf16:
        return carray(_pointer(address), (tokens, columns), np.float32).copy()
    stored = carray(_pointer(address), (tokens, columns), np.uint16)
    x = np.empty((tokens, columns), dtype=np.uint32)
    for t in range(tokens):
        for i in range(columns):
            x[t, i] = np.uint32(stored[t, i]) << np.uint32(16)
    return x.view(np.float32)


@njit
def _write(address, y, bf16):  # type: ignore[no-untyped-def]
    """Store float32 [tokens, rows] as it is or as bf16, rounded to nearest, ties to even; NaN stays NaN."""
    tokens, rows = y.shape
    if not bf16:
        carray(_pointer(address), (tokens, rows), np.float32)[:] = y
        return
    out = carray(_pointer(address), (tokens, rows), np.uint16)
    bits = y.view(np.uint32)
    for t in range(tokens):
        for i in range(rows):
            value = bits[t, i]
            rounded = (value + np.uint32(0x7FFF) + ((value >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
            finite = (value & np.uint32(0x7FFFFFFF)) <= np.uint32(0x7F800000)
            out[t, i] = np.uint16(rounded) if finite else np.uint16(0x7FC0)


@njit(fastmath=_SUMS)
def _dot8(codes, x, count):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for i in range(count):
        total += np.float32(codes[i]) * x[i]
    return total


@njit(fastmath=_SUMS)
def _dot4(codes, even, odd, count):  # type: ignore[no-untyped-def]
    """count: bytes, each an even and an odd code; odd: a sixteenth of the odd codes' x."""
    total = np.float32(0)
    for i in range(count):
        pair = np.int32(codes[i])
        total += np.float32(pair & 15) * even[i] + np.float32(pair & 240) * odd[i]
    return total


@njit
def _group_sums(x, group_size):  # type: ignore[no-untyped-def]
    sums = np.zeros((x.shape[0], x.shape[1] // group_size), dtype=np.float32)
    for t in range(x.shape[0]):
        for g in range(sums.shape[1]):
            for i in range(g * group_size, (g + 1) * group_size):
                sums[t, g] += x[t, i]
    return sums


@njit(parallel=True, cache=True)
def _matvec8(codes_at, scales_at, zeros_at, x_at, out_at, tokens, rows, columns, group_size, bf16):  # type: ignore[no-untyped-def]
    """Addresses of codes [rows, columns], scales and zeros [rows, groups], x [tokens, columns], out [tokens, rows]."""
    groups = columns // group_size
    codes = carray(_pointer(codes_at), (rows, columns), np.uint8)
    scales = carray(_pointer(scales_at), (rows, groups), np.uint16)
    zeros = carray(_pointer(zeros_at), (rows, groups), np.uint8)
    x = _read(x_at, tokens, columns, bf16)
    sums = _group_sums(x, group_size)
    y = np.empty((tokens, rows), dtype=np.float32)
    for r in prange(rows):
        for t in range(tokens):
            total = np.float32(0)
            for g in range(groups):
                start = g * group_size
                dot = _dot8(codes[r, start : start + group_size], x[t, start : start + group_size], group_size)
                zero = np.float32(128) if zeros_at == 0 else np.float32(zeros[r, g])
                total += _from_half(scales[r, g]) * (dot - zero * sums[t, g])
            y[t, r] = total
    _write(out_at, y, bf16)


@njit(parallel=True, cache=True)
def _matvec4(codes_at, scales_at, zeros_at, x_at, out_at, tokens, rows, columns, group_size, bf16):  # type: ignore[no-untyped-def]
    """As _matvec8, with two codes and two zero points a byte."""
    groups, half = columns // group_size, group_size // 2
    codes = carray(_pointer(codes_at), (rows, columns // 2), np.uint8)
    scales = carray(_pointer(scales_at), (rows, groups), np.uint16)
    zeros = carray(_pointer(zeros_at), (rows, (groups + 1) // 2), np.uint8)
    x = _read(x_at, tokens, columns, bf16)
    sums = _group_sums(x, group_size)
    even, odd = x[:, ::2].copy(), x[:, 1::2] * np.float32(1 / 16)
    y = np.empty((tokens, rows), dtype=np.float32)
    for r in prange(rows):
        for t in range(tokens):
            total = np.float32(0)
            for g in range(groups):
                start = g * half
                stop = start + half
                dot = _dot4(codes[r, start:stop], even[t, start:stop], odd[t, start:stop], half)
                zero = np.float32(8) if zeros_at == 0 else np.float32((zeros[r, g >> 1] >> (4 * (g & 1))) & 15)
                total += _from_half(scales[r, g]) * (dot - zero * sums[t, g])
            y[t, r] = total
    _write(out_at, y, bf16)


@njit(parallel=True, cache=True)
def _expand8(codes, scales, zeros, out, group_size):  # type: ignore[no-untyped-def]
    """out [rows, columns] gets the weights."""
    for r in prange(codes.shape[0]):
        for g in range(scales.shape[1]):
            scale = _from_half(scales[r, g])
            zero = np.float32(128) if zeros.size == 0 else np.float32(zeros[r, g])
            for i in range(g * group_size, (g + 1) * group_size):
                out[r, i] = (np.float32(codes[r, i]) - zero) * scale


@njit(parallel=True, cache=True)
def _expand4(codes, scales, zeros, out, group_size):  # type: ignore[no-untyped-def]
    """out [rows, columns] gets the weights."""
    half = group_size // 2
    for r in prange(codes.shape[0]):
        for g in range(scales.shape[1]):
            scale = _from_half(scales[r, g])
            zero = np.float32(8) if zeros.size == 0 else np.float32((zeros[r, g >> 1] >> (4 * (g & 1))) & 15)
            for i in range(g * half, (g + 1) * half):
                pair = np.int32(codes[r, i])
                out[r, 2 * i] = (np.float32(pair & 15) - zero) * scale
                out[r, 2 * i + 1] = (np.float32(pair >> 4) - zero) * scale
