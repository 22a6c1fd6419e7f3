"""A row of packed weights times a few tokens, as LLVM's instructions on vectors of 16 lanes.

A compiler makes vectors of a loop over one token, and takes every code apart again for the next one. Here a code is
taken apart once for up to eight tokens; each token has its own sums, one a lane, which are added up once a row:

    sums[t] = sum over groups of  scale * sum of (code - zero) * x[t]

A code less its zero point has at most eight binary digits, so it is exact in bf16 too. Processors with AVX512-BF16
multiply pairs of them with pairs of bf16 activations, exactly, and add up in fp32; all other numbers go through fp32.
"""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

LANES = 16
MULTIPLIES_PAIRS = "+avx512bf16" in cpu_target.target_context.codegen().magic_tuple()[2]  # what numba compiles for

_PAIRS_AT_ONCE = (8, 4, 2, 1)  # tokens, with two registers each of 32
_AT_ONCE = (4, 2, 1)  # tokens; processors without these units have 16 registers, most of them half as wide

_INT, _WORD, _BYTE, _FLOAT = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.FloatType()


class _Bf16(ir.Type):  # type: ignore[misc]
    """The type that llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


_BF16 = _Bf16()


def row_product(bits: int, pairs: bool) -> Any:
    """What compiled code calls as `f(codes, scales, zeros, x, cells, sums)`; sums float32 [tokens] gets the products.

    bits: of a code, 8 or 4. codes: the address of a row's. scales, zeros: float32 [groups]. x: float32 [tokens,
    columns], at 4 bits with all even columns before the odd ones. cells: of a group, each what one lane takes, a byte.
    With `pairs` a cell is two codes, x uint16 [tokens, columns] the bits of bf16, and `cells` a multiple of LANES.
    """

    @intrinsic  # type: ignore[untyped-decorator]
    def multiply(typing: Any, codes: Any, scales: Any, zeros: Any, x: Any, cells: Any, sums: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            codes_at, *arrays, cells_given, sums_given = arguments
            made = (
                context.make_array(kind)(context, builder, value)
                for kind, value in zip((scales, zeros, x, sums), (*arrays, sums_given), strict=True)
            )
            _Row(builder, bits, pairs, codes_at, cells_given, *made).multiply()
            return context.get_dummy_value()

        return types.void(types.int64, scales, zeros, x, types.int64, sums), generate

    return multiply


class _Row:
    """The instructions for one row. Numbers are values of the program that is built, not of this one."""

    def __init__(
        self, builder: Any, bits: int, pairs: bool, codes: Any, cells: Any, scales: Any, zeros: Any, x: Any, sums: Any
    ) -> None:
        self.builder, self.bits, self.pairs = builder, bits, pairs
        self.codes, self.cells = codes, cells
        self.scales, self.zeros, self.x, self.sums = (self._address(array) for array in (scales, zeros, x, sums))
        self.groups = builder.extract_value(scales.shape, 0)
        self.tokens, self.columns = (builder.extract_value(x.shape, axis) for axis in (0, 1))

    def multiply(self) -> None:
        """Take the tokens, as many at once as there are registers for."""
        start: Any = ir.Constant(_INT, 0)
        for count in _PAIRS_AT_ONCE if self.pairs else _AT_ONCE:
            each = ir.Constant(_INT, count)
            times = self.builder.sdiv(self.builder.sub(self.tokens, start), each)
            with cgutils.for_range(self.builder, times) as turn:
                self._multiply_tokens(self.builder.add(start, self.builder.mul(turn.index, each)), count)
            start = self.builder.add(start, self.builder.mul(times, each))

    def _multiply_tokens(self, first: Any, count: int) -> None:
        """Whole vectors of cells, and what is left of each group one by one."""
        widths = (LANES,) if self.pairs else (LANES, 1)
        totals = {lanes: self._sums(lanes, count) for lanes in widths}
        within = {lanes: self._sums(lanes, count) for lanes in widths}
        with cgutils.for_range(self.builder, self.groups) as group:
            for lanes in widths:
                self._multiply_group(group.index, lanes, first, within[lanes])
                scale = self._everywhere(self._read(self.scales, group.index, _FLOAT), lanes)
                for total, inner in zip(totals[lanes], within[lanes], strict=True):
                    scaled = self.builder.fmul(self.builder.load(inner), scale, flags=["contract"])
                    added = self.builder.fadd(self.builder.load(total), scaled, flags=["contract"])
                    self.builder.store(added, total)
        for token in range(count):
            parts = [self._added_up(totals[lanes][token], lanes) for lanes in widths]
            total = parts[0] if self.pairs else self.builder.fadd(*parts)
            place = self.builder.add(first, ir.Constant(_INT, token))
            self.builder.store(total, self._pointer(self.sums, place, _FLOAT))

    def _multiply_group(self, group: Any, lanes: int, first: Any, sums: list[Any]) -> None:
        """Codes less their zero point times the tokens' activations, over a group, added up lane by lane."""
        builder, begin = self.builder, self.builder.mul(group, self.cells)
        vectors = builder.sdiv(self.cells, ir.Constant(_INT, LANES))
        whole = builder.mul(vectors, ir.Constant(_INT, LANES))
        zero = self._everywhere(self._read(self.zeros, group, _FLOAT), lanes)
        for total in sums:
            builder.store(_constant(_of(_FLOAT, lanes), 0.0), total)
        skipped, times = (ir.Constant(_INT, 0), vectors) if lanes > 1 else (whole, builder.sub(self.cells, whole))
        with cgutils.for_range(builder, times) as turn:
            cell = builder.add(builder.add(begin, skipped), builder.mul(turn.index, ir.Constant(_INT, lanes)))
            weights = [builder.fsub(code, zero) for code in self._codes(cell, lanes)]
            if self.pairs:
                self._add_pairs(weights, cell, first, sums)
            else:
                self._add(weights, cell, lanes, first, sums)

    def _codes(self, cell: Any, lanes: int) -> list[Any]:
        """The codes of a vector of cells, as float32: the even and the odd ones where a cell has two."""
        two = self.pairs or self.bits == 4
        stored = ir.IntType(2 * self.bits if two else self.bits)
        wide = self.builder.zext(self._read(self.codes, cell, stored, lanes), _of(_WORD, lanes))
        kind = _of(_FLOAT, lanes)
        if not two:
            return [self.builder.sitofp(wide, kind)]
        even = self.builder.and_(wide, _constant(wide.type, 2**self.bits - 1))
        odd = self.builder.lshr(wide, _constant(wide.type, self.bits))
        return [self.builder.sitofp(even, kind), self.builder.sitofp(odd, kind)]

    def _add(self, weights: list[Any], cell: Any, lanes: int, first: Any, sums: list[Any]) -> None:
        """Products in fp32; the odd columns' activations lie half a row behind the even ones'."""
        half = self.builder.sdiv(self.columns, ir.Constant(_INT, len(weights)))
        for token, total in enumerate(sums):
            place = self.builder.add(self._token(first, token), cell)
            for number, weight in enumerate(weights):
                at = self.builder.add(place, self.builder.mul(half, ir.Constant(_INT, number)))
                product = self.builder.fmul(weight, self._read(self.x, at, _FLOAT, lanes), flags=["contract"])
                self.builder.store(self.builder.fadd(self.builder.load(total), product, flags=["contract"]), total)

    def _add_pairs(self, weights: list[Any], cell: Any, first: Any, sums: list[Any]) -> None:
        """Products of bf16; a weight's bits are the upper half of its float32's, the lower half is zero."""
        even, odd = (self.builder.bitcast(weight, _of(_WORD, LANES)) for weight in weights)
        pair = self.builder.or_(self.builder.lshr(even, _constant(even.type, 16)), odd)
        numbers, floats = ir.VectorType(_BF16, 2 * LANES), _of(_FLOAT, LANES)
        dot = cgutils.get_or_insert_function(
            self.builder.module,
            ir.FunctionType(floats, [floats, numbers, numbers]),
            "llvm.x86.avx512bf16.dpbf16ps.512",
        )
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

    def _added_up(self, place: Any, lanes: int) -> Any:
        value = self.builder.load(place)
        if lanes == 1:
            return value
        kind = ir.FunctionType(_FLOAT, [_FLOAT, value.type])
        add = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.vector.reduce.fadd.v{lanes}f32")
        return self.builder.call(add, [ir.Constant(_FLOAT, 0.0), value], fastmath=["reassoc"])

    def _everywhere(self, value: Any, lanes: int) -> Any:
        """A number in every lane."""
        if lanes == 1:
            return value
        nothing = ir.Constant(_of(value.type, lanes), ir.Undefined)
        one = self.builder.insert_element(nothing, value, ir.Constant(_WORD, 0))
        return self.builder.shuffle_vector(one, nothing, _constant(_of(_WORD, lanes), 0))

    def _read(self, address: Any, place: Any, kind: Any, lanes: int = 1) -> Any:
        """Neighbours of one type, from a place on that is counted in them."""
        value = self.builder.load(self._pointer(address, place, kind, lanes))
        value.align = 1  # of addresses nothing is known
        return value

    def _pointer(self, address: Any, place: Any, kind: Any, lanes: int = 1) -> Any:
        offset = self.builder.mul(place, ir.Constant(_INT, _bytes(kind)))
        return self.builder.inttoptr(self.builder.add(address, offset), _of(kind, lanes).as_pointer())

    def _address(self, array: Any) -> Any:
        return self.builder.ptrtoint(array.data, _INT)


def _of(kind: Any, lanes: int) -> Any:
    return kind if lanes == 1 else ir.VectorType(kind, lanes)


def _constant(kind: Any, number: float) -> Any:
    return ir.Constant(kind, [number] * kind.count if isinstance(kind, ir.VectorType) else number)


def _bytes(kind: Any) -> int:
    return 4 if isinstance(kind, ir.FloatType) else int(kind.width) // 8
