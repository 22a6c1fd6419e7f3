"""A row of packed weights, as LLVM's instructions on vectors: its products with a few tokens, its weights.

A compiler makes vectors of a loop over one token, and takes every code apart again for the next one. Here a code is
taken apart once for up to eight tokens; each token has its own sums, one a lane, which are added up once a row:

    sums[t] = sum over groups of  scale * sum of (code - zero) * x[t]

A code less its zero point has at most eight binary digits, so it is exact in bf16 too. Processors with AVX512-BF16
multiply pairs of them with pairs of bf16 activations, exactly, and add up in fp32; all other numbers go through fp32.

A cell is what one lane takes of the codes: a byte, which at 4 bits holds an even and an odd code, or a pair of bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

_FEATURES = cpu_target.target_context.codegen().magic_tuple()[2].split(",")  # of the processor numba compiles for
LANES = 16 if "+avx512f" in _FEATURES else 8  # of float32, in one register or, on smaller ones, in two
MULTIPLIES_PAIRS = LANES == 16 and "+avx512bf16" in _FEATURES
_WIDTHS = (LANES, 4, 1)  # of vectors: each takes what fills none of the wider ones

_PAIRS_AT_ONCE = (8, 4, 2, 1)  # tokens, with two registers each of 32
_AT_ONCE = (4, 2, 1)  # tokens; processors without these units may have 16

_INT, _WORD, _HALF, _FLOAT = ir.IntType(64), ir.IntType(32), ir.IntType(16), ir.FloatType()


def row_product(bits: int, pairs: bool) -> Any:
    """What compiled code calls as `f(codes, scales, zeros, x, cells, sums)`; sums float32 [tokens] gets the products.

    bits: of a code, 8 or 4. codes: the address of a row's. scales, zeros: float32 [groups]. x: float32 [tokens,
    columns], at 4 bits with all even columns before the odd ones. cells: of a group, each a byte. With `pairs` a cell
    is two codes, x uint16 [tokens, columns] the bits of bf16 in their order, and `cells` a multiple of LANES. Pairs
    count activations below the smallest normal number as zero.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def multiply(typing: Any, codes: Any, scales: Any, zeros: Any, x: Any, cells: Any, sums: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            codes_at, scales_at, zeros_at, x_at, count, sums_at = _opened(context, builder, signature, arguments)
            _Product(builder, bits, pairs, codes_at, scales_at, zeros_at, count).multiply(x_at, sums_at)
            return context.get_dummy_value()

        return types.void(types.int64, scales, zeros, x, types.int64, sums), generate

    return multiply


def row_weights(bits: int, bf16: bool) -> Any:
    """What compiled code calls as `f(codes, scales, zeros, cells, weights)`; weights [columns] gets the row's.

    weights: float32 or, with `bf16`, uint16, the bits of bf16, rounded to nearest, ties to even. The others are
    `row_product`'s, and a cell is a byte.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def expand(typing: Any, codes: Any, scales: Any, zeros: Any, cells: Any, weights: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            codes_at, scales_at, zeros_at, count, weights_at = _opened(context, builder, signature, arguments)
            _Weights(builder, bits, False, codes_at, scales_at, zeros_at, count).expand(weights_at, bf16)
            return context.get_dummy_value()

        return types.void(types.int64, scales, zeros, types.int64, weights), generate

    return expand


def _opened(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The arguments of a call; of an array what leads to its address and its shape."""
    return [
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


class _Row:
    """How a row's codes are read. Numbers are values of the program that is built, not of this one."""

    def __init__(self, builder: Any, bits: int, pairs: bool, codes: Any, scales: Any, zeros: Any, cells: Any) -> None:
        self.builder, self.bits, self.pairs = builder, bits, pairs
        self.codes_at, self.cells = codes, cells
        self.scales, self.zeros = self._address(scales), self._address(zeros)
        self.groups = builder.extract_value(scales.shape, 0)

    @contextmanager
    def _group(self, lanes: int) -> Iterator[tuple[Any, Any]]:
        """A group's part that vectors of one width take, if there is any: the cells before it, and how many vectors."""
        builder, width = self.builder, ir.Constant(_INT, lanes)
        wider = ir.Constant(_INT, _WIDTHS[_WIDTHS.index(lanes) - 1])
        left = self.cells if lanes == LANES else builder.srem(self.cells, wider)
        times = builder.sdiv(left, width)
        with builder.if_then(builder.icmp_signed(">", times, ir.Constant(_INT, 0))):
            yield builder.sub(self.cells, left), times

    @contextmanager
    def _cells(self, group: Any, before: Any, times: Any, lanes: int) -> Iterator[Any]:
        """A loop over the first cells of a group's vectors."""
        begin = self.builder.add(self.builder.mul(group, self.cells), before)
        with cgutils.for_range(self.builder, times) as turn:
            yield self.builder.add(begin, self.builder.mul(turn.index, ir.Constant(_INT, lanes)))

    def _centred(self, cell: Any, zero: Any, lanes: int) -> list[Any]:
        """The codes of a vector of cells less their zero point, as float32: even and odd ones where a cell has two."""
        builder, kind = self.builder, _of(_FLOAT, lanes)
        two = self.pairs or self.bits == 4
        stored = ir.IntType(2 * self.bits if two else self.bits)
        codes = [builder.zext(self._read(self.codes_at, cell, stored, lanes), _of(_WORD, lanes))]
        if two:
            even = builder.and_(codes[0], _constant(codes[0].type, 2**self.bits - 1))
            codes = [even, builder.lshr(codes[0], _constant(codes[0].type, self.bits))]
        return [builder.fsub(builder.sitofp(code, kind), zero) for code in codes]

    def _of_group(self, address: Any, group: Any, lanes: int) -> Any:
        """A group's scale or zero point in every lane."""
        value = self._read(address, group, _FLOAT)
        if lanes == 1:
            return value
        nothing = ir.Constant(_of(_FLOAT, lanes), ir.Undefined)
        one = self.builder.insert_element(nothing, value, ir.Constant(_WORD, 0))
        return self.builder.shuffle_vector(one, nothing, _constant(_of(_WORD, lanes), 0))

    def _read(self, address: Any, place: Any, kind: Any, lanes: int = 1) -> Any:
        """Neighbours of one type, from a place on that is counted in them."""
        value = self.builder.load(self._pointer(address, place, _of(kind, lanes), _bytes(kind)))
        value.align = 1  # of addresses nothing is known
        return value

    def _write(self, value: Any, address: Any, place: Any, size: int) -> None:
        """Store a value at a place that is counted in so many bytes."""
        self.builder.store(value, self._pointer(address, place, value.type, size)).align = 1

    def _pointer(self, address: Any, place: Any, kind: Any, size: int) -> Any:
        offset = self.builder.mul(place, ir.Constant(_INT, size))
        return self.builder.inttoptr(self.builder.add(address, offset), kind.as_pointer())

    def _address(self, array: Any) -> Any:
        return self.builder.ptrtoint(array.data, _INT)


class _Product(_Row):
    """A row times a few tokens."""

    def multiply(self, x: Any, sums: Any) -> None:
        """Take the tokens, as many at once as there are registers for."""
        self.x, self.sums_at = self._address(x), self._address(sums)
        tokens, self.columns = (self.builder.extract_value(x.shape, axis) for axis in (0, 1))
        start: Any = ir.Constant(_INT, 0)
        for count in _PAIRS_AT_ONCE if self.pairs else _AT_ONCE:
            each = ir.Constant(_INT, count)
            times = self.builder.sdiv(self.builder.sub(tokens, start), each)
            with cgutils.for_range(self.builder, times) as turn:
                self._multiply_tokens(self.builder.add(start, self.builder.mul(turn.index, each)), count)
            start = self.builder.add(start, self.builder.mul(times, each))

    def _multiply_tokens(self, first: Any, count: int) -> None:
        """Every group in vectors as wide as it fills; the sums of each width are added up in the end."""
        widths = _WIDTHS[:1] if self.pairs else _WIDTHS
        totals = {lanes: self._sums(lanes, count) for lanes in widths}
        within = {lanes: self._sums(lanes, count) for lanes in widths}
        with cgutils.for_range(self.builder, self.groups) as group:
            for lanes in widths:
                with self._group(lanes) as (before, times):
                    self._multiply_group(group.index, before, times, lanes, first, within[lanes])
                    scale = self._of_group(self.scales, group.index, lanes)
                    for total, inner in zip(totals[lanes], within[lanes], strict=True):
                        self._add_product(total, self.builder.load(inner), scale)
        for token in range(count):
            total, *others = (self._added_up(totals[lanes][token], lanes) for lanes in widths)
            for other in others:
                total = self.builder.fadd(total, other)
            self._write(total, self.sums_at, self.builder.add(first, ir.Constant(_INT, token)), _bytes(_FLOAT))

    def _multiply_group(self, group: Any, before: Any, times: Any, lanes: int, first: Any, sums: list[Any]) -> None:
        """Codes less their zero point times the tokens' activations, over a group, added up lane by lane."""
        zero = self._of_group(self.zeros, group, lanes)
        for total in sums:
            self.builder.store(_constant(_of(_FLOAT, lanes), 0.0), total)
        with self._cells(group, before, times, lanes) as cell:
            weights = self._centred(cell, zero, lanes)
            if self.pairs:
                self._add_pairs(weights, cell, first, sums)
            else:
                self._add(weights, cell, lanes, first, sums)

    def _add(self, weights: list[Any], cell: Any, lanes: int, first: Any, sums: list[Any]) -> None:
        """Products in fp32; the odd columns' activations lie half a row behind the even ones'."""
        half = self.builder.sdiv(self.columns, ir.Constant(_INT, len(weights)))
        for token, total in enumerate(sums):
            place = self.builder.add(self._token(first, token), cell)
            for number, weight in enumerate(weights):
                at = self.builder.add(place, self.builder.mul(half, ir.Constant(_INT, number)))
                self._add_product(total, weight, self._read(self.x, at, _FLOAT, lanes))

    def _add_pairs(self, weights: list[Any], cell: Any, first: Any, sums: list[Any]) -> None:
        """Products of bf16; a weight's bits are the upper half of its float32's, the lower half is zero."""
        even, odd = (self.builder.bitcast(weight, _of(_WORD, LANES)) for weight in weights)
        pair = self.builder.or_(self.builder.lshr(even, _constant(even.type, 16)), odd)
        numbers, floats = ir.VectorType(_BF16, 2 * LANES), _of(_FLOAT, LANES)
        kind = ir.FunctionType(floats, [floats, numbers, numbers])
        dot = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.x86.avx512bf16.dpbf16ps.512")
        for token, total in enumerate(sums):
            row = self.builder.sdiv(self._token(first, token), ir.Constant(_INT, 2))
            x = self.builder.bitcast(self._read(self.x, self.builder.add(row, cell), _WORD, LANES), numbers)
            summed = self.builder.call(dot, [self.builder.load(total), self.builder.bitcast(pair, numbers), x])
            self.builder.store(summed, total)

    def _token(self, first: Any, number: int) -> Any:
        """Where a token's activations begin, in numbers from the first token's."""
        return self.builder.mul(self.builder.add(first, ir.Constant(_INT, number)), self.columns)

    def _sums(self, lanes: int, count: int) -> list[Any]:
        """A place for each token's sums, which LLVM keeps in a register."""
        places = [cgutils.alloca_once(self.builder, _of(_FLOAT, lanes)) for _ in range(count)]
        for place in places:
            self.builder.store(_constant(_of(_FLOAT, lanes), 0.0), place)
        return places

    def _add_product(self, total: Any, one: Any, other: Any) -> None:
        """Fused, where the processor can."""
        product = self.builder.fmul(one, other, flags=["contract"])
        self.builder.store(self.builder.fadd(self.builder.load(total), product, flags=["contract"]), total)

    def _added_up(self, place: Any, lanes: int) -> Any:
        value = self.builder.load(place)
        if lanes == 1:
            return value
        kind = ir.FunctionType(_FLOAT, [_FLOAT, value.type])
        add = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.vector.reduce.fadd.v{lanes}f32")
        return self.builder.call(add, [ir.Constant(_FLOAT, 0.0), value], fastmath=["reassoc"])


class _Weights(_Row):
    """A row's weights."""

    def expand(self, weights: Any, bf16: bool) -> None:
        self.weights_at = self._address(weights)
        with cgutils.for_range(self.builder, self.groups) as group:
            for lanes in _WIDTHS:
                with self._group(lanes) as (before, times):
                    scale = self._of_group(self.scales, group.index, lanes)
                    zero = self._of_group(self.zeros, group.index, lanes)
                    with self._cells(group.index, before, times, lanes) as cell:
                        numbers = [self.builder.fmul(code, scale) for code in self._centred(cell, zero, lanes)]
                        (self._write_bf16 if bf16 else self._write_floats)(numbers, cell, lanes)

    def _write_floats(self, numbers: list[Any], cell: Any, lanes: int) -> None:
        """Even and odd neighbours one after the other."""
        if len(numbers) == 1:
            self._write(numbers[0], self.weights_at, cell, 4)
        elif lanes == 1:
            for place, number in enumerate(numbers):
                at = self.builder.add(self.builder.mul(cell, ir.Constant(_INT, 2)), ir.Constant(_INT, place))
                self._write(number, self.weights_at, at, 4)
        else:
            order = [lane // 2 + lanes * (lane % 2) for lane in range(2 * lanes)]
            mask = ir.Constant(_of(_WORD, 2 * lanes), order)
            self._write(self.builder.shuffle_vector(*numbers, mask), self.weights_at, cell, 8)

    def _write_bf16(self, numbers: list[Any], cell: Any, lanes: int) -> None:
        """Two neighbours in a word, or one in half a word."""
        even, *odd = (self._rounded(number, lanes) for number in numbers)
        low = self.builder.lshr(even, _constant(even.type, 16))
        if odd:
            high = self.builder.and_(odd[0], _constant(even.type, 0xFFFF0000))
            self._write(self.builder.or_(low, high), self.weights_at, cell, 4)
        else:
            self._write(self.builder.trunc(low, _of(_HALF, lanes)), self.weights_at, cell, 2)

    def _rounded(self, number: Any, lanes: int) -> Any:
        """A float32's bits, of which the upper half are those of the nearest bf16, of two the even one."""
        bits = self.builder.bitcast(number, _of(_WORD, lanes))
        last = self.builder.and_(self.builder.lshr(bits, _constant(bits.type, 16)), _constant(bits.type, 1))
        return self.builder.add(self.builder.add(bits, _constant(bits.type, 0x7FFF)), last)


class _Bf16(ir.Type):  # type: ignore[misc]
    """The type that llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


_BF16 = _Bf16()


def _of(kind: Any, lanes: int) -> Any:
    return kind if lanes == 1 else ir.VectorType(kind, lanes)


def _constant(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def _bytes(kind: Any) -> int:
    return 4 if isinstance(kind, ir.FloatType) else int(kind.width) // 8
