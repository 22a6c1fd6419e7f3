"""What ran each part of a model, on the hand-computed model of `test_passes`."""

from dataclasses import replace

import pytest

from engine.analysis.parts import PartRun, parts_run
from engine.analysis.roofline import formats_of
from engine.layers.formats import KERNEL_ROWS, formats
from engine.spec import parse
from tests.analysis.test_passes import DENSE, FOUR, PACKED, SKIPPED, made

FASTER = ("bf16", "fp32")


@pytest.mark.parametrize(
    ("recipe", "metrics", "lines"),
    [
        (
            "quantize:rtn,bits=4",
            PACKED,
            [
                PartRun("Linears", "4 bits, groups of 64, 40.0 MB", "packed 4-bit kernel", "expanded to fp32"),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "quantize:rtn,bits=8,targets=embedding",
            {"embedding_bytes": 20e6},
            [
                PartRun("Linears", "16 bits, 160 MB", "bf16", "fp32"),
                PartRun("Embedding and head", "8 bits, groups of 64, 20.0 MB", *["packed 8-bit kernel"] * 2),
            ],
        ),
        (
            "quantize:rtn,bits=3,group_size=-1",
            PACKED,
            [
                PartRun("Linears", "3 bits, one scale a row, 40.0 MB", *["no kernel: a 16-bit copy"] * 2),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "quantize:rtn,bits=8,blocks=0 | quantize:rtn,bits=4",
            PACKED,
            [
                PartRun("Linears", "4 or 8 bits by layer, 40.0 MB", "packed kernels", "expanded to fp32"),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "quantize:bnb,format=nf4",
            PACKED,
            [
                PartRun("Linears", "4 bits, groups of 64, 40.0 MB", *["bitsandbytes, 4-bit"] * 2),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "quantize:bnb,format=int8",
            PACKED | {"linears_bytes": 80e6},
            [
                PartRun("Linears", "8 bits, one scale a row, 80.0 MB", *["bitsandbytes, 8-bit"] * 2),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "prune:magnitude,sparsity=0.5",
            {"nonzero_parameters": 60e6},
            [
                PartRun("Linears", "16 bits, 160 MB", "bf16, zeros multiplied too", "fp32, zeros multiplied too"),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
            ],
        ),
        (
            "prune:magnitude,sparsity=0.5",
            {"nonzero_parameters": 60e6, "linears_bytes": 90e6},
            [
                PartRun("Linears", "16 bits, zeros left out, 90.0 MB", *[f"{n}, zeros multiplied too" for n in FASTER]),
                PartRun("Embedding and head", "16 bits, 40.0 MB", *FASTER),
            ],
        ),
        (
            "quantize:rtn,bits=4,blocks=0+1 | prune:magnitude,sparsity=0.5",
            {"nonzero_parameters": 60e6, "linears_bytes": 90e6},
            [
                PartRun(
                    "Linears",
                    "4 or 16 bits by layer, zeros left out at 16, 90.0 MB",
                    "packed kernels, and plain in bf16",
                    "expanded to fp32",
                ),
                PartRun("Embedding and head", "16 bits, 40.0 MB", *FASTER),
            ],
        ),
        (
            "slice:slicegpt,fraction=0.1",
            {"head_bytes": 1e6, "parameters": 100.5e6},
            [
                PartRun("Linears", "16 bits, 160 MB", "bf16", "fp32"),
                PartRun("Embedding and head", "16 bits, 40.0 MB", "bf16", "fp32"),
                PartRun("Matrix before the head", "16 bits, 1.00 MB", "bf16", "fp32"),
            ],
        ),
    ],
)
def test_every_part_says_how_it_is_stored_and_what_ran_it(recipe, metrics, lines) -> None:
    ran = {"compressed_decode_dtype": "bfloat16", "compressed_prefill_dtype": "float32"}
    assert parts_run(made(recipe, ran, **metrics), formats(parse(recipe), tied=True)) == lines


def test_an_untied_embedding_is_looked_up_and_formats_that_were_not_noted_stay_open() -> None:
    lines = parts_run(made(head_bytes=40e6), formats(parse("dense"), tied=False))
    assert lines[1] == PartRun("Embedding", "16 bits, 40.0 MB", "rows looked up", "rows looked up")
    assert lines[2] == PartRun("Head", "16 bits, 40.0 MB", "fp32 or bf16", "fp32 or bf16")


@pytest.mark.parametrize(
    ("device", "ran_in", "expanded", "said"),
    [
        ("cpu", "bfloat16", None, "expanded to fp32"),
        ("cpu", "bfloat16", "float32", "expanded to fp32"),
        ("cpu", "bfloat16", "bfloat16", "expanded to bf16"),
        ("cpu", "float32", "bfloat16", "expanded to fp32"),
        ("cpu", "float32", "int8", "8-bit whole numbers"),
        ("cuda", "bfloat16", None, "expanded to bf16"),
        ("cuda", None, None, "expanded"),
    ],
)
def test_a_prompt_expands_to_the_timed_format_or_fp32_on_a_cpu_without_bf16_units(
    device, ran_in, expanded, said
) -> None:
    environment = {**FOUR.environment, "compressed_prefill_dtype": ran_in, "expanded_dtype": expanded}
    found = replace(FOUR, protocol={**FOUR.protocol, "device": device}, environment=environment)
    assert parts_run(found, formats(parse(FOUR.recipe), tied=True))[0].prompt == said


def test_a_kernel_leaves_zeros_out_in_16_bits_only() -> None:
    linears = parts_run(SKIPPED, formats_of(SKIPPED, DENSE))[0]
    assert linears.stored == "16 bits, zeros left out, 90.0 MB"
    assert (linears.word, linears.prompt) == ("bf16, cuSPARSELt without the zeros", "fp32, zeros multiplied too")


def test_a_word_for_many_sequences_expands_as_a_prompt_does() -> None:
    many = replace(FOUR, protocol={**FOUR.protocol, "batch_size": KERNEL_ROWS + 1})
    assert parts_run(many, formats(parse(FOUR.recipe), tied=True))[0].word == "expanded to fp32"
