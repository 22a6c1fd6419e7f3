import pytest

from engine.errors import InputError
from engine.spec import Protocol, length_notes, parse, refuse_length, refuse_misfits, refuse_plain, refuse_unknown

CONFIG = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "num_hidden_layers": 30,
}


def test_an_unknown_family_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        InputError, match="prune:layers does not know the model family 'bloom'; it knows: llama, mistral"
    ):
        refuse_unknown(parse("prune:layers,count=1"), {"model_type": "bloom"})
    refuse_unknown(parse("dense"), {"model_type": "bloom"})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            "quantize:rtn,group_size=128",
            r"128 does not divide the 576 inputs of self_attn.q_proj; sizes that do: 8, 9, 12",
        ),
        ("slice:slicegpt,fraction=0.25 | quantize:rtn,bits=4", "group_size=64 does not divide the 432 inputs"),
        ("quantize:rtn,group_size=1024,targets=embedding", "does not divide the 576 inputs of embedding"),
        ("prune:magnitude,pattern=3:5", "pattern=3:5 needs inputs in whole groups of 5; self_attn.q_proj has 576"),
        ("prune:sparsegpt,pattern=3:5", "pattern=3:5 needs inputs in whole groups of 5; self_attn.q_proj has 576"),
        (
            "quantize:gptq,group_size=1024,targets=linears+head",
            "1024 does not divide the 576 inputs of self_attn.q_proj",
        ),
        ("quantize:hqq,group_size=128", "128 does not divide the 576 inputs of self_attn.q_proj"),
        (
            "quantize:hqq,zero_points=fraction | prune:magnitude",
            "can't zero weights that quantize:hqq,zero_points",
        ),
        ("quantize:ternary,group_size=128", "128 does not divide the 576 inputs of self_attn.q_proj"),
        (
            "quantize:hqq,zero_points=fraction | prune:wanda",
            "prune:wanda can't zero weights that quantize:hqq",
        ),
        ("quantize:bnb | prune:magnitude,pattern=2:4", "can't zero weights that quantize:bnb has packed; prune first"),
        ("prune:layers,count=30", "count must be less than the model's 30 blocks, got 30"),
        ("prune:layers,count=20 | prune:layers,count=10", "the model's 10 blocks, got 10"),
        ("prune:neurons,fraction=0.01", "fraction=0.01 leaves all of the model's 1536 neurons a block"),
        ("prune:neurons,fraction=0.99", "fraction=0.99 leaves none of the model's 1536 neurons a block"),
        ("prune:heads,fraction=0.1", "fraction=0.1 leaves all of the model's 3 groups of heads; each is 33.3% of them"),
        ("prune:neurons,fraction=0.2 | quantize:rtn,group_size=96", "96 does not divide the 1216 inputs of mlp.down"),
        (
            "prune:heads,fraction=0.25 | quantize:rtn,group_size=288",
            "288 does not divide the 384 inputs of self_attn.o",
        ),
        ("prune:heads,fraction=0.5 | prune:heads,fraction=0.5", "leaves none of the model's 1 groups of heads"),
        ("slice:slicegpt,fraction=0.99", "fraction=0.99 leaves less than 8 of the model's 576 dimensions"),
        ("prune:layers,count=5 | quantize:rtn,blocks=25", "numbered from 0 to 24 in this model, got 25"),
        ("quantize:rtn,targets=head,blocks=1", "blocks=1 contradicts targets=head"),
        ("quantize:rtn,blocks=1 | prune:layers", "prune:layers numbers the layers anew"),
        (f"quantize:rtn,blocks={'+'.join(map(str, range(30)))} | quantize:gptq", "quantize:gptq has nothing to do"),
        (
            "quantize:hqq,zero_points=fraction,blocks=3 | prune:magnitude",
            "can't zero weights that quantize:hqq",
        ),
        (
            "quantize:rtn,blocks=1 | quantize:hqq,zero_points=fraction | prune:wanda,blocks=2",
            "weights that quantize:hqq",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(recipe: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_misfits(parse(recipe), CONFIG)


@pytest.mark.parametrize(
    "recipe",
    [
        "dense",
        "quantize:rtn,bits=4",
        "slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4",
        "quantize:rtn,group_size=-1",
        "prune:neurons,fraction=0.2 | prune:heads,fraction=0.25 | quantize:rtn,bits=4",
        "prune:heads,fraction=0.25,unit=queries | prune:heads,fraction=0.5,unit=queries",
        "prune:magnitude | quantize:hqq",
        "quantize:hqq | prune:magnitude | quantize:hqq,zero_points=fraction,targets=head | prune:wanda,pattern=2:4",
        "quantize:hqq,zero_points=fraction | slice:slicegpt,fraction=0.1 | prune:magnitude",
        "quantize:hqq,zero_points=fraction | quantize:rtn | prune:magnitude",
        "quantize:hqq,zero_points=fraction | prune:sparsegpt | prune:magnitude",
        "quantize:hqq,zero_points=fraction,targets=embedding | prune:magnitude",
        "quantize:hqq,zero_points=fraction,blocks=3 | prune:magnitude,blocks=4 | quantize:rtn,bits=8",
        "quantize:hqq,zero_points=fraction,blocks=3 | prune:sparsegpt,blocks=3 | prune:magnitude",
    ],
)
def test_what_fits_passes(recipe: str) -> None:
    refuse_misfits(parse(recipe), CONFIG)


def test_a_llama_with_biases_keeps_a_width_that_its_heads_divide() -> None:
    biased = {**CONFIG, "num_attention_heads": 18, "num_key_value_heads": 9, "head_dim": 32, "attention_bias": True}
    with pytest.raises(InputError, match="a width of 576 and 14 heads; a llama with biases needs"):
        refuse_misfits(parse("prune:heads,fraction=0.25"), biased)
    refuse_misfits(parse("prune:heads,fraction=0.3333"), biased)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "llama"}, "gives no usable sizes: 'hidden_size'"),
        (
            {**CONFIG, "num_hidden_layers": 0},
            "sizes: 0 blocks, 9 heads and 3 key and value heads of 64",
        ),
        ({**CONFIG, "num_attention_heads": 0}, "30 blocks, 0 heads and 3 key and value heads"),
        ({**CONFIG, "num_key_value_heads": 2}, "30 blocks, 9 heads and 2 key and value heads"),
    ],
)
def test_a_configuration_without_usable_sizes_is_named(config: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        refuse_misfits(parse("quantize:rtn"), config)


def test_key_heads_in_the_configuration_of_a_family_that_has_none_mean_nothing() -> None:
    gpt2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 3, "n_head": 8, "num_key_value_heads": 4}
    refuse_misfits(parse("prune:heads,fraction=0.125"), gpt2)
    with pytest.raises(InputError, match="leaves none of the model's 1 heads in every group"):
        refuse_misfits(parse("prune:heads,fraction=0.5,unit=queries"), gpt2)


