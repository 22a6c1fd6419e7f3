"""A compressed model on disk, and as a network again."""
