"""Teaching packs: read without torch, whole or refused, and one that ships."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InputError
from engine.spec import DEFAULT_MODEL
from engine.teaching import pack, packs
from engine.teaching.pack import EVERY, SIDE, STEPS, Pack, floats, numbers

SHIPPED = packs.FOLDER / f"{DEFAULT_MODEL}.json"


@pytest.fixture
def shipped() -> Pack:
    found = packs.shipped(DEFAULT_MODEL)
    assert found is not None
    return found


def test_the_shipped_pack_is_small_and_holds_what_the_pages_draw(shipped: Pack) -> None:
    assert SHIPPED.stat().st_size < 400_000
    assert shipped.model == DEFAULT_MODEL
    assert {row.kind for row in shipped.rows} == {"outlier", "typical", "middle"}
    for row in shipped.rows:
        assert len(floats(row.values)) == SIDE
    for one in shipped.training.widths:
        assert len(floats(one.learnt)) == len(floats(one.heldout)) == STEPS // EVERY + 1
        assert len(floats(one.paths)) == len(one.columns) * (STEPS // EVERY + 1)
        assert one.gptq < floats(one.heldout)[0] > floats(one.heldout)[-1]
    for tile in shipped.tiles:
        assert len(floats(tile.values)) == tile.rows * tile.columns == SIDE**2
        assert len(floats(tile.input_norms)) == tile.columns
        assert len(floats(tile.neurons_magnitude)) == len(floats(tile.neurons_activated)) == tile.rows
    assert len(shipped.scores.layers) == len(shipped.scores.heads_magnitude) == shipped.shape.layers
    assert shipped.next_words[0].prompt == "She poured the milk into the"
    assert [sentence.tokens[sentence.label] for sentence in shipped.lesson.sentences] == [
        " glass", " Paris", " going", " little"
    ]  # fmt: skip
    for speaker in shipped.lesson.speakers:
        for sentence, logits in zip(shipped.lesson.sentences, speaker.logits, strict=True):
            assert len(floats(logits)) == len(sentence.tokens)


def test_its_outlier_is_one(shipped: Pack) -> None:
    outlier, typical, _ = shipped.rows
    weights = floats(outlier.values)
    size = (sum(w * w for w in weights) / len(weights)) ** 0.5
    assert outlier.outlier_ratio == pytest.approx(max(map(abs, weights)) / size, rel=1e-3)
    assert outlier.outlier_ratio > 2 * typical.outlier_ratio


def test_what_is_written_is_read(shipped: Pack, tmp_path: Path) -> None:
    pack.write(shipped, tmp_path / "a.json")
    assert pack.read(tmp_path / "a.json") == shipped
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_numbers_are_float32() -> None:
    assert floats(numbers([0.5, -2.0, 0.1])) == [0.5, -2.0, pytest.approx(0.1, abs=1e-8)]


def test_none_and_one_of_an_older_version_are_none(tmp_path: Path) -> None:
    assert pack.read(tmp_path / "none.json") is None
    older = {**json.loads(SHIPPED.read_text()), "version": pack.VERSION - 1}
    (tmp_path / "older.json").write_text(json.dumps(older))
    assert pack.read(tmp_path / "older.json") is None


@pytest.mark.parametrize(
    "text",
    ["not json", "[]", f'{{"version": {pack.VERSION}}}', f'{{"version": {pack.VERSION}, "model": "m", "shape": {{}}}}'],
)
def test_a_broken_one_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(InputError, match=r"broken\.json can't be read"):
        pack.read(tmp_path / "broken.json")


def test_one_that_is_too_large_is_not_written(shipped: Pack, tmp_path: Path) -> None:
    words = replace(shipped.next_words[0], prompt="x" * pack.MOST_BYTES)
    with pytest.raises(InputError, match="more than 5"):
        pack.write(replace(shipped, next_words=(words,)), tmp_path / "large.json")
    assert not list(tmp_path.iterdir())


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys; from engine.teaching import packs; assert packs.shipped('smollm2-135m-instruct'); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