def test_windows_longer_than_the_model_was_made_for_are_said() -> None:
    short = {"model_type": "llama", "max_position_embeddings": 64}
    assert "512 tokens are longer than the 64 that the model was made for" in length_notes(Protocol(), short)[0]
    assert length_notes(Protocol(sequence_length=64), short) == []
    assert length_notes(Protocol(), CONFIG) == []


@pytest.mark.parametrize("positions", ["long", 0, None])
def test_a_length_that_is_none_is_for_loading_to_refuse(positions: object) -> None:
    refuse_length(Protocol(), {"model_type": "gpt2", "n_positions": positions})
    assert length_notes(Protocol(), {"model_type": "gpt2", "n_positions": positions}) == []


def test_a_head_that_one_slice_gave_a_matrix_of_its_own_can_be_exported_plain() -> None:
    config = CONFIG | {"tie_word_embeddings": True}
    tied, untied = "slice:slicegpt,fraction=0.1", "slice:slicegpt,fraction=0.1,head=untied"
    for recipe in (untied, f"{tied} | {untied}", f"{untied} | {tied}"):
        refuse_plain(parse(recipe), config)
    with pytest.raises(InputError, match="a sliced head that shares its embedding has no standard configuration"):
        refuse_plain(parse(f"{tied} | {tied}"), config)
