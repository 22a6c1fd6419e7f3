"""What is asked: settings of every method, recipes, protocols, trials and sweeps. Importable without torch."""

from engine.spec.fit import length_notes, refuse_length, refuse_misfits, refuse_plain, refuse_unknown
from engine.spec.protocol import KNOWN_MEASURES, MEASURES, TASK_GROUPS, Protocol, Trial, parse_measures, parse_tasks
from engine.spec.recipe import DENSE, METHODS, Recipe, parse
from engine.spec.setting import Range, Settings
from engine.spec.sweep import DEFAULT_MODEL, Sweep, load_sweep, make_sweep

__all__ = [
    "DEFAULT_MODEL",
    "DENSE",
    "KNOWN_MEASURES",
    "MEASURES",
    "METHODS",
    "TASK_GROUPS",
    "Protocol",
    "Range",
    "Recipe",
    "Settings",
    "Sweep",
    "Trial",
    "length_notes",
    "load_sweep",
    "make_sweep",
    "parse",
    "parse_measures",
    "parse_tasks",
    "refuse_length",
    "refuse_misfits",
    "refuse_plain",
    "refuse_unknown",
]
