"""The dense model's side of comparisons on disk: exact, whole or not at all, and bounded."""

import os
from pathlib import Path

import pytest
import torch

from engine.measure import references
from engine.measure.references import Reference, compact, load, save

POSITIONS, WRITTEN = (3, 7), (5, 4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KNEEPOINT_CACHE", str(tmp_path))


def make(states: bool = True) -> Reference:
    torch.manual_seed(0)
    return Reference(
        argmax=torch.randint(0, 50_000, POSITIONS),
        loss=torch.rand(POSITIONS),
        states=compact(torch.randn(*POSITIONS, 16)) if states else None,
        continuations=torch.randint(0, 50_000, WRITTEN),
    )


@pytest.mark.parametrize("states", [True, False])
def test_what_is_saved_comes_back_exactly(states):
    kept = make(states)
    assert load("a", POSITIONS, WRITTEN) is None
    save("a", kept)
    found = load("a", POSITIONS, WRITTEN)
    assert found is not None
    for ours, theirs in zip(found, kept, strict=True):
        assert ours is theirs is None or torch.equal(ours, theirs)


def test_other_shapes_count_as_not_kept():
    save("a", make())
    assert load("a", (3, 8), WRITTEN) is None
    assert load("a", (4, 7), WRITTEN) is None
    assert load("a", POSITIONS, (6, 4)) is None
    save("b", make()._replace(states=torch.zeros(3, 6, 16)))
    assert load("b", POSITIONS, WRITTEN) is None


def test_a_broken_file_counts_as_not_kept():
    save("a", make())
    path = references._path("a")
    path.write_bytes(path.read_bytes()[:40])
    assert load("a", POSITIONS, WRITTEN) is None
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing partial is left


def test_states_are_halved_unless_a_number_is_too_large():
    assert compact(torch.tensor([1.5, -3e4])).dtype is torch.float16
    large = torch.tensor([1.5, 7e4])
    assert torch.equal(compact(large), large)


def test_one_that_does_not_fit_leaves_no_part(monkeypatch):
    def fill(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(references, "save_file", fill)
    with pytest.raises(OSError, match="No space left"):
        save("a", make())
    assert not list(references._path("a").parent.iterdir())


def test_those_not_used_for_longest_go_when_the_rest_is_over_budget(monkeypatch):
    save("a", make())
    size = references._path("a").stat().st_size
    monkeypatch.setattr(references, "BUDGET_BYTES", 2 * size)
    for age, name in ((300, "b"), (200, "c")):
        save(name, make())
        os.utime(references._path(name), (1e9 - age, 1e9 - age))
    os.utime(references._path("a"), (1e9 - 1000, 1e9 - 1000))
    assert load("a", POSITIONS, WRITTEN) is not None  # used just now
    save("d", make())
    assert sorted(path.stem for path in references._path("d").parent.iterdir()) == ["a", "c", "d"]


def test_a_reference_over_the_budget_is_kept_while_it_is_the_newest(monkeypatch):
    monkeypatch.setattr(references, "BUDGET_BYTES", 10)
    save("a", make())
    save("b", make())
    assert load("b", POSITIONS, WRITTEN) is not None
    assert load("a", POSITIONS, WRITTEN) is None
