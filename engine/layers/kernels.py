"""CPU kernels on packed weights: a matrix times a few vectors, at 8 and 4 bits, for every group size.

One token reads every weight once, so the time is that of the memory, and fewer bytes are worth more arithmetic. The
kernels read codes, scales and zero points as they are stored and accumulate in fp32:

    y[r] = sum over groups of  scale * sum of (code - zero) * x

A zero point is a whole number in as many bits as a code or, at 4 bits, 8 bits of which 4 are its fraction. The products
of a row are `packed_row`'s. Prefill asks for `blocks` instead: the weights some rows at a time, in fp32 or bf16.

numba compiles all of it for the machine's own vector unit, without a C compiler, and keeps the machine code in the
cache folder. A model has hundreds of small linears, and numba takes longer to accept an array than some of them to
multiply: so a kernel is a bare C function that takes addresses and runs on a share of the rows, one on each of torch's
threads.
"""

import ctypes
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numba
import numpy as np
import torch
from numba import carray, cfunc, njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from engine.layers.packed_matrix import PackedMatrix
from engine.layers.packed_row import LANES, MULTIPLIES_PAIRS, row_product, row_weights
from engine.layers.thread_team import run, thread_count, thread_number
from engine.paths import cache_dir

# numba asks only whether the file of a function has changed, not the files of what it calls.
_SOURCES = [Path(__file__).with_name(name) for name in ("kernels.py", "packed_row.py", "thread_team.py")]
_DIGEST = hashlib.sha256(b"".join(source.read_bytes() for source in _SOURCES)).hexdigest()[:16]
numba.config.CACHE_DIR = str(cache_dir() / "kernels" / _DIGEST)  # read where the functions below are declared

DTYPES = (torch.float32, torch.bfloat16)  # of the activations

# Of a dequantized block: enough for a matrix product, few enough to stay in the cache.
_ROWS_AT_ONCE = {torch.float32: 512, torch.bfloat16: 2048}
_WEIGHTS_AT_ONCE = 2**22


def matvec(matrix: PackedMatrix, x: Tensor, round_inputs: bool = False) -> Tensor:
    """x [..., columns] on the CPU, of one of DTYPES, times the transposed matrix: [..., rows] in x's dtype.

    For a few tokens: all of them go over each row. round_inputs: to 8 bits first, as `rounded_inputs.rounded` does.
    """
    known = _known.get(matrix) or _remember(matrix)
    x = x.contiguous()
    shape, dtype = x.shape, x.dtype
    if shape[-1] != known.columns or dtype not in DTYPES or not x.is_cpu:
        raise ValueError(f"a kernel for {known.columns} inputs got {tuple(shape)} of {dtype} on {x.device}")
    out = torch.empty((*shape[:-1], known.rows), dtype=dtype)
    tokens = x.numel() // known.columns
    given = x.data_ptr(), out.data_ptr(), tokens, dtype == torch.bfloat16, round_inputs
    run(_multiply.address, _Numbers(*known.numbers, *given))
    return out


