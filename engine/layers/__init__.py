"""Modules that hold packed weights and run on them."""
