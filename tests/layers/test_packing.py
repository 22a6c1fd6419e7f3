import pytest
import torch

from engine.layers.packing import pack, packed_width, unpack


def test_three_bits_by_hand() -> None:
    values = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 0]], dtype=torch.uint8)
    # least significant first: 001 010 011 100 101 110 111 000 read from the right of each byte
    assert pack(values, 3).tolist() == [[0b11010001, 0b01011000, 0b00011111]]


def test_four_bits_put_the_even_value_in_the_low_half() -> None:
    assert pack(torch.tensor([[0x1, 0x2, 0xF]], dtype=torch.uint8), 4).tolist() == [[0x21, 0x0F]]


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 100])
def test_every_width_takes_its_bits_and_comes_back(bits: int, count: int) -> None:
    values = torch.randint(0, 2**bits, (5, count), generator=torch.Generator().manual_seed(bits), dtype=torch.uint8)
    stream = pack(values, bits)
    assert stream.dtype == torch.uint8
    assert stream.shape == (5, packed_width(count, bits)) == (5, -(-count * bits // 8))
    assert torch.equal(unpack(stream, bits, count), values)
