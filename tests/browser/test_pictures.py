"""The pictures in a real Chromium: their numbers are the engine's, and they move before the reader lets go."""

import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from engine.methods.heads import whole_groups
from engine.methods.magnitude import smallest, smallest_in_groups
from engine.methods.rtn import quantize
from engine.spec import DEFAULT_MODEL
from engine.spec.prune import Heads, Neurons
from engine.spec.quantize import Rtn
from engine.spec.slicing import SliceGpt
from engine.teaching import packs
from engine.teaching.pack import floats
from pages.pictures.picture import script
from tests.browser.conftest import place, settle

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def run(page: Page, part: str, expression: str, **given: object) -> Any:
    """The value of an expression in which a picture's numbers and the names given are known."""
    names = ", ".join(given)
    code = f"{script(part)}\nconst {{ {names} }} = JSON.parse(arguments[0]);\nreturn {expression};"
    return page.evaluate("([code, given]) => new Function(code)(given)", [code, json.dumps(given)])


@pytest.fixture(scope="module")
def rows() -> list[list[float]]:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    return [floats(row.values) for row in made.rows]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("size", [16, 32, 64])
def test_rounding_is_the_engines(page: Page, rows: list[list[float]], size: int, symmetric: bool) -> None:
    for bits in (2, 3, 4, 5, 8):
        for row in rows:
            ours = quantize(torch.tensor([row]), Rtn(bits=bits, group_size=size, symmetric=symmetric))
            groups = run(
                page, "quantize/numbers.js", "rounded(values, bits, size, symmetric)",
                values=row, bits=bits, size=size, symmetric=symmetric,
            )  # fmt: skip
            points = [point for group in groups for point in group["points"]]
            assert points == ours.dequantize()[0].tolist()
            assert [group["grid"]["scale"] for group in groups] == ours.scales[0].tolist()


def test_bits_a_weight_count_the_scales(page: Page) -> None:
    found = run(page, "quantize/numbers.js", "[bitsPerWeight(4, 64, true), bitsPerWeight(4, 32, false, 1)]")
    assert found == [4.25, 4 + 20 / 32 + 0.5]


def test_masks_are_the_engines(page: Page) -> None:
    scores = torch.rand(8, 16, generator=torch.Generator().manual_seed(0)).mul(8).round().div(8)  # with ties
    flat = scores.flatten().tolist()
    scattered = run(page, "prune/numbers.js", "[...least(flat, 50)]", flat=flat)
    pattern = run(page, "prune/numbers.js", "[...within(flat, 4, 2)]", flat=flat)
    assert sorted(scattered) == smallest(scores, 50).flatten().nonzero().flatten().tolist()
    assert sorted(pattern) == smallest_in_groups(scores, 2, 4).flatten().nonzero().flatten().tolist()


@pytest.mark.parametrize(
    ("kind", "share", "numbers"),
    [
        ("scattered", 0.5, 134_515_008),
        ("layers", 0.1, 134_515_008 - 3 * 3_540_096),
        ("neurons", 0.25, 134_515_008 - 30 * 3 * 576 * 384),
        ("neurons", 0.2, 134_515_008 - 30 * 3 * 576 * 320),  # to the nearest multiple of 64
    ],
)
def test_stored_numbers_are_those_of_the_shape(page: Page, kind: str, share: float, numbers: int) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    found = run(page, "prune/numbers.js", "stored(size, kind, share)", size=vars(made.shape), kind=kind, share=share)
    assert found["numbers"] == numbers


