"""The engine's parts have an order, and each imports only what stands before it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ENGINE = Path(__file__).parents[1] / "engine"
README = ENGINE.parent / "README.md"

# The parts of the engine, those without needs first; parts of one line may need each other.
ORDER = (
    "errors",
    "paths stats typesetting layouts",
    "spec",
    "system",
    "outcome",
    "packages",
    "tasks",
    "perplexity_text",
    "metrics",
    "quantities pareto assets",
    "layers",
    "models network",
    "machine",
    "calibration",
    "blocks",
    "trials",
    "checkpoints",
    "methods",
    "measure",
    "store",
    "recorded",
    "analysis",
    "plots",
    "meeting",
    "running worker trial",
    "teaching",
    "cli",
    "__main__",
)
PLACES = {part: place for place, line in enumerate(ORDER) for part in line.split()}


def test_every_part_of_the_engine_has_its_place():
    parts = {path.stem for path in ENGINE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert parts - {"__init__"} == PLACES.keys()


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(ENGINE)} imports engine.{needed}"
        for path in sorted(ENGINE.rglob("*.py"))
        for needed in imported(path)
        if PLACES[needed] > PLACES.get(path.relative_to(ENGINE).parts[0].removesuffix(".py"), -1)
    ]
    assert wrong == []


def test_the_readme_lists_the_parts_in_their_order():
    tree = README.read_text(encoding="utf-8").split("\nengine/\n")[1].split("\nrequirements.txt")[0]
    parts = [name for name in re.findall(r"^  (\w+)[./]", tree, re.MULTILINE) if not name.startswith("__")]
    assert {*parts, "__main__"} == PLACES.keys()
    assert [PLACES[part] for part in parts] == sorted(PLACES[part] for part in parts)


def imported(path: Path) -> Iterator[str]:
    """The engine's parts that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module="engine", names=names):
                yield from (name.name for name in names if name.name in PLACES)
            case ast.ImportFrom(module=str(module)) if module.startswith("engine."):
                yield module.split(".")[1]
            case ast.Import(names=names):
                yield from (name.name.split(".")[1] for name in names if name.name.startswith("engine."))
