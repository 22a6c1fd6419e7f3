"""`run` and `worker`: their children's imports begin before their own, as each takes seconds, on a core of its own."""

import argparse

from engine.nursery import Nursery


def run(args: argparse.Namespace) -> int:
    """Measure one recipe here and now."""
    with Nursery() as nursery:
        nursery.load()
        from engine.cli import measuring

        return measuring.run(args, nursery)


def serve(args: argparse.Namespace) -> int:
    """Run the trials that wait in the store."""
    with Nursery() as nursery:
        nursery.load()
        from engine.cli import measuring

        return measuring.serve(args, nursery)
