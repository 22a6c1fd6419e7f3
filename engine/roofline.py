"""The least time that a pass over a model can take: the longer of reading its bytes and doing its arithmetic.

One pass reads every stored weight once, whatever the batch, and multiplies every one of them with every token. So few
tokens wait for the memory, where fewer bytes are fewer milliseconds, and many tokens wait for the arithmetic, which
packing does not shorten: packed weights are unpacked before they are multiplied. What is measured beyond the least
time is overhead. Everything here follows from what was stored of a result, so it needs no model and no torch.
Source: the roofline of Williams, Waterman and Patterson 2009, Commun. ACM 52, as time.

Left out: activations, which stay in the caches, and attention's products with the cache, 4% of the arithmetic of
SmolLM2-135M after 150 tokens.
"""

from typing import Literal, NamedTuple

from engine.machine import Limits
from engine.row import Row
from engine.spec import parse

Phase = Literal["prefill", "decode"]
PHASES: tuple[Phase, ...] = ("prefill", "decode")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_BF16 = 2


class Network(NamedTuple):
    """What a pass over a compressed model has to do with.

    read_bytes: stored weights that every pass reads, each once; body_weights: numbers multiplied with every token;
    head_weights: numbers multiplied with every token whose next word is wanted; cache_bytes: keys and values of one
    token, in bf16.
    """

    read_bytes: float
    body_weights: float
    head_weights: float
    cache_bytes: float


class Work(NamedTuple):
    """Bytes moved and floating-point operations of one pass, a multiplication and an addition counting as two."""

    bytes: float
    flop: float


class LeastTime(NamedTuple):
    """Milliseconds that the memory needs, and that the arithmetic needs; they overlap, so the longer one decides."""

    memory_ms: float
    arithmetic_ms: float

    @property
    def ms(self) -> float:
        return max(self)

    @property
    def decided_by(self) -> Literal["memory", "arithmetic"]:
        return "memory" if self.memory_ms >= self.arithmetic_ms else "arithmetic"


def network(row: Row, dense: Row) -> Network | None:
    """The network of a result, from its metrics and those of the dense one; None where its size was not measured.

    An embedding that is only looked up is neither read nor multiplied; one that is the head as well is both.
    """
    names = ("weight_bytes", "parameters", "embedding_bytes", "head_bytes", "kv_cache_bytes_per_token")
    weight, parameters, embedding, head, cache = (row.value(name) for name in names)
    if weight is None or parameters is None or embedding is None:
        return None
    untied = bool(head)
    looked_up = _numbers(row, dense, "embedding") if untied else 0.0
    head_weights = _numbers(row, dense, "head" if untied else "embedding")
    read_bytes = weight - (embedding if untied else 0.0)
    return Network(read_bytes, parameters - looked_up - head_weights, head_weights, cache or 0.0)


def work(found: Network, phase: Phase, batch: int, tokens: int) -> Work:
    """What one pass does for `batch` sequences: reading prompts of `tokens`, or one more word after `tokens`.

    Reading a prompt asks for the next word of its last token only.
    """
    cached = batch * tokens * found.cache_bytes
    read = tokens if phase == "prefill" else 1
    flop = 2 * batch * (read * found.body_weights + found.head_weights)
    return Work(found.read_bytes + cached, flop)


def least_time(done: Work, limits: Limits) -> LeastTime:
    """The least time that work takes on a machine."""
    return LeastTime(1e3 * done.bytes / limits.read_bytes_per_s, 1e3 * done.flop / limits.most_flop_per_s)


def expected(row: Row, dense: Row, phase: Phase, limits: Limits, batch: int | None = None) -> LeastTime | None:
    """The least time of a phase as the row's protocol times it, or with another batch; None where size is unknown."""
    found = network(row, dense)
    if found is None:
        return None
    asked = row.protocol
    prompt, decoded = int(asked.get("prompt_tokens", 128)), int(asked.get("decode_tokens", 64))
    tokens = prompt if phase == "prefill" else prompt + decoded // 2  # the middle of what is decoded
    return least_time(work(found, phase, batch or int(asked.get("batch_size", 1)), tokens), limits)


def measured_ms(row: Row, phase: Phase) -> float | None:
    """What a phase took, on a real kernel; None where it was not timed or is simulated."""
    return None if row.simulated else row.value("prefill_ms" if phase == "prefill" else "decode_ms_per_token")


def _numbers(row: Row, dense: Row, part: str) -> float:
    """How many numbers the embedding or the head holds: it is stored in bf16 unless a step quantizes it."""
    packed = any(part in getattr(step, "targets", ()) for step in parse(row.recipe).steps)
    known = dense.value(f"{part}_bytes") if packed else row.value(f"{part}_bytes")
    return (known or 0.0) / _BF16
