"""Made-up sensitivities of a small model."""

import numpy as np

from engine.outcome.sensitivity import WAYS, Sensitivity, Way


def made(seed: int = 0, blocks: int = 4, group_size: int = 32, unit: int = 64) -> Sensitivity:
    """Blocks of different sizes, each some units of weights; at two bits the last one's numbers overflowed."""
    random = np.random.default_rng(seed)
    sizes = random.integers(3, 9, blocks) * unit
    ways = []
    for kind, amount in WAYS:
        harm = 4.0**-amount if kind == "bits" else 0.1 * amount
        loss = [float(x) for x in random.random(blocks) * harm]
        stored = sizes * int(amount) if kind == "bits" else ()
        overflowed = (kind, amount) == ("bits", 2)
        ways.append(Way(kind, amount, (*loss[:-1], None if overflowed else loss[-1]), tuple(map(int, stored))))
    return Sensitivity(tuple(ways), tuple(map(int, sizes * 16)), 1000, group_size, 4, 16, 32)
