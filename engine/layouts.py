"""What the parts of each model family are called, and how a family differs from Llama; without torch.

A family is one entry in LAYOUTS, by transformers' model type. Methods ask the layout and never a family's name, so that
a new family needs an entry here and a tiny model in the tests.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from engine.errors import InputError

Readers = tuple[str, ...]  # linears of a block that read one tensor


@dataclass(frozen=True)
class Layout:
    """The names of a family's parts, below the network and below a block; the defaults are Llama's."""

    base: str = "model"
    embedding: str = "model.embed_tokens"
    head: str = "lm_head"
    stored_head: str = "lm_head"  # as checkpoints call it
    blocks: str = "model.layers"
    final_norm: str = "model.norm"
    rotary: str | None = "model.rotary_emb"  # None where positions are learned
    input_norm: str = "input_layernorm"
    post_norm: str = "post_attention_layernorm"  # before the MLP; the input norm where that serves both
    attention: str = "self_attn"
    attention_in: Readers = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    attention_out: str = "self_attn.o_proj"
    mlp_in: Readers = ("mlp.gate_proj", "mlp.up_proj")
    mlp_out: str = "mlp.down_proj"
    value: str = "self_attn.v_proj"  # holds the values: each, mixed over tokens only, is an input of attention_out
    mlp_up: str | None = "mlp.up_proj"  # holds what is, times the gate's, an input of mlp_out; None without a gate

    # one linear for queries, keys and values: one part after the other, or head by head
    fused: Literal["", "stacked", "by_head"] = ""
    mlp_stacked: bool = False  # one linear for gate and up, in this order
    conv1d: bool = False  # the blocks' weights are stored [inputs, outputs]
    norm: Literal["rms", "layer"] = "rms"
    gain_offset: float = 0.0  # a norm multiplies by this much more than its weight
    output_norms: bool = False  # what attention and MLP give is normalised before it is added to the stream
    scaled_embedding: bool = False  # looked up rows are multiplied by the root of the width
    through: tuple[str, str] = ("", "")  # (key, value) of the activation that factors of mlp_up pass through

    head_dim: str = "head_dim"  # the attention's attribute
    query_groups: str | None = "num_key_value_groups"  # its query heads for each key head; None where that is 1
    head_counts: tuple[str, ...] = ()  # its attributes that are the number of heads, of keys where they differ
    split_width: str | None = None  # its attribute that is the width of all heads together
    free_heads: bool = True  # a configuration can have any number of heads of any size
    width_in_heads: bool = False  # a configuration's heads must divide its width all the same
    long_tables: bool = False  # a configuration for long texts has a table for heads of its width / its heads

    sizes: Mapping[str, str] = field(default_factory=dict)  # keys of the configuration that have other names
    mlp_widths: int = 0  # the MLP's size in widths, where a configuration does not say
    tied: bool = False  # a configuration that does not say means a head tied to the embedding
    requires: Mapping[str, Any] = field(default_factory=dict)  # what keys must be, where they are given
    same: tuple[tuple[str, str], ...] = ()  # keys that must be alike, where they are given

    @property
    def givers(self) -> tuple[tuple[str | None, Readers], ...]:
        """(part whose outputs' factors carry over to a tensor's channels, the linears that read the tensor), in order.

        None where no part does. An output of `value` gives a channel to every query head of its group.
        """
        after_value, after_up = (self.value, (self.attention_out,)), (self.mlp_up, (self.mlp_out,))
        if self.post_norm == self.input_norm:
            return ((self.input_norm, self.attention_in + self.mlp_in), after_value, after_up)
        return ((self.input_norm, self.attention_in), after_value, (self.post_norm, self.mlp_in), after_up)

    def giver(self, readers: Iterable[str]) -> str | None:
        """The part that factors of the tensor which these linears read can be folded into; None where there is none."""
        return {names: part for part, names in self.givers}[tuple(readers)]

    @property
    def norms(self) -> tuple[str, ...]:
        """Those that read the stream."""
        return (self.input_norm, self.post_norm)

    @property
    def linears(self) -> tuple[str, ...]:
        return (*self.attention_in, self.attention_out, *self.mlp_in, self.mlp_out)

    @property
    def no_rotation(self) -> str:
        """Why the residual stream can't be turned; empty where it can."""
        if self.norm == "layer":
            return "its norms subtract a mean, which a rotation of the stream does not keep"
        if self.output_norms:
            return "norms stand between its blocks' outputs and the stream, and their gains can't be turned"
        return ""

    def key(self, size: str) -> str:
        """What the configuration calls a size that Llama's calls `size`."""
        return self.sizes.get(size, size)


_GEMMA = Layout(gain_offset=1.0, scaled_embedding=True, tied=True, requires={"use_bidirectional_attention": False})
_GEMMA_2 = replace(_GEMMA, post_norm="pre_feedforward_layernorm", output_norms=True, width_in_heads=True)

