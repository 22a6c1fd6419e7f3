"""The least time that a pass over a model can take: the longer of reading its bytes and doing its arithmetic.

One pass reads every stored weight once, whatever the batch, and multiplies every one of them with every token. So few
tokens wait for the memory, where fewer bytes are fewer milliseconds, and many tokens wait for the arithmetic, which
packing does not shorten: packed weights are unpacked before they are multiplied, unless the inputs are rounded too and
both are multiplied as whole numbers, whose peak is not measured. What is measured beyond the least time is overhead.
Everything here follows from what was stored of a result, so it needs no model and no torch.
Source: the roofline of Williams, Waterman and Patterson 2009, Commun. ACM 52, as time.

Left out: activations, which stay in the caches, and attention's products with the cache, 4% of the arithmetic of
SmolLM2-135M after 150 tokens.
"""

from typing import Literal, NamedTuple

from engine.layers.formats import STORED_BITS, ZEROS_KERNEL, Formats, Part, formats
from engine.machine import Limits
from engine.outcome.row import Row
from engine.spec import parse
from engine.spec.prune import Heads, Neurons

Phase = Literal["prefill", "decode"]
PHASES: tuple[Phase, ...] = ("prefill", "decode")
_MORE = 1.01  # times the bytes of codes: what fills up their rows comes to less
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


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
    """The network of a result as it is stored, from its metrics and those of the dense one; None where they lack size.

    An embedding that is only looked up is neither read nor multiplied; one that is the head as well is both.
    """
    names = ("weight_bytes", "parameters", "embedding_bytes", "kv_cache_bytes_per_token")
    weight, parameters, embedding, cache = (row.value(name) for name in names)
    if weight is None or parameters is None or embedding is None:
        return None
    found = formats_of(row, dense)
    table, head = numbers(row, found, "embedding"), numbers(row, found, "head")
    looked_up, head_weights = (0.0, table + head) if found.tied else (table, head)
    read_bytes = weight if found.tied else weight - embedding
    return Network(read_bytes, parameters - looked_up - head_weights, head_weights, cache or 0.0)


def formats_of(row: Row, dense: Row) -> Formats:
    """How the parts of a result are stored. A dense model without a head of its own shares its embedding."""
    recipe = parse(row.recipe)
    found = formats(recipe, tied=not dense.value("head_bytes"))
    if any(isinstance(step, Heads | Neurons) for step in recipe.steps):
        found = _as_cut(row, found)
    return found._replace(zeros_kernel=row.environment.get(ZEROS_KERNEL, ""))


def _as_cut(row: Row, found: Formats) -> Formats:
    """The formats of a result that lost heads or neurons: a cut across packed groups leaves a matrix in 16 bits.

    The recipe can't tell how many, but the bytes tell whether some or all.
    """
    linears, held = found.packed.get("linears"), row.value("linears_bytes") or 0.0
    weights = numbers(row, found, "linears")
    if linears is None or linears.widths or held < _MORE * weights * linears.bits / 8:
        return found
    packed = dict(found.packed)
    del packed["linears"]
    if held * _MORE < weights * STORED_BITS / 8:
        packed["linears"] = linears._replace(widths=(linears.bits, STORED_BITS))
    return found._replace(packed=packed)


def numbers(row: Row, found: Formats, part: Part) -> float:
    """How many numbers a part holds. Of a tied pair, "head" is what a slice puts before the shared matrix.

    The linears hold what the tables, the norms and the rest leave of all numbers, for a file may lack their zeros.
    """
    if part != "linears":
        return 8 * (row.value(f"{part}_bytes") or 0.0) / found.bits(part)
    plain = sum(8 * (row.value(f"{rest}_bytes") or 0.0) / STORED_BITS for rest in ("norms", "other"))
    return (row.value("parameters") or 0.0) - plain - numbers(row, found, "embedding") - numbers(row, found, "head")


def left_out(row: Row, found: Formats) -> bool:
    """Whether the file of a result lacks zeros of its linears: they take less than their numbers would.

    Of linears of which some are packed the bytes can't tell, and the others are taken to lack them.
    """
    plain = numbers(row, found, "linears") * STORED_BITS / 8
    return found.plain_zeros and ("linears" in found.packed or (row.value("linears_bytes") or plain) < plain)


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
    return None if found is None else least_time(asked_work(found, row, phase, batch), limits)


def asked_work(found: Network, row: Row, phase: Phase, batch: int | None = None) -> Work:
    """What one pass of a phase does as the row's protocol times it, or with another batch."""
    asked = row.protocol
    prompt, decoded = int(asked.get("prompt_tokens", 128)), int(asked.get("decode_tokens", 64))
    tokens = prompt if phase == "prefill" else prompt + decoded // 2  # the middle of what is decoded
    return work(found, phase, batch or int(asked.get("batch_size", 1)), tokens)


def measured_ms(row: Row, phase: Phase) -> float | None:
    """What a phase took, on a real kernel; None where it was not timed or is simulated."""
    return None if row.simulated else row.value("prefill_ms" if phase == "prefill" else "decode_ms_per_token")
