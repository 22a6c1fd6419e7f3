"""A teaching pack: real weights, activations, spectra and next words of one model, small enough to ship.

Written once as JSON, at most MOST_BYTES. Long rows of numbers are base64 of little-endian float32: the browser draws
from them, and nobody here has to read them.
"""

import base64
import json
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError
from engine.system.whole_files import replace_text

VERSION = 3
MOST_BYTES = 5_000_000
SIDE = 64  # weights in a row that is shown, rows and columns of a tile, rows that are trained
STEPS, EVERY = 300, 3  # of training through the rounding, and from one frame that is kept to the next


@dataclass(frozen=True)
class Shape:
    """The model's sizes, from which bytes follow by arithmetic."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    parameters: int
    mlp_matrices: int = 3  # hidden x intermediate numbers each; 2 without a gate


@dataclass(frozen=True)
class WeightRow:
    """64 neighbours of one row of a linear."""

    kind: str  # outlier: the largest ratio below of all linears; typical: the median of it in the same linear; middle
    tensor: str  # "model.layers.3.mlp.down_proj"
    row: int
    column: int  # of the first of them
    outlier_ratio: float  # largest magnitude over the root mean square
    values: str  # float32 [64]


@dataclass(frozen=True)
class Tile:
    """A square cut out of a linear whose rows are neurons, how large what it multiplies is, and what a neuron does."""

    tensor: str
    block: int  # from 0
    row: int
    column: int
    rows: int
    columns: int
    values: str  # float32 [rows * columns], row by row
    input_norms: str  # float32 [columns]: L2 norm of each input over the calibration tokens
    neurons_magnitude: str  # float32 [rows]: norm of the weights that carry each neuron on
    neurons_activated: str  # float32 [rows]: the same times the L2 norm of what the neuron gives over the tokens


@dataclass(frozen=True)
class Histogram:
    """How often each weight occurs in a tensor, in equal bins from -limit to limit."""

    tensor: str
    limit: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Spectrum:
    """How much of the residual stream lies along each direction, shares of 1, the largest first."""

    what: str
    turned: tuple[float, ...]  # along the principal axes
    plain: tuple[float, ...]  # along the coordinates as they come


@dataclass(frozen=True)
class Cloud:
    """Activations along two coordinates of the residual stream at one norm, their mean taken off."""

    tensor: str
    coordinates: tuple[int, int]
    x: str  # float32 [tokens]
    y: str
    angle: float  # of the principal axis, in radians from the first coordinate


@dataclass(frozen=True)
class NextWords:
    """What the model thinks comes next: its likeliest tokens, and what all others weigh together."""

    prompt: str
    tokens: tuple[str, ...]
    logits: tuple[float, ...]
    log_total: float  # log of the sum of exp(logit) over the whole vocabulary


@dataclass(frozen=True)
class Cut:
    """The model after a share of its width was deleted, along the principal axes or as it comes."""

    fraction: float
    turned: bool
    perplexity: float  # on held-out text
    words: tuple[tuple[tuple[str, float], ...], ...]  # for each prompt: (token, probability), the likeliest first


@dataclass(frozen=True)
class Sentence:
    """A sentence that breaks off, and words it may go on with: the likeliest of all speakers, the model's own first."""

    prompt: str
    tokens: tuple[str, ...]
    label: int  # place of the word that the text goes on with


@dataclass(frozen=True)
class Speaker:
    """What a model, or a compressed version of it, says after every sentence of a lesson."""

    recipe: str
    logits: tuple[str, ...]  # for each sentence: float32 [tokens]
    log_totals: tuple[float, ...]  # for each sentence: log of the sum of exp(logit) over the whole vocabulary


@dataclass(frozen=True)
class Lesson:
    """What a distillation would learn from; the model itself speaks first, its students after it."""

    sentences: tuple[Sentence, ...]
    speakers: tuple[Speaker, ...]


@dataclass(frozen=True)
class Scores:
    """How much each head and each block does; what is pruned first has the least."""

    heads_magnitude: tuple[tuple[float, ...], ...]  # [layers][heads]: norm of the head's columns of the output linear
    heads_activated: tuple[tuple[float, ...], ...]  # the same with each column times the norm of its input
    layers: tuple[float, ...]  # mean angle between a block's input and output, 0 to 1