LAYOUTS: dict[str, Layout] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3"), Layout()),
    "gemma": _GEMMA,
    "gemma2": _GEMMA_2,
    "gemma3_text": _GEMMA_2,
    "phi": Layout(
        final_norm="model.final_layernorm",
        post_norm="input_layernorm",
        attention_out="self_attn.dense",
        mlp_in=("mlp.fc1",),
        mlp_out="mlp.fc2",
        mlp_up=None,
        norm="layer",
        requires={"qk_layernorm": False},
    ),
    "phi3": Layout(
        attention_in=("self_attn.qkv_proj",),
        value="self_attn.qkv_proj",
        fused="stacked",
        mlp_in=("mlp.gate_up_proj",),
        mlp_up="mlp.gate_up_proj",
        mlp_stacked=True,
        head_counts=("num_key_value_heads",),
        long_tables=True,
    ),
    "opt": Layout(
        base="model.decoder",
        embedding="model.decoder.embed_tokens",
        blocks="model.decoder.layers",
        final_norm="model.decoder.final_layer_norm",
        rotary=None,
        input_norm="self_attn_layer_norm",
        post_norm="final_layer_norm",
        attention_out="self_attn.out_proj",
        mlp_in=("fc1",),
        mlp_out="fc2",
        mlp_up="fc1",
        through=("activation_function", "relu"),
        norm="layer",
        query_groups=None,
        head_counts=("num_heads",),
        free_heads=False,
        sizes={"intermediate_size": "ffn_dim"},
        tied=True,
        requires={
            "do_layer_norm_before": True,
            "_remove_final_layer_norm": False,
            "layer_norm_elementwise_affine": True,
        },
        same=(("word_embed_proj_dim", "hidden_size"),),
    ),
    "gpt2": Layout(
        base="transformer",
        embedding="transformer.wte",
        blocks="transformer.h",
        final_norm="transformer.ln_f",
        rotary=None,
        input_norm="ln_1",
        post_norm="ln_2",
        attention="attn",
        attention_in=("attn.c_attn",),
        attention_out="attn.c_proj",
        value="attn.c_attn",
        fused="stacked",
        mlp_in=("mlp.c_fc",),
        mlp_out="mlp.c_proj",
        mlp_up=None,
        conv1d=True,
        norm="layer",
        query_groups=None,
        head_counts=("num_heads",),
        split_width="split_size",
        free_heads=False,
        sizes={
            "hidden_size": "n_embd",
            "intermediate_size": "n_inner",
            "num_hidden_layers": "n_layer",
            "num_attention_heads": "n_head",
            "max_position_embeddings": "n_positions",
        },
        mlp_widths=4,
        tied=True,
        requires={"add_cross_attention": False, "scale_attn_by_inverse_layer_idx": False},
    ),
    "gpt_neox": Layout(
        base="gpt_neox",
        stored_head="embed_out",
        embedding="gpt_neox.embed_in",
        blocks="gpt_neox.layers",
        final_norm="gpt_neox.final_layer_norm",
        rotary="gpt_neox.rotary_emb",
        attention="attention",
        attention_in=("attention.query_key_value",),
        attention_out="attention.dense",
        value="attention.query_key_value",
        fused="by_head",
        mlp_in=("mlp.dense_h_to_4h",),
        mlp_out="mlp.dense_4h_to_h",
        mlp_up=None,
        norm="layer",
        head_dim="head_size",
        query_groups=None,
        free_heads=False,
    ),
}


def find(config: Mapping[str, Any]) -> Layout:
    """The layout of the model that a `config.json` describes.

    Raises InputError where its family is unknown, or where the model is a kind of its family that the layout does not
    describe.
    """
    family = str(config.get("model_type"))
    if family not in LAYOUTS:
        raise InputError(f"the parts of the model family {family!r} are not known; known: {', '.join(LAYOUTS)}")
    layout = LAYOUTS[family]
    wanted = {**layout.requires, **{key: config.get(other) for key, other in layout.same}}
    for key, value in wanted.items():
        if config.get(key) not in (None, value):
            raise InputError(
                f"methods know the model family {family!r} with {key}={value} only, and this model has "
                f"{key}={config[key]}; it can be measured as it is"
            )
    key, value = layout.through
    return replace(layout, mlp_up=None) if key and config.get(key, value) != value else layout


def known(config: Mapping[str, Any]) -> bool:
    """Whether `find` has an answer."""
    try:
        find(config)
    except InputError:
        return False
    return True


def tied(config: Mapping[str, Any]) -> bool:
    """Whether the head of the model that a `config.json` describes is its embedding."""
    layout = LAYOUTS.get(str(config.get("model_type")))
    return bool(config.get("tie_word_embeddings", layout is None or layout.tied))


def no_fewer_heads(family: str) -> InputError:
    """What is wrong with a plain export of a model that lost heads which its configuration can't leave out."""
    return InputError(
        f"no standard configuration of the model family {family!r} has fewer heads of the same size; export it packed"
    )


def no_tied_cut() -> InputError:
    """What is wrong with a plain export of a model whose head is a part of its embedding."""
    return InputError(
        "a sliced head that shares its embedding has no standard configuration; slice with head=untied, or export it "
        "packed"
    )
