"""`run` and `worker`: their children's imports begin before their own, as each takes seconds, on a core of its own."""

import argparse
from collections.abc import Callable

from engine.running.nursery import Nursery


def run(args: argparse.Namespace) -> int:
    """Measure one recipe here and now."""
    return _measuring("run", args)


def serve(args: argparse.Namespace) -> int:
    """Run the trials that wait in the store."""
    return _measuring("serve", args)


def _measuring(name: str, args: argparse.Namespace) -> int:
    """What `measuring` does under that name."""
    with Nursery() as nursery:
        nursery.load()
        from engine.cli import measuring

        command: Callable[[argparse.Namespace, Nursery], int] = getattr(measuring, name)
        return command(args, nursery)
