"""How texts are set where they are shown: no line ends between a number and its unit, or inside "0.7 ± 1.0"."""

import re

NO_BREAK = "\u00a0"
_UNITS = "kB|MB|GB|bytes|ms|s|min|minutes|h|hours|bits?|nats|points|M|[MG]FLOP|tokens"
_PARTS = re.compile(rf"(?<=\d)[ ](?=(?:{_UNITS})\b)|(?<=[\d%])[ ](?=±)|(?<=±)[ ](?=\d)")


def unbroken(text: str) -> str:
    """The text with no-break spaces where a number stands before its unit, and around ±; nothing else changes."""
    return _PARTS.sub(NO_BREAK, text)
