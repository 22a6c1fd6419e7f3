"""The version of a store's tables, and the steps from each older version to the next."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect, select, text, update
from sqlalchemy.schema import CreateColumn

from engine.errors import InputError
from engine.store.schema import completions, exports, generations, meta, metadata, profiles, texts, trials

VERSION = 5
_ADDED_IN_2 = {"trials": ("share", "stopped_at", "left_out_by"), "sweeps": ("tolerance", "settled")}


def _from_1(connection: Connection) -> None:
    """Version 2 keeps greedy texts, how far an anytime sweep has come, and prompts that are answered live.

    The texts belong to what perplexity measures, so where it was measured without keeping them it counts as missing:
    asked for again, that measure alone is run, and the results stay meanwhile.
    """
    metadata.create_all(connection, tables=[texts, generations, completions])
    for table, names in _ADDED_IN_2.items():
        for name in names:
            column = CreateColumn(metadata.tables[table].c[name]).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column}"))
    for measured in connection.scalars(select(trials.c.measured).distinct()).all():
        left = ",".join(measure for measure in measured.split(",") if measure != "perplexity")
        if left != measured:
            connection.execute(update(trials).where(trials.c.measured == measured).values(measured=left))


def _from_2(connection: Connection) -> None:
    """Version 3 keeps profiles."""
    metadata.create_all(connection, tables=[profiles])


def _from_3(connection: Connection) -> None:
    """Version 4 keeps the checkpoints that were asked for."""
    metadata.create_all(connection, tables=[exports])


def _from_4(connection: Connection) -> None:
    """Version 5 keeps notes by what said them; of those that are there it is not known."""
    connection.execute(update(trials).values(notes='{"": ' + trials.c.notes + "}"))


Migration = Callable[[Connection], None]
MIGRATIONS: dict[int, Migration] = {1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4}  # version -> the step to the next


def prepare(
    connection: Connection, name: str, migrations: Mapping[int, Migration] = MIGRATIONS, version: int = VERSION
) -> None:
    """Make the tables in an empty database, or bring an older store to `version`, step by step.

    name: the store as messages call it. Runs inside the caller's transaction, so a step that fails leaves the store as
    it was. Raises InputError for a store of a newer version, one too old to migrate, and a database of something else.
    """
    tables = set(inspect(connection).get_table_names())
    if not tables:
        metadata.create_all(connection)
        values = {"version": version, "revision": 0, "position": 0}
        connection.execute(meta.insert(), [{"name": key, "value": value} for key, value in values.items()])
        return
    for step in range(_known_version(connection, name, tables, version), version):
        if step not in migrations:
            raise InputError(
                f"the store {name} has version {step}, which this Kneepoint can no longer read; give another"
            )
        migrations[step](connection)
        connection.execute(update(meta).where(meta.c.name == "version").values(value=step + 1))


def refuse_older(connection: Connection, name: str) -> None:
    """Raise InputError where the tables, which can't be changed, are not those of this version."""
    found = _known_version(connection, name, set(inspect(connection).get_table_names()), VERSION)
    if found < VERSION:
        raise InputError(
            f"the store {name} was written by an older Kneepoint (its version is {found}, this one's {VERSION}) and "
            "can't be brought up to date where it is, as it is read-only; copy it to a folder that you can write"
        )


def _known_version(connection: Connection, name: str, tables: set[str], version: int) -> int:
    """The version of a store, up to `version`; raises InputError for a newer one and a database of something else."""
    found = _version(connection, tables)
    if found is None:
        raise InputError(
            f"{name} is a database, but no store of Kneepoint; give another with --store or KNEEPOINT_STORE"
        )
    if found > version:
        raise InputError(
            f"the store {name} was written by a newer Kneepoint (its version is {found}, this one reads "
            f"up to {version}); update Kneepoint or give another with --store or KNEEPOINT_STORE"
        )
    return found


def _version(connection: Connection, tables: set[str]) -> int | None:
    if "meta" not in tables or {c["name"] for c in inspect(connection).get_columns("meta")} != {"name", "value"}:
        return None
    value = connection.execute(select(meta.c.value).where(meta.c.name == "version")).scalar()
    return value if isinstance(value, int) else None
