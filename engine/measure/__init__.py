"""Measurements, one a file: each takes a model and gives metrics as `engine.metrics` defines them."""