@pytest.mark.parametrize(("kind", "share"), [("scattered", 0.5), ("2:4", 0.0)])
def test_the_bytes_of_zeros_are_those_that_were_measured(page: Page, kind: str, share: float) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    found = run(page, "prune/numbers.js", "stored(size, kind, share)", size=vars(made.shape), kind=kind, share=share)
    assert found["bytes"] == 176_132_736  # prune:magnitude,sparsity=0.5


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.65])
def test_whole_units_are_the_engines(page: Page, share: float) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    size = vars(made.shape)
    left = run(page, "prune/numbers.js", "neuronsLeft(size, share)", size=size, share=share)
    assert left == Neurons(fraction=share).width(made.shape.intermediate)
    scores = [score for layer in made.scores.heads_magnitude for score in layer]
    gone = run(page, "prune/numbers.js", "[...headsGone(size, scores, share)]", size=size, scores=scores, share=share)
    _, groups = Heads(fraction=share).left(made.shape.heads, made.shape.kv_heads)
    kept = set()
    for layer, heads in enumerate(made.scores.heads_magnitude):
        norms = torch.tensor(heads).view(made.shape.kv_heads, -1).norm(dim=1)
        queries, _ = whole_groups(norms, groups, made.shape.heads // made.shape.kv_heads)
        kept |= {layer * made.shape.heads + head for head in queries.tolist()}
    assert set(gone) == set(range(len(scores))) - kept


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.1, 0.2, 0.25, 0.3])
def test_widths_are_the_engines(page: Page, fraction: float) -> None:
    found = run(page, "slice/numbers.js", "widthLeft(576, fraction)", fraction=fraction)
    assert found == SliceGpt(fraction=fraction).width(576)


def test_a_slices_bytes_are_those_that_were_measured(page: Page) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    size = vars(made.shape)
    forms = "['one', 'published'].map((form) => Object.values(bytesOf(size, width, form)).reduce((a, b) => a + b))"
    dense, sliced = (run(page, "slice/numbers.js", forms, size=size, width=width) for width in (576, 456))
    assert dense == [269_030_016, 269_030_016]
    assert sliced[0] == 213_397_968  # slice:slicegpt,fraction=0.2 in the recorded results
    assert sliced[1] == sliced[0] + 2 * (49_152 * 456 + 59 * 456**2)


@pytest.mark.parametrize("direction", ["teacher", "student"])
@pytest.mark.parametrize(("temperature", "mix"), [(1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (2.5, 0.3), (4.0, 1.0)])
def test_divergences_losses_and_pushes_are_those_of_numpy_and_of_autograd(
    page: Page, temperature: float, mix: float, direction: str
) -> None:
    made = packs.shipped(DEFAULT_MODEL)
    assert made is not None
    label, (teacher, *students) = made.lesson.sentences[0].label, made.lesson.speakers
    setting = {"temperature": temperature, "mix": mix, "direction": direction}
    for one in students:
        given = [np.array(floats(speaker.logits[0])) for speaker in (teacher, one)]
        found = run(
            page, "distil/numbers.js", "lesson(teacher, student, label, setting)",
            teacher=given[0].tolist(), student=given[1].tolist(), label=label, setting=setting,
        )  # fmt: skip
        p, q, sharp = (
            np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            for z in (given[0] / temperature, given[1] / temperature, given[1])
        )
        assert found["q"] == pytest.approx(q.tolist())
        assert found["forward"] == pytest.approx(float(np.sum(p * np.log(p / q))))
        assert found["reverse"] == pytest.approx(float(np.sum(q * np.log(q / p))))
        assert found["hard"] == pytest.approx(-float(np.log(sharp[label])))
        student = torch.tensor(given[1], requires_grad=True)
        told, says = torch.tensor(p), (student / temperature).softmax(0)
        apart = (told * (told / says).log()).sum() if direction == "teacher" else (says * (says / told).log()).sum()
        loss = (1 - mix) * -student.log_softmax(0)[label] + mix * temperature**2 * apart
        loss.backward()
        assert student.grad is not None
        assert found["loss"] == pytest.approx(float(loss.detach()))
        assert found["push"] == pytest.approx((-student.grad).tolist(), abs=1e-9)


def test_the_words_that_are_shown_hold_the_label_and_both_sides_favourites(page: Page) -> None:
    words = "shownWords([5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 9], 3, 2, 1)"
    assert run(page, "distil/numbers.js", words) == [0, 1, 3, 5]
    assert run(page, "distil/numbers.js", "covered([0, 0], Math.log(4))") == pytest.approx(0.5)


_TO_ITS_START = """(slider) => {
  slider.value = slider.min;
  slider.dispatchEvent(new Event("input"));
  return slider.closest(".kp-picture").innerText;
}"""


def test_a_picture_moves_while_dragging_and_settles_at_rest_and_on_release(page: Page, address: str) -> None:
    page.goto(f"{address}/quantize")
    bits = page.get_by_role("slider", name="Bits a weight")
    expect(bits).to_be_visible()
    assert "64 weights on 4 points" in bits.evaluate(_TO_ITS_START)  # before anything can have been sent
    expect(page.get_by_text("Try it: 2-bit")).to_be_visible()
    page.wait_for_url("**/quantize?bits=2")
    settle(page)
    box = place(bits)
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, middle, steps=5)
    steps = page.evaluate("history.length")
    expect(page.get_by_text("Try it: 8-bit")).to_be_visible()
    assert page.url.endswith("?bits=2"), "the address waits until the reader lets go"
    page.mouse.up()
    page.wait_for_url("**/quantize?bits=8")
    assert page.evaluate("history.length") == steps + 1
    bits.press("ArrowLeft")
    expect(page.get_by_text("64 weights on 128 points").first).to_be_visible()


