"""What stays on one line."""

import pytest

from engine.typesetting import NO_BREAK, unbroken


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("3.1x smaller (86.4 MB, was 269 in bf16).", "3.1x smaller (86.4_MB, was 269 in bf16)."),
        ("70.3 kB; 12.4 ms; 2 min; 32.0 GB/s", "70.3_kB; 12.4_ms; 2_min; 32.0_GB/s"),
        ("\u22120.7 \u00b1 1.0 points, 98% \u00b1 2", "\u22120.7_\u00b1_1.0_points, 98%_\u00b1_2"),
        ("the 3 smallest of 12 Matrices in 4 sweeps", "the 3 smallest of 12 Matrices in 4 sweeps"),
    ],
)
def test_a_number_stays_with_its_unit(text: str, set_as: str) -> None:
    assert unbroken(text) == set_as.replace("_", NO_BREAK)
