"""Trials that a store is filled with, and moves that several tests make."""

from engine.store import Job, Queue, Store, schema
from tests.fake_trial import made

DENSE, EIGHT, FOUR = made(), made(8), made(4)


def claimed(queue: Queue) -> Job:
    job = queue.claim()
    assert job is not None
    return job


def done(store: Store, queue: Queue, *trials, measures=("size",)) -> None:
    store.submit(trials, measures)
    while job := queue.claim():
        queue.finish(job)


def set_version(store: Store, version: int) -> None:
    with store.database.write() as connection:
        which = schema.meta.c.name == "version"
        connection.execute(schema.meta.update().where(which).values(value=version))
