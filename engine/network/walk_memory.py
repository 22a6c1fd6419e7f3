"""What the walk over the blocks takes of a device's memory, from a model's configuration; without torch.

Of a model that is streamed (see `engine.network.streaming`) the device holds, all of it in fp32:

    stream        every calibration token, [tokens, width]
    block         one block, and a copy of its linears, which a step before may have packed
    activations   what a block makes of the tokens that run together, about five tensors of its widest linear's inputs,
                  and the attention's scores, twice
    statistic     of one linear: X^T X [inputs, inputs], and its way to the inverse's factor, which goes through fp64
    rule          the weights that are compressed together, and what a method keeps of each beside

Before the first block its place is the embedding's and the head's, and the stream is gathered.
"""

from collections.abc import Mapping
from typing import Any

from engine import layouts
from engine.spec.fit import Shape

FP32_BYTES = 4
TOGETHER = 2**26  # inputs of the widest linear that exist at once: 268 MB, enough for 32 x 512 tokens and 4096 inputs

_ALIVE = 5  # tensors of activations at a time
_FACTORING = 11  # of a statistic's size, when its factor is found: itself, mirrored, ordered, and four in fp64
_OF_WEIGHTS = 6  # copies of the weights that a rule works on


def peak_bytes(config: Mapping[str, Any], windows: int, tokens: int) -> int:
    """The most that walking a model's blocks needs of the device: GPTQ's walk, whose statistics are the largest.

    config: of a model whose family is known; windows of so many tokens. The GPU's own few hundred MB are not counted.
    Raises InputError where a size is missing.
    """
    shape = Shape.of(config)
    stream = windows * tokens * shape.hidden
    gathered = 2 * stream + _tables(config, shape)
    inputs = max(shape.widths().values())
    at_once = min(windows, max(1, TOGETHER // (tokens * inputs)))
    activations = at_once * (_ALIVE * tokens * inputs + 2 * shape.heads * tokens**2)
    rule = max(_FACTORING * columns**2 + _OF_WEIGHTS * rows * columns for rows, columns in _together(shape))
    walked = stream + 2 * _block(shape) + activations + rule
    return FP32_BYTES * max(gathered, walked)


def _together(shape: Shape) -> list[tuple[int, int]]:
    """(outputs, inputs) of the linears that are compressed together: they read one tensor."""
    attention, up = shape.heads * shape.head_dim, len(shape.layout.mlp_in) + shape.layout.mlp_stacked
    read: tuple[int, ...] = (shape.heads + 2 * shape.kv_heads) * shape.head_dim, up * shape.intermediate
    if shape.layout.post_norm == shape.layout.input_norm:
        read = (sum(read),)
    into = [(rows, shape.hidden) for rows in read]
    return [*into, (shape.hidden, attention), (shape.hidden, shape.intermediate)]


def _block(shape: Shape) -> int:
    """Weights of a block's linears; norms and biases are nothing beside them."""
    return sum(rows * columns for rows, columns in _together(shape))


def _tables(config: Mapping[str, Any], shape: Shape) -> int:
    """Numbers of the embedding and of a head of its own."""
    return int(config["vocab_size"]) * shape.hidden * (1 if layouts.tied(config) else 2)
