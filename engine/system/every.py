"""What is done at most once in a while."""

import time


class Every:
    """Says True when called, and then not before `seconds` have passed."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.at = seconds, float("-inf")

    def __call__(self) -> bool:
        if (now := time.monotonic()) - self.at < self.seconds:
            return False
        self.at = now
        return True