def blocks(matrix: PackedMatrix, dtype: torch.dtype = torch.float32) -> Iterator[tuple[slice, Tensor]]:
    """The weights some rows at a time: (rows, [rows, columns] of one of DTYPES); each is overwritten by the next."""
    known = _known.get(matrix) or _remember(matrix)
    bf16, step = dtype == torch.bfloat16, min(_ROWS_AT_ONCE[dtype], max(1, _WEIGHTS_AT_ONCE // matrix.columns))
    buffer = torch.empty(min(step, matrix.rows), matrix.columns, dtype=dtype)
    for start in range(0, matrix.rows, step):
        rows = slice(start, min(start + step, matrix.rows))
        run(_expand.address, _Numbers(*known.numbers, start, buffer.data_ptr(), rows.stop - start, bf16, False))
        yield rows, buffer[: rows.stop - start]


_Numbers = ctypes.c_int64 * 13  # what a kernel is called with


class _Known(NamedTuple):
    """What a product asks of a matrix, kept from call to call: asking a module takes longer than a small product.

    The tensors are held, so that their addresses stay theirs. No one gives a matrix other tensors.
    """

    numbers: tuple[int, ...]  # codes', scales', zeros' addresses; a zero's bits, 0 for none; rows to bits of the matrix
    rows: int
    columns: int
    tensors: tuple[Tensor, Tensor, Tensor | None]


_known: WeakKeyDictionary[PackedMatrix, _Known] = WeakKeyDictionary()


def _remember(matrix: PackedMatrix) -> _Known:
    codes, scales, zeros = tensors = matrix.codes, matrix.scales, matrix.zeros
    addresses = codes.data_ptr(), scales.data_ptr(), 0 if zeros is None else zeros.data_ptr()
    zero_bits = 0 if zeros is None else matrix.zero_bits
    numbers = (*addresses, zero_bits, matrix.rows, matrix.columns, matrix.group_size, matrix.bits)
    _known[matrix] = _Known(numbers, matrix.rows, matrix.columns, tensors)
    return _known[matrix]


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(typing_context: Any, address: Any) -> Any:
    """The memory at an address, for carray."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit
def _given(arguments):  # type: ignore[no-untyped-def]
    """What the kernel was called with."""
    n = carray(arguments, (13,), np.int64)
    return n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12]


@njit
def _grid(scales_at, zeros_at, zero_bits, rows, groups):  # type: ignore[no-untyped-def]
    """The scales' bits and the zero points of a matrix, at two addresses."""
    zeros_width = (groups + 1) // 2 if zero_bits == 4 else groups
    scales = carray(_pointer(scales_at), (rows, groups), np.uint16)
    return scales, carray(_pointer(zeros_at), (rows, zeros_width), np.uint8)


@njit
def _zero8(zeros, zero_bits, r, g):  # type: ignore[no-untyped-def]
    return np.float32(128) if zero_bits == 0 else np.float32(zeros[r, g])


@njit
def _zero4(zeros, zero_bits, r, g):  # type: ignore[no-untyped-def]
    if zero_bits == 0:
        return np.float32(8)
    if zero_bits == 8:
        return np.float32(zeros[r, g]) * np.float32(1 / 16)
    return np.float32((zeros[r, g >> 1] >> (4 * (g & 1))) & 15)


@njit
def _out(address, tokens, rows):  # type: ignore[no-untyped-def]
    """Where a product goes, [tokens, rows], as float32 and as the bits of bf16; one of the two is meant."""
    return carray(_pointer(address), (tokens, rows), np.float32), carray(_pointer(address), (tokens, rows), np.uint16)


@njit
def _from_half(bits):  # type: ignore[no-untyped-def]
    """A float16's bits as float32: exponent and fraction moved into place, the bias corrected by a power of two."""
    wide = np.uint32(bits)
    moved = ((wide & np.uint32(0x8000)) << np.uint32(16)) | ((wide & np.uint32(0x7FFF)) << np.uint32(13))
    return np.uint32(moved).view(np.float32) * np.float32(2.0**112)


@njit
def _share(rows):  # type: ignore[no-untyped-def]
    """First and last + 1 of the rows that this thread works on."""
    number, count = np.int64(thread_number()), np.int64(thread_count())
    return rows * number // count, rows * (number + 1) // count


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
def _to_bf16(value):  # type: ignore[no-untyped-def]
    """A float32 as the bits of a bf16, rounded to nearest, ties to even."""
    bits = np.float32(value).view(np.uint32)
    if (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):
        return np.uint16(0x7FC0)  # NaN stays NaN
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@njit(error_model="numpy")  # no exceptions, which a kernel has no way to tell
def _round(x):  # type: ignore[no-untyped-def]
    """Make whole numbers from -127 to 127 of activations [tokens, columns], in place, and give each token's step."""
    steps = np.ones(x.shape[0], dtype=np.float32)
    for t in range(x.shape[0]):
        largest = np.float32(0)
        for i in range(x.shape[1]):
            largest = max(largest, abs(x[t, i]))
        step = largest / np.float32(127)
        if step != 0:  # not where there is nothing, or next to nothing
            steps[t] = step
        for i in range(x.shape[1]):
            x[t, i] = np.rint(x[t, i] / steps[t])
    return steps


@njit
def _upper_halves(x):  # type: ignore[no-untyped-def]
    """The bits of bf16 of float32 numbers that are exact in it."""
    return (x.view(np.uint32) >> np.uint32(16)).astype(np.uint16)


@njit
def _evens_first(x):  # type: ignore[no-untyped-def]
    """Activations [tokens, columns] with all even columns before the odd ones."""
    ordered, half = np.empty_like(x), x.shape[1] // 2
    for t in range(x.shape[0]):
        for i in range(half):
            ordered[t, i] = x[t, 2 * i]
            ordered[t, half + i] = x[t, 2 * i + 1]
    return ordered


@njit
def _grid_of_row(scales, zeros, zero_bits, bits, r, first, scale, zero):  # type: ignore[no-untyped-def]
    """Put a row's scales and zero points, which are all the same where none are stored, into float32 [groups]."""
    for g in range(scale.shape[0]):
        scale[g] = _from_half(scales[r, g])
    if first or zero_bits != 0:
        for g in range(zero.shape[0]):
            zero[g] = _zero8(zeros, zero_bits, r, g) if bits == 8 else _zero4(zeros, zero_bits, r, g)


_times8, _times4 = row_product(8, pairs=False), row_product(4, pairs=False)
_pairs8 = row_product(8, pairs=True) if MULTIPLIES_PAIRS else _times8
_pairs4 = row_product(4, pairs=True) if MULTIPLIES_PAIRS else _times4


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _multiply(arguments):  # type: ignore[no-untyped-def]
    """out [tokens, rows] gets x [tokens, columns] times the transposed matrix; whole: x is rounded first."""
    at, scales_at, zeros_at, zero_bits, rows, columns, size, bits, x_at, out_at, tokens, bf16, whole = _given(arguments)
    groups = columns // size
    scales, zeros = _grid(scales_at, zeros_at, zero_bits, rows, groups)
    pairs = MULTIPLIES_PAIRS and bf16 and size % (2 * LANES) == 0
    x16 = carray(_pointer(x_at), (tokens, columns), np.uint16)
    x = np.empty((0, 0), dtype=np.float32) if pairs and not whole else _read(x_at, tokens, columns, bf16)
    steps = _round(x) if whole else np.ones(tokens, dtype=np.float32)
    if pairs and whole:
        x16 = _upper_halves(x)
    elif bits == 4 and not pairs:
        x = _evens_first(x)
    scale, zero = np.empty(groups, dtype=np.float32), np.empty(groups, dtype=np.float32)
    sums = np.empty(tokens, dtype=np.float32)
    out, out16 = _out(out_at, tokens, rows)
    first, last = _share(rows)
    for r in range(first, last):
        _grid_of_row(scales, zeros, zero_bits, bits, r, r == first, scale, zero)
        row = at + r * (columns * bits // 8)
        if pairs and bits == 4:
            _pairs4(row, scale, zero, x16, size // 2, sums)
        elif pairs:
            _pairs8(row, scale, zero, x16, size // 2, sums)
        elif bits == 4:
            _times4(row, scale, zero, x, size // 2, sums)
        else:
            _times8(row, scale, zero, x, size, sums)
        for t in range(tokens):
            if bf16:
                out16[t, r] = _to_bf16(sums[t] * steps[t])
            else:
                out[t, r] = sums[t] * steps[t]


_weights8, _weights4 = row_weights(8, bf16=False), row_weights(4, bf16=False)
_halves8, _halves4 = row_weights(8, bf16=True), row_weights(4, bf16=True)


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _expand(arguments):  # type: ignore[no-untyped-def]
    """out [count, columns] gets the weights of the rows from `begin` on."""
    at, scales_at, zeros_at, zero_bits, rows, columns, size, bits, begin, out_at, count, bf16, _ = _given(arguments)
    groups, cells = columns // size, size * bits // 8
    scales, zeros = _grid(scales_at, zeros_at, zero_bits, rows, groups)
    scale, zero = np.empty(groups, dtype=np.float32), np.empty(groups, dtype=np.float32)
    out, out16 = _out(out_at, count, columns)
    first, last = _share(count)
    for o in range(first, last):
        r = begin + o
        _grid_of_row(scales, zeros, zero_bits, bits, r, o == first, scale, zero)
        row = at + r * (columns * bits // 8)
        if bf16 and bits == 4:
            _halves4(row, scale, zero, cells, out16[o])
        elif bf16:
            _halves8(row, scale, zero, cells, out16[o])
        elif bits == 4:
            _weights4(row, scale, zero, cells, out[o])
        else:
            _weights8(row, scale, zero, cells, out[o])
