"""The store: the only SQL. Trials, their results, and the queue between the pages and the worker.

`Store` is what pages and the command line use: submit, cancel, retry, read. `Queue` is what the worker uses: claim,
report, finish. `Generations` are the prompts that results answer side by side, `Exports` the checkpoints that pages ask
for. SQLite by default; any database URL that SQLAlchemy knows will do.
"""

from engine.store.database import StoreError, StoreFullError
from engine.store.exports import Export, Exports
from engine.store.generations import Completion, Generation, Generations
from engine.store.items import ItemResult
from engine.store.queue import Job, Queue, Undecided
from engine.store.rows import Detail, SweepRow
from engine.store.states import StateError
from engine.store.store import Store
from engine.store.submission import DECIDED_BY, FIRST_SHARE, Submitted

__all__ = [
    "DECIDED_BY",
    "FIRST_SHARE",
    "Completion",
    "Detail",
    "Export",
    "Exports",
    "Generation",
    "Generations",
    "ItemResult",
    "Job",
    "Queue",
    "StateError",
    "Store",
    "StoreError",
    "StoreFullError",
    "Submitted",
    "SweepRow",
    "Undecided",
]
