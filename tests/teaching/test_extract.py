"""What a pack takes from a model: by rule, the same each time, and true of the weights."""

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from engine import methods, models
from engine.methods.importance import unit_scores
from engine.models import LanguageModel
from engine.spec import parse
from engine.teaching import next_words, shown_weights, straight_through, stream, students
from engine.teaching.extract import extract
from engine.teaching.pack import EVERY, Pack, floats


def quiet(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def _short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole ones are test_straight_through's."""
    monkeypatch.setattr(straight_through, "STEPS", 2 * EVERY)


@pytest.fixture
def made(tiny_llama: LanguageModel, windows: Tensor) -> Pack:
    return extract(tiny_llama, windows, windows[:1], quiet)


def test_the_same_model_gives_the_same_pack(made: Pack, tiny_llama: LanguageModel, windows: Tensor) -> None:
    assert asdict(extract(tiny_llama, windows, windows[:1], quiet)) == asdict(made)


def test_it_knows_every_family(each_family: LanguageModel, windows: Tensor) -> None:
    made = extract(each_family, windows, windows[:1], quiet)
    assert (made.shape.tied, made.shape.mlp_matrices) == (each_family.anatomy.tied, 3)
    assert len(made.scores.heads_activated) == 4
    assert len(made.scores.heads_activated[0]) == 16


@pytest.mark.parametrize("family", ["phi", "gpt2"])
def test_a_model_that_can_t_be_turned_has_every_picture_but_of_cuts(tiny_model, windows: Tensor, family: str) -> None:
    made = extract(tiny_model(family), windows, windows[:1], quiet)
    assert made.cuts == ()
    assert (made.shape.kv_heads, made.shape.mlp_matrices) == {"phi": (4, 2), "gpt2": (8, 2)}[family]
    assert made.spectrum.what == f"the inputs of all {4 if family == 'phi' else 7} norms, normalised"
    assert not any("slice" in speaker.recipe for speaker in made.lesson.speakers)


def test_it_leaves_the_model_as_it_came(tiny_llama: LanguageModel, windows: Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_llama.network.state_dict().items()}
    extract(tiny_llama, windows, windows[:1], quiet)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_llama.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in tiny_llama.network.parameters())


def test_rows_and_tiles_are_the_weights_they_name(made: Pack, tiny_llama: LanguageModel) -> None:
    layers = dict(tiny_llama.anatomy.linears())
    for row in made.rows:
        weight = layers[row.tensor].get_parameter("weight")
        assert floats(row.values) == weight[row.row, row.column : row.column + 64].tolist()
    for tile in made.tiles:
        weight = layers[tile.tensor].get_parameter("weight")
        cut = weight[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]
        assert floats(tile.values) == cut.flatten().tolist()
        carrying = layers[tile.tensor.replace("gate_proj", "down_proj")].get_parameter("weight")
        assert floats(tile.neurons_magnitude) == pytest.approx(carrying[:, : tile.rows].norm(dim=0).tolist())


def test_a_neuron_is_scored_as_the_method_scores_it(made: Pack, tiny_llama: LanguageModel, windows: Tensor) -> None:
    for tile in made.tiles:
        for rule, scores in (("magnitude", tile.neurons_magnitude), ("wanda", tile.neurons_activated)):
            every = unit_scores(tiny_llama, "mlp.down_proj", 1, rule, windows, quiet)
            assert floats(scores) == pytest.approx(every[tile.block][: tile.rows].tolist(), rel=1e-5)


def test_the_outlier_row_is_the_most_outlying_of_all(made: Pack, tiny_llama: LanguageModel) -> None:
    ratios = [shown_weights.outlier_ratios(layer.get_parameter("weight")) for _, layer in tiny_llama.anatomy.linears()]
    assert made.rows[0].outlier_ratio == pytest.approx(max(float(one.max()) for one in ratios), rel=1e-3)


def test_an_outlier_counts_whatever_its_sign() -> None:
    weight = torch.ones(1, 128)
    weight[0, 3] = -8.0
    expected = 8 / ((63 + 64) / 64) ** 0.5
    assert shown_weights.outlier_ratios(weight)[0].tolist() == [pytest.approx(expected), 1.0]


def test_the_cloud_is_the_norms_activations_without_first_tokens(tiny_llama: LanguageModel, windows: Tensor) -> None:
    made = stream.cloud(tiny_llama.anatomy, windows, quiet)
    seen: list[Tensor] = []
    norm = tiny_llama.network.get_submodule(made.tensor)
    hook = norm.register_forward_pre_hook(lambda module, args: seen.append(args[0][0, 1:]))
    with torch.inference_mode():
        for window in windows:
            tiny_llama.network(input_ids=window.unsqueeze(0))
    hook.remove()
    x = torch.cat(seen)
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    x = x - x.mean(0)
    first, second = made.coordinates
    torch.testing.assert_close(torch.tensor(floats(made.x)), x[:, first], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.tensor(floats(made.y)), x[:, second], rtol=1e-4, atol=1e-4)


