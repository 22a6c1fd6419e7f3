"""Whether a recipe fits a model, answered from its configuration alone: before any work, and without torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine import layouts
from engine.errors import InputError
from engine.layouts import LAYOUTS, Layout
from engine.spec.protocol import Protocol
from engine.spec.prune import Heads, Layers, Neurons, Zeros
from engine.spec.quantize import PER_CHANNEL, Awq, Bnb, Gptq, Hqq, KvCache, Rtn, Ternary
from engine.spec.recipe import Recipe, named_blocks
from engine.spec.setting import Settings, write
from engine.spec.slicing import SliceGpt

SMALLEST_GROUP = 8


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that methods depend on."""

    hidden: int  # width of the residual stream
    intermediate: int
    blocks: int
    heads: int  # of the queries
    kv_heads: int
    head_dim: int
    model_type: str
    layout: Layout
    biased: bool  # linears have biases that a configuration speaks of
    long: bool  # a configuration for long texts

    @staticmethod
    def of(config: Mapping[str, Any]) -> "Shape":
        """The shape that a `config.json` describes; raises InputError where a size is missing."""
        model_type = str(config.get("model_type", ""))
        layout = LAYOUTS.get(model_type, Layout())
        try:
            hidden, heads = (int(config[layout.key(size)]) for size in ("hidden_size", "num_attention_heads"))
            intermediate = config.get(layout.key("intermediate_size")) or layout.mlp_widths * hidden
            if not intermediate:
                raise KeyError("intermediate_size")
            shape = Shape(
                hidden=hidden,
                intermediate=int(intermediate),
                blocks=int(config[layout.key("num_hidden_layers")]),
                heads=heads,
                kv_heads=int((layout.query_groups and config.get("num_key_value_heads")) or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                model_type=model_type,
                layout=layout,
                biased=bool(config.get("attention_bias") or config.get("mlp_bias")),
                long=layout.long_tables and _rope_type(config) != "default",
            )
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise InputError(f"the model's config.json gives no usable sizes: {error}") from None
        counts = (shape.blocks, shape.heads, shape.kv_heads, shape.head_dim, shape.hidden, shape.intermediate)
        if min(counts) < 1 or shape.heads % shape.kv_heads:
            raise InputError(
                "the model's config.json gives no usable sizes: {} blocks, {} heads and {} key and value heads of {}, "
                "widths of {} and {}".format(*counts)
            )
        return shape

    def widths(self) -> dict[str, int]:
        """Inputs of each matrix, by the name of one that has them."""
        return {
            self.layout.attention_in[0]: self.hidden,
            self.layout.attention_out: self.heads * self.head_dim,
            self.layout.mlp_in[0]: self.hidden,
            self.layout.mlp_out: self.intermediate,
        }


def refuse_unknown(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raise InputError, naming the step and the family, where a method can't work on a model's family.

    `config` is the content of the model's `config.json`.
    """
    for step in recipe.steps:
        family, method, known = config.get("model_type"), f"{step.family}:{step.method}", step.families()
        if family not in LAYOUTS:
            raise InputError(f"{method} does not know the model family {family!r}; it knows: {', '.join(known)}")
        layout = layouts.find(config)
        if reason := step.unfit(layout):
            raise InputError(
                f"{method} can't work on the model family {family!r}, because {reason}; other methods can, "
                f"and it works on {', '.join(known)}"
            )


def refuse_length(protocol: Protocol, config: Mapping[str, Any]) -> None:
    """Raise InputError where a model that learned its positions is to read more tokens than it has positions."""
    layout, most = LAYOUTS.get(str(config.get("model_type")), Layout()), _positions(config)
    if layout.rotary is not None or most is None:
        return
    asked = {
        "sequence_length": protocol.sequence_length,
        "prompt_tokens + decode_tokens": protocol.prompt_tokens + protocol.decode_tokens,
    }
    for name, tokens in asked.items():
        if tokens > most:
            raise InputError(f"{name} must be at most the {most} positions that the model learned, got {tokens}")


def length_notes(protocol: Protocol, config: Mapping[str, Any]) -> list[str]:
    """What to say beside a perplexity whose windows are longer than what the model was made for; else nothing."""
    most = _positions(config)
    if most is None or protocol.sequence_length <= most:
        return []
    return [
        f"Its windows of {protocol.sequence_length} tokens are longer than the {most} that the model was made for: the "
        f"perplexity is that of a model out of its depth; a sequence_length of {most} would not be."
    ]


def _positions(config: Mapping[str, Any]) -> int | None:
    """The most tokens that a model was made to read at once, where its configuration says so."""
    most = config.get(LAYOUTS.get(str(config.get("model_type")), Layout()).key("max_position_embeddings"))
    return most if isinstance(most, int) and most > 0 else None


def refuse_misfits(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raise InputError where a step can't be applied to the shape that the steps before it leave.

    `config` is the content of the model's `config.json`.
    """
    if not recipe.steps:
        return
    shape = Shape.of(config)
    refuse_renumbering(recipe)
    refuse_zeroing(recipe, shape.blocks)
    for place in range(len(recipe.steps)):
        step = recipe.step_on(place, shape.blocks)
        refuse_blocks(step, shape.blocks)
        shape = _after(step, shape)


def refuse_plain(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Raise InputError where no standard configuration can express what the recipe makes of the model.

    A head that one slice has given a matrix of its own keeps it, whatever the others say.
    """
    heads = {step.head for step in recipe.steps if isinstance(step, SliceGpt)}
    if heads == {"tied"} and layouts.tied(config):
        raise layouts.no_tied_cut()
    for step in recipe.steps:
        if isinstance(step, Heads) and step.fraction > 0 and not layouts.find(config).free_heads:
            raise layouts.no_fewer_heads(str(config["model_type"]))


def refuse_renumbering(recipe: Recipe) -> None:
    """Raise InputError where blocks are removed after a step that names some by their numbers."""
    named = False
    for step in recipe.steps:
        if named and isinstance(step, Layers):
            raise InputError(
                "prune:layers numbers the layers anew, so it can't come after a step with blocks; put it first"
            )
        named = named or bool(named_blocks(step))


def refuse_zeroing(recipe: Recipe, count: int) -> None:
    """Raise InputError where weights are to be zeroed in matrices whose packed form has no zero, or none we can set.

    count: the model's blocks.
    """
    packed: dict[int, Settings] = {}  # by block
    for place, step in enumerate(recipe.steps):
        blocks = named_blocks(recipe.step_on(place, count)) or range(count)
        if isinstance(step, Zeros) and not step.unpacks:
            for block in blocks:
                found = packed.get(block)
                if isinstance(found, Bnb) or (isinstance(found, Hqq) and found.zero_points == "fraction"):
                    packer = f"{found.method},zero_points=fraction" if isinstance(found, Hqq) else found.method
                    raise InputError(
                        f"prune:{step.method} can't zero weights that quantize:{packer} has packed; prune first"
                    )
        if step.family == "quantize" and "linears" in getattr(step, "targets", ()):
            packed |= dict.fromkeys(blocks, step)
        elif "linears" in step.unpacks:
            packed = {block: one for block, one in packed.items() if block not in blocks}


def refuse_blocks(step: Settings, count: int) -> None:
    """Raise InputError unless the blocks that a step is kept to are some of the model's `count`, and it has linears."""
    blocks, targets = named_blocks(step), getattr(step, "targets", ("linears",))
    if blocks and blocks[-1] >= count:
        raise InputError(f"blocks are numbered from 0 to {count - 1} in this model, got {blocks[-1]}")
    if blocks and "linears" not in targets:
        raise InputError(f"blocks={write(blocks)} contradicts targets={write(targets)}: blocks are of the linears")


def refuse_cache_groups(group_size: int, head_dim: int) -> None:
    """Raise InputError where groups of keys and values do not divide those of a head."""
    refuse_group_size(group_size, [("a head", head_dim)], numbers="keys", each="head")


def refuse_group_size(
    group_size: int, widths: Iterable[tuple[str, int]], numbers: str = "inputs", each: str = "channel"
) -> None:
    """Raise InputError naming the first matrix whose input width the group size does not divide.

    widths: (name, inputs) of every matrix that is to be quantized. numbers, each: what a row holds, and what it is.
    """
    if group_size == PER_CHANNEL:
        return
    for name, width in widths:
        if width % group_size:
            sizes = ", ".join(str(n) for n in range(SMALLEST_GROUP, width + 1) if width % n == 0)
            raise InputError(
                f"group_size={group_size} does not divide the {width} {numbers} of {name}; "
                f"sizes that do: {sizes}, or {PER_CHANNEL} for one scale a {each}"
            )


def refuse_pattern(step: Zeros, widths: Iterable[tuple[str, int]]) -> None:
    """Raise InputError naming the first matrix whose input width the N:M pattern does not divide."""
    if step.pattern_shape is None:
        return
    _, size = step.pattern_shape
    for name, width in widths:
        if width % size:
            raise InputError(f"pattern={step.pattern} needs inputs in whole groups of {size}; {name} has {width}")


def refuse_count(step: Layers, blocks: int) -> None:
    """Raise InputError unless at least one block stays."""
    if step.count >= blocks:
        raise InputError(f"count must be less than the model's {blocks} blocks, got {step.count}")


def refuse_neurons(step: Neurons, intermediate: int) -> None:
    """Raise InputError where rounding to the multiple leaves no neuron, or all of them though some are to go."""
    left = step.width(intermediate)
    if left < 1 or (step.fraction > 0 and left == intermediate):
        raise InputError(
            f"fraction={step.fraction:g} leaves {'none' if left < 1 else 'all'} of the model's {intermediate} neurons "
            f"a block, rounded to a multiple of {step.multiple}; change the fraction or the multiple"
        )


def refuse_heads(step: Heads, heads: int, kv_heads: int) -> None:
    """Raise InputError where the nearest whole unit leaves no head, or all of them though some are to go."""
    units, name = (
        (kv_heads, "groups of heads") if step.unit == "groups" else (heads // kv_heads, "heads in every group")
    )
    left, _ = step.left(heads, kv_heads)
    if left < 1 or (step.fraction > 0 and left == heads):
        raise InputError(
            f"fraction={step.fraction:g} leaves {'none' if left < 1 else 'all'} of the model's {units} {name}; "
            f"each is {100 / units:.3g}% of them"
        )


def refuse_width(step: SliceGpt, hidden: int) -> None:
    """Raise InputError where slicing would leave no width."""
    if step.width(hidden) < 8:
        raise InputError(f"fraction={step.fraction:g} leaves less than 8 of the model's {hidden} dimensions")


def _after(step: Any, shape: Shape) -> Shape:
    """The shape that a step leaves; raises InputError where it does not fit."""
    widths = shape.widths()
    match step:
        case Rtn() | Gptq() | Awq() | Hqq() | Ternary():
            inputs = widths if "linears" in step.targets else {}
            tables = {target: shape.hidden for target in step.targets if target != "linears"}
            refuse_group_size(step.group_size, [*inputs.items(), *tables.items()])
        case KvCache():
            refuse_cache_groups(step.group_size, shape.head_dim)
        case Zeros():
            refuse_pattern(step, widths.items())
        case Layers():
            refuse_count(step, shape.blocks)
            return replace(shape, blocks=shape.blocks - step.count)
        case Neurons():
            refuse_neurons(step, shape.intermediate)
            return replace(shape, intermediate=step.width(shape.intermediate))
        case Heads():
            refuse_heads(step, shape.heads, shape.kv_heads)
            heads, kv_heads = step.left(shape.heads, shape.kv_heads)
            return _expressible(replace(shape, heads=heads, kv_heads=kv_heads), step.fraction)
        case SliceGpt():
            refuse_width(step, shape.hidden)
            return _expressible(replace(shape, hidden=step.width(shape.hidden)), step.fraction)
    return shape


def _expressible(shape: Shape, fraction: float) -> Shape:
    """The shape as it is; raises InputError where it could not be loaded under any standard configuration."""
    left = f"fraction={fraction:g} leaves a width of {shape.hidden} and {shape.heads} heads"
    if shape.hidden % shape.heads and shape.model_type == "llama" and shape.biased:
        raise InputError(f"{left}; a llama with biases needs a width that is a multiple of its heads")
    if shape.hidden % shape.heads and shape.layout.width_in_heads:
        raise InputError(f"{left}; a {shape.model_type} needs a width that is a multiple of its heads")
    if shape.long and shape.hidden != shape.heads * shape.head_dim:
        raise InputError(
            f"{left} of {shape.head_dim}; a {shape.model_type} for long texts needs heads that fill the width"
        )
    return shape


def _rope_type(config: Mapping[str, Any]) -> str:
    """What kind of rotary positions a configuration asks for, in either of the ways that it can be written."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return str(rope.get("rope_type") or rope.get("type") or "default")
