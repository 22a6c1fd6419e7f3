"""The one walk over the blocks, and what it gathers of each."""
