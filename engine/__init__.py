"""Kneepoint's engine: compress a language model for real, measure it, and read the trade-off off a front.

The flow has one direction: spec -> compress -> measure -> store -> analyse -> plot. Each part imports only what stands
before it, in the order of `tests/test_flow.py`.
The engine never imports Streamlit, and everything the web process uses is importable without torch.
"""

__version__ = "0.1.0"
