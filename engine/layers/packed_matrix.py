"""A weight matrix as a checkpoint stores it: packed codes, 16-bit scales, packed zero points.

    weight[r, c] = (code[r, c] - zero[r, c // group_size]) * scale[r, c // group_size]

Codes are unsigned. A symmetric grid is centred on 2**(bits - 1) and stores no zero points. Zero points are whole
numbers in as many bits as a code, or have a fraction: then they take 8 bits, of which the first `bits` are whole. One
matrix may be shared by an embedding and the head tied to it.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from engine.layers.packing import pack, packed_width, unpack

_ELEMENTS_AT_ONCE = 2**21  # weights unpacked at a time, which bounds the memory of a dequantized block


class PackedMatrix(nn.Module):
    """Packed weights [rows, columns] in groups of `group_size` neighbours along the columns.

    Buffers: codes uint8 [rows, bytes], scales float16 [rows, groups], zeros uint8 [rows, bytes] or None. zero_bits:
    that a stored zero point takes, `bits` or 8.
    """

    codes: Tensor
    scales: Tensor
    zeros: Tensor | None

    def __init__(
        self, codes: Tensor, scales: Tensor, zeros: Tensor | None, columns: int, bits: int, zero_bits: int | None = None
    ) -> None:
        super().__init__()
        self.rows, self.columns, self.bits = codes.shape[0], columns, bits
        self.zero_bits = bits if zero_bits is None else zero_bits
        self.groups = scales.shape[1]
        self.group_size = columns // self.groups
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", zeros)
        if not self.fits():
            raise ValueError(f"codes {tuple(codes.shape)} and scales {tuple(scales.shape)} are no {bits}-bit matrix")

    @classmethod
    def from_codes(
        cls, codes: Tensor, scales: Tensor, zeros: Tensor | None, bits: int, zero_bits: int | None = None
    ) -> "PackedMatrix":
        """Pack codes uint8 [rows, columns], scales float16 [rows, groups] and zeros uint8 [rows, groups] or None.

        zeros: as they are stored, in units of 2**(bits - zero_bits).
        """
        packed_zeros = None if zeros is None else pack(zeros, zero_bits or bits)
        return cls(pack(codes, bits), scales.contiguous(), packed_zeros, codes.shape[1], bits, zero_bits)

    @classmethod
    def stacked(cls, parts: "list[PackedMatrix]") -> "PackedMatrix":
        """One matrix from parts that hold its rows in order, all of one width and grid."""
        first = parts[0]
        zeros = [part.zeros for part in parts if part.zeros is not None]
        codes, scales = torch.cat([part.codes for part in parts]), torch.cat([part.scales for part in parts])
        return cls(codes, scales, torch.cat(zeros) if zeros else None, first.columns, first.bits, first.zero_bits)

    def with_rows(self, kept: Tensor) -> "PackedMatrix":
        """The matrix of some of the rows, by their places."""
        zeros = None if self.zeros is None else self.zeros[kept]
        return PackedMatrix(self.codes[kept], self.scales[kept], zeros, self.columns, self.bits, self.zero_bits)

    def with_columns(self, kept: Tensor) -> "PackedMatrix | None":
        """The matrix of some of the columns, by their ascending places; None where groups would differ in size.

        Groups of which no column is kept go; whatever is cut of a matrix with one group a row leaves one group.
        """
        sizes = torch.bincount(kept // self.group_size, minlength=self.groups)
        groups = sizes.nonzero().squeeze(-1)
        if len(set(sizes[groups].tolist())) != 1:
            return None
        zeros = None if self.zeros is None else self.unpacked_zeros()[:, groups]
        codes, scales = self.unpacked_codes()[:, kept], self.scales[:, groups]
        return PackedMatrix.from_codes(codes, scales, zeros, self.bits, self.zero_bits)

    def divided(self, factors: Tensor) -> "PackedMatrix":
        """The matrix with every row divided by its factor [rows]: the codes stay, the scales are rounded to 16 bits.

        Powers of two change no digit of a scale, unless one leaves the range that float16 holds in full, from 6e-5 on.
        """
        scales = (self.scales.float() / factors.unsqueeze(1)).half()
        return PackedMatrix(self.codes, scales, self.zeros, self.columns, self.bits, self.zero_bits)

    @property
    def symmetric(self) -> bool:
        return self.zeros is None

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    def fits(self) -> bool:
        """Whether the tensors have the shapes and types that this matrix needs."""
        wanted = [(self.codes, torch.uint8, (self.rows, packed_width(self.columns, self.bits)))]
        wanted.append((self.scales, torch.float16, (self.rows, self.groups)))
        if self.zeros is not None:
            wanted.append((self.zeros, torch.uint8, (self.rows, packed_width(self.groups, self.zero_bits))))
        whole = self.columns == self.groups * self.group_size and self.zero_bits in (self.bits, 8)
        return whole and all(tensor.dtype == dtype and tuple(tensor.shape) == shape for tensor, dtype, shape in wanted)

    def unpacked_codes(self) -> Tensor:
        """The codes, uint8 [rows, columns]."""
        return unpack(self.codes, self.bits, self.columns)

    def unpacked_zeros(self) -> Tensor:
        """The zero points as stored, uint8 [rows, groups]; a symmetric grid's are all 2**(bits - 1)."""
        if self.zeros is None:
            return torch.full_like(self.scales, 2 ** (self.bits - 1), dtype=torch.uint8)
        return unpack(self.zeros, self.zero_bits, self.groups)

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """The whole matrix [rows, columns], computed in fp32 and rounded to `dtype`."""
        weight = torch.empty(self.shape, dtype=dtype, device=self.codes.device)
        for rows, block in self.blocks():
            weight[rows] = block.to(dtype)
        return weight

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """The matrix a few rows at a time: (rows, fp32 [rows, columns]), so that no whole copy need exist."""
        step = max(1, _ELEMENTS_AT_ONCE // self.columns)
        for start in range(0, self.rows, step):
            rows = slice(start, min(start + step, self.rows))
            yield rows, self._weights(rows)

    def gather(self, ids: Tensor) -> Tensor:
        """Rows by number, fp32 [*ids.shape, columns]; only these are dequantized."""
        return self._weights(ids.reshape(-1)).view(*ids.shape, self.columns)

    def _weights(self, rows: slice | Tensor) -> Tensor:
        codes = unpack(self.codes[rows], self.bits, self.columns).float()
        scales = self.scales[rows].float().unsqueeze(-1)  # [rows, groups, 1]
        grouped = codes.view(-1, self.groups, self.group_size)
        if self.zeros is None:
            centred = grouped - 2 ** (self.bits - 1)
        else:
            zeros = unpack(self.zeros[rows], self.zero_bits, self.groups).float() * 2.0 ** (self.bits - self.zero_bits)
            centred = grouped - zeros.unsqueeze(-1)
        weights: Tensor = (centred * scales).view(-1, self.columns)
        return weights

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PackedMatrix":
        """Follow a move to another device, but keep the stored 16 bits of the scales through any change of dtype."""
        self.scales = self.scales.view(torch.int16)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.scales = self.scales.view(torch.float16)
        return self
