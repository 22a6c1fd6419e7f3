"""Options written in one text, "A. …\\nB. …", as the default data carries them, and the answer as a full option."""

from engine.tasks.task import RecordError

LETTERS = "ABCDE"


def split_options(text: str, count: int) -> tuple[str, tuple[str, ...]]:
    """The text before the options, and the options, of "A. …\\nB. …" with `count` letters.

    A letter counts only at the start of a line and in its turn, so an option may itself hold dots, letters and line
    breaks; inner and trailing white space is kept. Raises RecordError where a letter is missing, or where its marker
    stands on several lines.
    """
    rest = "\n" + text
    pieces = []
    for letter in LETTERS[:count]:
        marker = f"\n{letter}. "
        before, found, rest = rest.partition(marker)
        if not found:
            raise RecordError(f"option {letter} is missing from {text!r}")
        if marker in rest:
            raise RecordError(f"option {letter} stands twice in {text!r}")
        pieces.append(before)
    return pieces[0].removeprefix("\n"), (*pieces[1:], rest)


def answer_of(answer: str, options: tuple[str, ...]) -> int:
    """The index of the option that an answer "B. the whole option" repeats; RecordError for none."""
    written = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    if answer not in written:
        raise RecordError(f"the answer {answer!r} is none of {written}")
    return written.index(answer)