def test_a_training_plays_pauses_and_stands_still_for_readers_who_want_no_motion(page: Page, address: str) -> None:
    page.goto(f"{address}/quantize")
    steps = page.get_by_role("slider", name="Training steps")
    expect(steps).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Play").press("Enter")
    expect(steps).not_to_have_value("0")
    page.get_by_role("button", name="Pause").press("Enter")
    page.wait_for_url("**step=**")
    stood = int(steps.input_value())
    assert 0 < stood < 300
    steps.press("ArrowRight")
    page.wait_for_url(f"**step={stood + 3}")
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{address}/quantize?trained=2")
    page.get_by_role("button", name="Show the end").press("Enter")
    page.wait_for_url("**step=300**")
    page.emulate_media(reduced_motion="no-preference")


def test_measured_results_answer_while_dragging_too_and_move_nothing(page: Page, address: str) -> None:
    answers = (
        ("", "My memory budget", "Nothing measured fits", "budget"),
        ("ten_times", "Go down the ladder", "what every step is compared with", "step"),
    )
    for path, name, says, kept in answers:
        page.goto(f"{address}/{path}")
        slider, shown = page.get_by_role("slider", name=name), page.locator(".kp-stack > .kp-shown")
        expect(shown.locator(".kp-figures")).to_be_visible()
        settle(page)
        lies = place(shown)
        assert says in slider.evaluate(_TO_ITS_START)
        assert place(shown) == lies
        page.wait_for_url(f"**{kept}=**")


_COLOURS = """async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const paper = new OffscreenCanvas(image.width, image.height).getContext("2d");
  paper.drawImage(image, 0, 0);
  const pixels = new Uint32Array(paper.getImageData(0, 0, image.width, image.height).data.buffer);
  return [image.width, new Set(pixels).size];
}"""


def test_a_picture_and_a_table_can_be_taken_along(page: Page, address: str) -> None:
    page.goto(f"{address}/prune")
    picture = page.locator(".kp-picture").first
    expect(picture.locator("canvas").first).to_be_visible()
    with page.expect_download() as taken:
        picture.get_by_role("button", name="Save as picture").click()
    assert taken.value.suggested_filename == "kneepoint-prune-mask.png"
    width, colours = page.evaluate(_COLOURS, b64encode(taken.value.path().read_bytes()).decode())
    assert width == 2 * (picture.evaluate("node => node.clientWidth") + 32)
    assert colours > 200  # the tile's own shades are in it, beside the text's
    page.goto(f"{address}/slice")
    settle(page)
    page.wait_for_function("performance.getEntriesByType('resource').some(read => /PlotlyChart/.test(read.name))")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save the table as CSV").first.click()
    lines = taken.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == '"Width cut","Perplexity","First","Second","Third"'
    assert len(lines) == 1 + page.locator(".kp-table").first.locator("tbody tr").count()
