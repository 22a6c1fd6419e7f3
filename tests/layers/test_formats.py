"""How parts are stored and run, by the order of a recipe's steps."""

import pytest

from engine.layers.formats import KERNEL_ROWS, Packing, formats, has_kernel, way
from engine.spec import parse

FOUR, EIGHT = Packing(4, 64, True), Packing(8, 64, True)


def packed(recipe: str, tied: bool = True):
    return dict(formats(parse(recipe), tied).packed)


def test_what_no_step_packs_is_stored_in_16_bits() -> None:
    found = formats(parse("prune:layers,count=3"), tied=True)
    assert (dict(found.packed), found.bits("linears"), found.tied) == ({}, 16, True)


def test_a_quantizer_packs_what_it_targets_and_a_later_one_decides() -> None:
    assert packed("quantize:rtn,bits=4") == {"linears": FOUR}
    again = "quantize:rtn,bits=4,targets=linears+embedding | quantize:rtn,bits=8"
    assert packed(again) == {"linears": EIGHT, "embedding": FOUR}


def test_every_quantizer_says_how_it_packs() -> None:
    assert packed("quantize:hqq,bits=3") == {"linears": Packing(3, 64, False)}
    assert packed("quantize:ternary,targets=head") == {"embedding": Packing(2, 64, True)}
    assert packed("quantize:smoothquant") == {"linears": Packing(8, -1, True)}
    assert packed("quantize:bnb") == {"linears": Packing(4, 64, True, "bitsandbytes")}
    assert packed("quantize:bnb,format=int8") == {"linears": Packing(8, -1, True, "bitsandbytes")}


def test_layers_that_are_packed_differently_are_told_apart() -> None:
    mixed = "quantize:rtn,bits=8,blocks=0+29 | quantize:rtn,bits=3,blocks=1 | quantize:rtn,bits=4"
    assert packed(mixed) == {"linears": Packing(3, 64, True, widths=(3, 4, 8))}
    assert packed("quantize:rtn,bits=8,blocks=0 | quantize:rtn,bits=4")["linears"].has_kernel
    assert packed("quantize:rtn,bits=4,blocks=0") == {"linears": FOUR._replace(widths=(4, 16))}
    assert packed("quantize:rtn,bits=4,blocks=0 | quantize:rtn,bits=4") == {"linears": FOUR}
    off = "quantize:rtn,bits=8,blocks=0+1 | prune:sparsegpt,blocks=0 | quantize:rtn,bits=4,blocks=2"
    assert packed(off) == {"linears": FOUR._replace(widths=(4, 8, 16))}


@pytest.mark.parametrize(
    ("recipe", "plain"),
    [
        ("prune:wanda", True),
        ("quantize:rtn,bits=4 | prune:wanda", False),
        ("quantize:rtn,bits=4,blocks=0 | prune:wanda", True),
        ("prune:wanda,blocks=0+1 | quantize:rtn,bits=4,blocks=0+1", False),
        ("prune:wanda | slice:slicegpt", False),
        ("prune:wanda | quantize:rtn,bits=4,blocks=0 | quantize:rtn,bits=8", False),
        ("quantize:rtn,bits=4,blocks=0 | quantize:rtn,bits=8,targets=embedding | prune:wanda,blocks=0", False),
    ],
)
def test_zeros_lie_in_plain_linears_of_the_layers_that_no_step_packs(recipe: str, plain: bool) -> None:
    assert formats(parse(recipe), tied=True).plain_zeros == plain


def test_of_a_tied_pair_naming_either_packs_the_one_matrix() -> None:
    assert packed("quantize:rtn,bits=4,targets=head") == {"embedding": FOUR}
    assert packed("quantize:rtn,bits=4,targets=head", tied=False) == {"head": FOUR}


def test_a_slice_takes_matrices_off_their_grid_and_may_part_the_head() -> None:
    assert packed("quantize:rtn,bits=4 | slice:slicegpt,fraction=0.1") == {}
    assert packed("slice:slicegpt,fraction=0.1 | quantize:rtn,bits=4") == {"linears": FOUR}
    untied = "slice:slicegpt,fraction=0.1,head=untied"
    assert not formats(parse(untied), tied=True).tied
    assert packed(f"{untied} | quantize:rtn,bits=4,targets=head") == {"head": FOUR}


def test_weights_that_make_up_for_zeros_leave_their_grid_and_others_stay() -> None:
    both = "quantize:rtn,bits=4,targets=linears+embedding"
    assert packed(f"{both} | prune:sparsegpt") == {"embedding": FOUR}
    assert packed(f"{both} | prune:wanda") == {"linears": FOUR, "embedding": FOUR}


@pytest.mark.parametrize(
    ("packing", "tokens", "device", "said"),
    [
        (None, 1, "cpu", "plain"),
        (FOUR, KERNEL_ROWS, "cpu", "packed"),
        (FOUR, KERNEL_ROWS + 1, "cpu", "expanded"),
        (FOUR, 1, "cuda", "expanded"),
        (Packing(3, 64, True), 1, "cpu", "copied"),
        (Packing(4, 64, True, "bitsandbytes"), 1, "cpu", "library"),
    ],
)
def test_a_kernel_runs_packed_weights_for_a_few_tokens(packing, tokens, device, said) -> None:
    assert way(packing, tokens, device) == said


def test_eight_bits_have_a_kernel_and_four_in_even_groups() -> None:
    assert [bits for bits in range(2, 9) if has_kernel(bits, 64)] == [4, 8]
    assert has_kernel(4, -1)
    assert has_kernel(8, 3)
    assert not has_kernel(4, 3)
