"""Bit packing: numbers of 1 to 8 bits stored in exactly that many bits.

Each row is a little-endian bit stream padded to whole bytes: value i takes bits i*b to i*b + b - 1, least significant
first. At 4 bits, two values a byte, that is the even value in the low half; at 8 bits it is the values themselves.
"""

import torch
from torch import Tensor

_LANES = 8  # eight values of b bits fill exactly b bytes


def packed_width(count: int, bits: int) -> int:
    """Bytes that a row of `count` values takes."""
    return -(-count * bits // 8)


def pack(values: Tensor, bits: int) -> Tensor:
    """Pack uint8 values [rows, count], each under 2**bits, into a uint8 stream [rows, packed_width(count, bits)]."""
    if bits == 8:
        return values.contiguous()
    rows, count = values.shape
    if 8 % bits == 0:  # no value crosses a byte
        stream = torch.zeros(rows, packed_width(count, bits), dtype=torch.uint8, device=values.device)
        for lane in range(8 // bits):
            part = values[:, lane :: 8 // bits] << lane * bits
            stream[:, : part.shape[1]] |= part
        return stream
    padded = torch.zeros(rows, -(-count // _LANES), _LANES, dtype=torch.int64, device=values.device)
    padded.view(rows, -1)[:, :count] = values
    words = (padded << _steps(_LANES, bits, values)).sum(-1, keepdim=True)  # [rows, count / 8, 1], 8 * bits used
    octets = (words >> _steps(bits, 8, values)) & 0xFF  # [rows, count / 8, bits]
    return octets.to(torch.uint8).view(rows, -1)[:, : packed_width(count, bits)].contiguous()


def unpack(stream: Tensor, bits: int, count: int) -> Tensor:
    """The uint8 values [rows, count] of a stream that `pack` made."""
    if bits == 8:
        return stream
    if 8 % bits == 0:  # no value crosses a byte
        values = (stream.unsqueeze(-1) >> _steps(8 // bits, bits, stream).to(torch.uint8)) & (2**bits - 1)
        unpacked: Tensor = values.view(len(stream), -1)[:, :count]
        return unpacked
    rows, width = stream.shape
    padded = torch.zeros(rows, -(-count // _LANES), bits, dtype=torch.int64, device=stream.device)
    padded.view(rows, -1)[:, :width] = stream
    words = (padded << _steps(bits, 8, stream)).sum(-1, keepdim=True)
    values = (words >> _steps(_LANES, bits, stream)) & (2**bits - 1)
    unpacked = values.to(torch.uint8).view(rows, -1)[:, :count]
    return unpacked


def _steps(count: int, size: int, like: Tensor) -> Tensor:
    return torch.arange(0, count * size, size, device=like.device)