@dataclass(frozen=True)
class Trained:
    """A matrix at one bit width while it is trained through the rounding: a frame before the first step, then others.

    The first frame is rounding to nearest. Errors are those of the outputs, as shares of the outputs' size.
    """

    bits: int
    learning_rate: float  # at the first step; it falls to zero
    row: int  # of the weights that are followed
    columns: tuple[int, ...]  # theirs: all of one group, so that one grid serves them
    scale: float  # of that grid, whose points are its multiples
    paths: str  # float32 [weights * frames]: the real weight behind each point, weight by weight
    learnt: str  # float32 [frames]: errors on the text that it learns from
    heldout: str  # float32 [frames]: errors on held-out text
    gptq: float  # GPTQ's error on the held-out text, on the same grids
    moved: float  # share of all weights that end on another point


@dataclass(frozen=True)
class Training:
    """The first rows of a linear, trained through the rounding so that their outputs stay what they were."""

    tensor: str
    rows: int
    inputs: int
    group_size: int  # -1: a group is a row
    widths: tuple[Trained, ...]


@dataclass(frozen=True)
class Pack:
    """Everything that the teaching pages know of a model."""

    model: str
    weights_sha256: str
    calibration: str  # which text the activations come from, in words
    heldout: str  # which text the perplexities are of
    shape: Shape
    rows: tuple[WeightRow, ...]
    tiles: tuple[Tile, ...]
    histograms: tuple[Histogram, ...]
    training: Training
    spectrum: Spectrum
    cloud: Cloud
    scores: Scores
    next_words: tuple[NextWords, ...]
    cuts: tuple[Cut, ...]
    lesson: Lesson


def numbers(values: Iterable[float]) -> str:
    """A row of numbers as a pack holds it."""
    listed = list(values)
    return base64.b64encode(struct.pack(f"<{len(listed)}f", *listed)).decode("ascii")


def floats(text: str) -> list[float]:
    """The numbers of a row."""
    content = base64.b64decode(text)
    return list(struct.unpack(f"<{len(content) // 4}f", content))


def write(pack: Pack, path: Path) -> None:
    """Write a pack so that readers see all of it or none; InputError for one that is too large to draw from."""
    text = json.dumps({"version": VERSION, **asdict(pack)}, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MOST_BYTES:
        raise InputError(
            f"the pictures of {pack.model!r} take {len(text) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:g}"
        )
    replace_text(path, text + "\n")


def read(path: Path) -> Pack | None:
    """The pack of a file; None where there is none or an older version wrote it.

    Raises InputError, naming the file, where it is broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _pack(content) if content.pop("version") == VERSION else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"the pictures in {path.name} can't be read ({error})") from None


def _pack(content: dict[str, Any]) -> Pack:
    return Pack(
        model=str(content["model"]),
        weights_sha256=str(content["weights_sha256"]),
        calibration=str(content["calibration"]),
        heldout=str(content["heldout"]),
        shape=Shape(**content["shape"]),
        rows=tuple(WeightRow(**row) for row in content["rows"]),
        tiles=tuple(Tile(**tile) for tile in content["tiles"]),
        histograms=tuple(Histogram(**_frozen(one)) for one in content["histograms"]),
        training=_training(content["training"]),
        spectrum=Spectrum(**_frozen(content["spectrum"])),
        cloud=Cloud(**_frozen(content["cloud"])),
        scores=Scores(**_frozen(content["scores"])),
        next_words=tuple(NextWords(**_frozen(one)) for one in content["next_words"]),
        cuts=tuple(Cut(**_frozen(one)) for one in content["cuts"]),
        lesson=Lesson(
            tuple(Sentence(**_frozen(one)) for one in content["lesson"]["sentences"]),
            tuple(Speaker(**_frozen(one)) for one in content["lesson"]["speakers"]),
        ),
    )


def _training(content: dict[str, Any]) -> Training:
    return Training(**{**content, "widths": tuple(Trained(**_frozen(one)) for one in content["widths"])})


def _frozen(values: dict[str, Any]) -> dict[str, Any]:
    """The values with every list as a tuple, at any depth."""
    return {name: _tuples(value) for name, value in values.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
