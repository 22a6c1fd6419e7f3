"""The README is held to the code: its tree is the tree, and its recipes and sweep parse."""

import re
from pathlib import Path

from engine.analysis.mixed import propose, recipe_of
from engine.outcome.sensitivity import NAME, Sensitivity
from engine.recorded import entries
from engine.spec import make_sweep, parse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def listed_files() -> set[str]:
    """The paths of the tree in the README, from its indentation."""
    block = README.split("## The tree")[1].split("```")[1]
    folders: list[str] = []
    files = set()
    for line in filter(None, (line.split("  #")[0].rstrip() for line in block.splitlines())):
        name = line.strip()
        folders = folders[: (len(line) - len(line.lstrip())) // 2]
        if name.endswith("/"):
            folders.append(name)
        else:
            files.add("".join(folders) + name)
    return files


def test_the_tree_names_every_module_and_nothing_else() -> None:
    modules = {
        str(path.relative_to(ROOT))
        for top in ("engine", "pages")
        for path in (ROOT / top).rglob("*.py")
        if path.name != "__init__.py" or path.stat().st_size > 200
    }
    listed = listed_files()
    assert {name for name in listed if not (ROOT / name).exists()} == set()
    assert modules - listed == set()


def test_its_pictures_are_there() -> None:
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_every_recipe_in_the_readme_parses() -> None:
    recipes = re.findall(r"engine run \"([^\"]+)\"", README)
    assert recipes
    for text in recipes:
        assert parse(text).steps


def test_the_budget_in_the_readme_has_room_for_a_mixture_of_the_default_model() -> None:
    budget = re.search(r"engine mixed --megabytes (\d+)", README)
    measured = [entry.kept.profiles[NAME] for entry in entries().values() if NAME in entry.kept.profiles]
    assert budget is not None
    assert measured
    for profile in measured:
        found = Sensitivity.from_dict(profile)
        assert recipe_of(found, propose(found, float(budget[1]) * 1e6, tuple(found.bits))).steps


def test_the_sweep_in_the_readme_expands() -> None:
    import yaml

    block = re.search(r"\n    model: .*?\n\n", README, flags=re.DOTALL)
    assert block is not None
    sweep = make_sweep(yaml.safe_load(block[0].replace("\n    ", "\n")))
    assert len(sweep.recipes) == 1 + 2 + 6
