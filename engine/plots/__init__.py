"""Rows to figures, in two steps: what is drawn where (`front_data`), then plotly (`front_figure`)."""

from engine.plots.figure import front_figure
from engine.plots.marks import PLAIN, Extras, FrontData, Mark, front_data
from engine.plots.palette import FAMILIES, THEMES

Y_CHOICES = ("accuracy", "accuracy_norm", "top1_agreement", "perplexity")

__all__ = [
    "FAMILIES",
    "PLAIN",
    "THEMES",
    "Y_CHOICES",
    "Extras",
    "FrontData",
    "Mark",
    "front_data",
    "front_figure",
]
