"""What a meeting decides on: the picks it looks at, its margin, its memory and its price."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What picks and costs are made for; the picks are kinds or trial ids, the first is the recommendation."""

    picks: tuple[str, ...] = ("knee", "within")
    points: float = 2.0  # how far below the original the quality may lie
    memory_gb: float = 1.0  # 10^9 bytes
    price_per_hour: float = 0.1  # of the machine, in any currency

    @property
    def memory_bytes(self) -> float:
        return self.memory_gb * 1e9