def test_histograms_count_every_weight(made: Pack, tiny_llama: LanguageModel) -> None:
    layers = dict(tiny_llama.anatomy.linears())
    for histogram in made.histograms[:-1]:
        assert sum(histogram.counts) == layers[histogram.tensor].get_parameter("weight").numel()
    assert sum(made.histograms[-1].counts) == 264 * 64


def test_the_spectrum_is_shares_and_the_turn_gathers_them(made: Pack) -> None:
    turned, plain = made.spectrum.turned, made.spectrum.plain
    assert sum(turned) == pytest.approx(1, abs=0.01)
    assert sum(plain) == pytest.approx(1, abs=0.01)
    assert all(sum(turned[:k]) >= sum(plain[:k]) - 1e-3 for k in range(64))


def test_the_principal_angle_is_that_of_the_longest_axis() -> None:
    points = torch.tensor([[1.0, 1.0], [-2.0, -2.0], [0.1, -0.1]], dtype=torch.float64)
    assert stream.principal_angle(points) == pytest.approx(torch.pi / 4)


def test_the_two_that_go_together_are_found_with_either_sign() -> None:
    x = torch.tensor([[1.0, 0.0, -2.0], [-1.0, 1.0, 2.0], [1.0, -1.0, -2.0], [-1.0, 0.0, 2.0]], dtype=torch.float64)
    assert stream.most_related(x) == (0, 2)


def test_a_turn_changes_no_next_word_and_a_cut_does(made: Pack) -> None:
    cuts = {(cut.fraction, cut.turned): cut for cut in made.cuts}
    whole, turned = cuts[0.0, False], cuts[0.0, True]
    assert [word for word, _ in whole.words[0]] == [word for word, _ in turned.words[0]]
    assert whole.perplexity == pytest.approx(turned.perplexity, rel=2e-3)
    assert [word for word, _ in whole.words[0]] == list(made.next_words[0].tokens[:5])
    assert cuts[0.25, True].perplexity != pytest.approx(whole.perplexity, rel=2e-3)


def test_the_lesson_is_what_each_speaker_says(made: Pack, tiny_llama: LanguageModel) -> None:
    lesson = made.lesson
    assert [speaker.recipe.split(",")[0] for speaker in lesson.speakers] == [
        "dense", "quantize:rtn", "quantize:rtn", "slice:slicegpt", "prune:layers"
    ]  # fmt: skip
    for place, sentence in enumerate(lesson.sentences):
        logits = next_words.logits_after(tiny_llama, sentence.prompt)
        teacher = lesson.speakers[0]
        said = floats(teacher.logits[place])
        assert said == sorted(said, reverse=True)
        assert set(logits.topk(students.TOP).values.tolist()) <= set(said)
        assert len(sentence.tokens) == len(said) > sentence.label
        assert teacher.log_totals[place] == pytest.approx(float(logits.logsumexp(0)), abs=1e-4)
        whole = sentence.prompt + students.WORDS[place]
        tokens = tiny_llama.tokenizer(whole)["input_ids"]
        label = tokens[len(tiny_llama.tokenizer(sentence.prompt)["input_ids"])]
        assert said[sentence.label] == float(logits[label])


def test_a_student_is_the_model_after_its_recipe(made: Pack, tiny_llama: LanguageModel, windows: Tensor) -> None:
    for student in made.lesson.speakers[1:]:
        model = models.load(tiny_llama.source)
        methods.compress(model, parse(student.recipe), windows, quiet)
        logits = next_words.logits_after(model, made.lesson.sentences[0].prompt)
        said = floats(student.logits[0])
        assert set(logits.topk(students.TOP).values.tolist()) <= set(said)
        assert said != floats(made.lesson.speakers[0].logits[0])


def test_students_that_do_not_fit_are_left_out(tiny_llama: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [parse("quantize:rtn,bits=4,group_size=24"), parse("quantize:rtn,bits=4")]
    monkeypatch.setattr(students, "recipes", lambda anatomy: wanted)
    made = students.lesson(lambda: models.load(tiny_llama.source), torch.zeros(1, 8, dtype=torch.long), quiet)
    assert [speaker.recipe for speaker in made.speakers] == ["dense", wanted[1].text]
