"""CPU kernels on packed weights: a matrix times a few vectors, at 8 and 4 bits, for every group size.

One token reads every weight once, so the time is that of the memory, and fewer bytes are worth more arithmetic. The
kernels read codes, scales and zero points as they are stored and accumulate in fp32:

    y[r] = sum over groups of  scale * (sum of code * x - zero * sum of x)

A zero point is a whole number in as many bits as a code or, at 4 bits, 8 bits of which 4 are its fraction.

At 4 bits a byte holds an even and an odd neighbour, so x is split into its even and its odd half once a call; the odd
code is used where it stands, 16 times too large, against a sixteenth of x, which saves a shift and is exact. Prefill
asks for `blocks` instead: the weights some rows at a time, in fp32 or bf16.

numba compiles all of it for the machine's own vector unit, without a C compiler, and keeps the machine code in the
cache folder. A model has hundreds of small linears, and numba takes longer to accept an array than some of them to
multiply: so a kernel is a bare C function that takes addresses and runs on a share of the rows, one on each of torch's
threads.
"""

import ctypes
from collections.abc import Iterator
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
from engine.layers.thread_team import run, thread_count, thread_number
from engine.paths import cache_dir

numba.config.CACHE_DIR = str(cache_dir() / "kernels")  # read where the functions below are declared

DTYPES = (torch.float32, torch.bfloat16)  # of the activations

# Of a dequantized block: enough for a matrix product, few enough to stay in the cache.
_ROWS_AT_ONCE = {torch.float32: 512, torch.bfloat16: 2048}
_SUMS = {"reassoc", "contract", "nsz"}  # lets a dot product run in vector lanes; nothing else may be reordered:
# a scale is a tiny number times 2**112, and that factor on a sum of codes would overflow


def matvec(matrix: PackedMatrix, x: Tensor) -> Tensor:
    """x [..., columns] on the CPU, of one of DTYPES, times the transposed matrix: [..., rows] in x's dtype.

    For a few tokens: each goes over the whole matrix.
    """
    known = _known.get(matrix) or _remember(matrix)
    x = x.contiguous()
    shape, dtype = x.shape, x.dtype
    if shape[-1] != known.columns or dtype not in DTYPES or not x.is_cpu:
        raise ValueError(f"a kernel for {known.columns} inputs got {tuple(shape)} of {dtype} on {x.device}")
    out = torch.empty((*shape[:-1], known.rows), dtype=dtype)
    tokens = x.numel() // known.columns
    run(known.multiply, _Numbers(*known.numbers, x.data_ptr(), out.data_ptr(), tokens, dtype == torch.bfloat16))
    return out


def blocks(matrix: PackedMatrix, dtype: torch.dtype = torch.float32) -> Iterator[tuple[slice, Tensor]]:
    """The weights some rows at a time: (rows, [rows, columns] of one of DTYPES); each is overwritten by the next."""
    known = _known.get(matrix) or _remember(matrix)
    bf16, step = dtype == torch.bfloat16, _ROWS_AT_ONCE[dtype]
    buffer = torch.empty(min(step, matrix.rows), matrix.columns, dtype=dtype)
    for start in range(0, matrix.rows, step):
        rows = slice(start, min(start + step, matrix.rows))
        run(known.expand, _Numbers(*known.numbers, start, buffer.data_ptr(), rows.stop - start, bf16))
        yield rows, buffer[: rows.stop - start]


_Numbers = ctypes.c_int64 * 11  # what a kernel is called with


class _Known(NamedTuple):
    """What a product asks of a matrix, kept from call to call: asking a module takes longer than a small product.

    The tensors are held, so that their addresses stay theirs. No one gives a matrix other tensors.
    """

    multiply: int  # addresses of the kernels
    expand: int
    numbers: tuple[int, ...]  # addresses of codes, scales, zeros; bits of a zero, 0 for none; rows, columns, group size
    rows: int
    columns: int
    tensors: tuple[Tensor, Tensor, Tensor | None]


_known: WeakKeyDictionary[PackedMatrix, _Known] = WeakKeyDictionary()


def _remember(matrix: PackedMatrix) -> _Known:
    codes, scales, zeros = tensors = matrix.codes, matrix.scales, matrix.zeros
    addresses = codes.data_ptr(), scales.data_ptr(), 0 if zeros is None else zeros.data_ptr()
    zero_bits = 0 if zeros is None else matrix.zero_bits
    numbers = (*addresses, zero_bits, matrix.rows, matrix.columns, matrix.group_size)
    multiply, expand = (_multiply8, _expand8) if matrix.bits == 8 else (_multiply4, _expand4)
    _known[matrix] = _Known(multiply.address, expand.address, numbers, matrix.rows, matrix.columns, tensors)
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
    n = carray(arguments, (11,), np.int64)
    return n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10]


