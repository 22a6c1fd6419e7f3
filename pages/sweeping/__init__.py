"""The parts of New sweep."""
