"""The store's tables; whoever changes them raises `engine.store.version.VERSION`.

A trial's metrics are one JSON text in its row, not a row for each: the dashboard reads thousands of trials at once and
never asks the database for a single metric. Every change of a trial stamps it with the revision, so that what was read
before need not be read again. Items, texts, profiles, tracebacks and logs are large and seldom read, so they have
tables of their own. Times are seconds since the epoch.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    select,
    true,
)

metadata = MetaData()

# name "version": the schema's; "revision": raised by every change that pages must see; "position": end of the queue.
meta = Table(
    "meta",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Integer, nullable=False),
)

_revision = select(meta.c.value).where(meta.c.name == "revision").scalar_subquery()

trials = Table(
    "trials",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("number", Integer, nullable=False),  # in the order they were first submitted
    Column("changed", Integer, nullable=False, default=_revision, onupdate=_revision),
    Column("comparison_id", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("protocol", Text, nullable=False),  # JSON
    Column("content", Text, nullable=False),  # JSON of Trial.to_dict
    Column("state", String(16), nullable=False),
    Column("position", Integer, nullable=False),  # in the queue; lower runs first
    Column("asked", Text, nullable=False),  # measures, joined by commas
    Column("measured", Text, nullable=False, default=""),  # those of them whose results are complete
    Column("owner", String(32)),  # the worker that runs it
    Column("attempts", Integer, nullable=False, default=0),  # claims since it was queued by a person
    Column("metrics", Text, nullable=False, default="{}"),  # JSON
    Column("reasons", Text, nullable=False, default="{}"),  # JSON: why a metric is null
    Column("notes", Text, nullable=False, default="{}"),  # JSON by what said them, see engine.store.notes
    Column("environment", Text, nullable=False, default="{}"),  # JSON
    Column("simulated", Boolean, nullable=False, default=False),
    Column("reason", Text, nullable=False, default=""),  # of a failure
    Column("share", Float),  # of the questions, asked so far in an anytime sweep; null asks them all
    Column("stopped_at", Integer),  # questions answered, where they are not all
    Column("left_out_by", String(16)),  # the trial that is surely as good and no larger
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),  # of one that went on after it was done: as if there had been no break
    Column("finished_at", Float),
    Index("trials_by_state", "state", "position"),
    Index("trials_by_change", "changed"),
)

failures = Table(
    "failures",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("traceback", Text, nullable=False),
    Column("log", Text, nullable=False),
)

items = Table(
    "items",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("task", String(64), primary_key=True),
    Column("results", LargeBinary, nullable=False),  # deflated JSON, see engine.store.items
)

texts = Table(
    "texts",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("texts", LargeBinary, nullable=False),  # deflated JSON, see engine.store.texts
)

# Results that are more than a number, such as an error for every block; what is in one, its name says.
profiles = Table(
    "profiles",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("content", Text, nullable=False),  # JSON
)

progress = Table(
    "progress",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("stage", Text, nullable=False),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("seconds_left", Float),
)

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("tolerance", Float),  # of an anytime sweep: accuracy that decides nothing, in [0, 1)
    Column("settled", Boolean, nullable=False, default=True, server_default=true()),  # nothing is left to be decided
)

sweep_trials = Table(
    "sweep_trials",
    metadata,
    Column("sweep_id", ForeignKey("sweeps.id"), primary_key=True),
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("place", Integer, nullable=False),  # in the sweep's own order
)

cancel_requests = Table(
    "cancel_requests",
    metadata,
    Column("trial_id", ForeignKey("trials.id"), primary_key=True),
    Column("created_at", Float, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# A prompt that results side by side answer live; asked by a page, answered by the lane (see engine.running.lane).
generations = Table(
    "generations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("names", Text, nullable=False),  # of the results, joined by commas
    Column("prompt", Text, nullable=False),
    Column("chat", Boolean, nullable=False),
    Column("most_tokens", Integer, nullable=False),
    Column("stop_asked", Boolean, nullable=False, default=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Index("generations_by_names", "names"),
)

completions = Table(
    "completions",
    metadata,
    Column("generation_id", ForeignKey("generations.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("content", Text, nullable=False),  # JSON of Trial.to_dict
    Column("state", String(16), nullable=False, default="waiting"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("paused", Boolean, nullable=False, default=False),  # while a timing has the machine
    Column("done", Integer, nullable=False, default=0),  # units of the state's work
    Column("total", Integer, nullable=False, default=0),
    Column("pieces", Text, nullable=False, default="[]"),  # JSON: what each token adds to the text
    Column("decode_s", Float, nullable=False, default=0.0),  # all tokens after it
    Column("ended", Boolean, nullable=False, default=False),  # by an end-of-text token
    Column("note", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),  # of a failure
)

# A result's checkpoint in one format; asked by a page, written by the lane into a folder of its choice.
exports = Table(
    "exports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),  # of the result
    Column("content", Text, nullable=False),  # JSON of Trial.to_dict
    Column("format", String(16), nullable=False),
    Column("card", Text, nullable=False),  # its README
    Column("state", String(16), nullable=False, default="waiting"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("stage", Text, nullable=False, default=""),
    Column("done", Integer, nullable=False, default=0),  # units of the stage's work
    Column("total", Integer, nullable=False, default=0),
    Column("stop_asked", Boolean, nullable=False, default=False),
    Column("folder", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),  # of a failure
    Column("created_at", Float, nullable=False),
    Index("exports_by_name", "name"),
)