@njit
def _stored(codes_at, scales_at, zeros_at, zero_bits, rows, columns, groups, a_byte):  # type: ignore[no-untyped-def]
    """The matrix at three addresses: codes, so many a byte, the scales' bits and zero points."""
    zeros_width = (groups + 1) // 2 if zero_bits == 4 else groups
    codes = carray(_pointer(codes_at), (rows, columns // a_byte), np.uint8)
    scales = carray(_pointer(scales_at), (rows, groups), np.uint16)
    zeros = carray(_pointer(zeros_at), (rows, zeros_width), np.uint8)
    return codes, scales, zeros


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
def _rounded(number):  # type: ignore[no-untyped-def]
    """A float32 that is no NaN as the bits of a bf16, rounded to nearest, ties to even."""
    bits = np.float32(number).view(np.uint32)
    return np.uint16((bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16))


@njit
def _to_bf16(value):  # type: ignore[no-untyped-def]
    """As _rounded; NaN stays NaN."""
    bits = np.float32(value).view(np.uint32)
    if (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):
        return np.uint16(0x7FC0)
    return _rounded(value)


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


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _multiply8(arguments):  # type: ignore[no-untyped-def]
    """codes [rows, columns], scales and zeros [rows, groups], x [tokens, columns], out [tokens, rows]."""
    codes_at, scales_at, zeros_at, zero_bits, rows, columns, group_size, x_at, out_at, tokens, bf16 = _given(arguments)
    groups = columns // group_size
    codes, scales, zeros = _stored(codes_at, scales_at, zeros_at, zero_bits, rows, columns, groups, 1)
    x = _read(x_at, tokens, columns, bf16)
    sums = _group_sums(x, group_size)
    out, out16 = _out(out_at, tokens, rows)
    first, last = _share(rows)
    for r in range(first, last):
        for t in range(tokens):
            total = np.float32(0)
            for g in range(groups):
                start = g * group_size
                dot = _dot8(codes[r, start : start + group_size], x[t, start : start + group_size], group_size)
                zero = _zero8(zeros, zero_bits, r, g)
                total += _from_half(scales[r, g]) * (dot - zero * sums[t, g])
            if bf16:
                out16[t, r] = _to_bf16(total)
            else:
                out[t, r] = total


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _multiply4(arguments):  # type: ignore[no-untyped-def]
    """As _multiply8, with two codes and two zero points a byte."""
    codes_at, scales_at, zeros_at, zero_bits, rows, columns, group_size, x_at, out_at, tokens, bf16 = _given(arguments)
    groups, half = columns // group_size, group_size // 2
    codes, scales, zeros = _stored(codes_at, scales_at, zeros_at, zero_bits, rows, columns, groups, 2)
    x = _read(x_at, tokens, columns, bf16)
    sums = _group_sums(x, group_size)
    even, odd = x[:, ::2].copy(), x[:, 1::2] * np.float32(1 / 16)
    out, out16 = _out(out_at, tokens, rows)
    first, last = _share(rows)
    for r in range(first, last):
        for t in range(tokens):
            total = np.float32(0)
            for g in range(groups):
                start = g * half
                stop = start + half
                dot = _dot4(codes[r, start:stop], even[t, start:stop], odd[t, start:stop], half)
                zero = _zero4(zeros, zero_bits, r, g)
                total += _from_half(scales[r, g]) * (dot - zero * sums[t, g])
            if bf16:
                out16[t, r] = _to_bf16(total)
            else:
                out[t, r] = total


@njit
def _fill8(codes, zero, scale, count, out, out16, bf16):  # type: ignore[no-untyped-def]
    """A group's weights, into `out` as float32 or `out16` as the bits of bf16; counting from 0 lets it run in lanes."""
    if bf16:
        for i in range(count):
            out16[i] = _rounded((np.float32(codes[i]) - zero) * scale)
    else:
        for i in range(count):
            out[i] = (np.float32(codes[i]) - zero) * scale


@njit
def _fill4(codes, zero, scale, count, out, out16, bf16):  # type: ignore[no-untyped-def]
    """As _fill8; count: bytes, each an even and an odd code."""
    if bf16:
        for i in range(count):
            pair = np.int32(codes[i])
            out16[2 * i] = _rounded((np.float32(pair & 15) - zero) * scale)
            out16[2 * i + 1] = _rounded((np.float32(pair >> 4) - zero) * scale)
    else:
        for i in range(count):
            pair = np.int32(codes[i])
            out[2 * i] = (np.float32(pair & 15) - zero) * scale
            out[2 * i + 1] = (np.float32(pair >> 4) - zero) * scale


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _expand8(arguments):  # type: ignore[no-untyped-def]
    """out [count, columns] gets the weights of the rows from `begin` on."""
    codes_at, scales_at, zeros_at, zero_bits, rows, columns, size, begin, out_at, count, bf16 = _given(arguments)
    codes, scales, zeros = _stored(codes_at, scales_at, zeros_at, zero_bits, rows, columns, columns // size, 1)
    out, out16 = _out(out_at, count, columns)
    first, last = _share(count)
    for o in range(first, last):
        r = begin + o
        for g in range(columns // size):
            zero, scale, a, b = _zero8(zeros, zero_bits, r, g), _from_half(scales[r, g]), g * size, (g + 1) * size
            _fill8(codes[r, a:b], zero, scale, size, out[o, a:b], out16[o, a:b], bf16)


@cfunc("void(voidptr)", cache=True)  # type: ignore[untyped-decorator]
def _expand4(arguments):  # type: ignore[no-untyped-def]
    """As _expand8, with two codes and two zero points a byte."""
    codes_at, scales_at, zeros_at, zero_bits, rows, columns, size, begin, out_at, count, bf16 = _given(arguments)
    codes, scales, zeros = _stored(codes_at, scales_at, zeros_at, zero_bits, rows, columns, columns // size, 2)
    out, out16 = _out(out_at, count, columns)
    first, last = _share(count)
    for o in range(first, last):
        r = begin + o
        for g in range(columns // size):
            zero, scale, a, b = _zero4(zeros, zero_bits, r, g), _from_half(scales[r, g]), g * size, (g + 1) * size
            _fill4(codes[r, a // 2 : b // 2], zero, scale, size // 2, out[o, a:b], out16[o, a:b], bf16)
