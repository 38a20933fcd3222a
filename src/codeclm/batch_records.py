"""Batches under way at a provider, as the journal's file remembers them.

Contract. A batch is recorded, with every call in it, before the request that may create it is sent; its ``id`` follows
when the provider has named it. A call leaves its batch when its answer is in the journal, or when it is owed again. So
whatever moment a process is killed at, the next one finds each call that may have been paid for: among the recorded
calls, or in a batch to ask after. A batch without calls is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from codeclm.journal import Journal
from codeclm.records import Usage


@dataclass(frozen=True, slots=True)
class BatchCall:
    """A call in a batch; ``most`` are the tokens reserved for it."""

    key: bytes
    stage: str
    most: Usage


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch that was, or may have been, created.

    ``token`` is our own name for it, which the provider keeps with it; ``id`` is the provider's, empty until it is
    known. ``made_at`` is in seconds since 1970. ``calls`` are in the order of the input file.
    """

    token: str
    endpoint: bytes
    model: str
    input_file: str
    made_at: float
    id: str = ""
    calls: tuple[BatchCall, ...] = field(default=(), repr=False)


def open_batches(journal: Journal, endpoint: bytes) -> list[BatchRecord]:
    """The endpoint's batches that hold calls not answered so far, the oldest first. Forgets all others."""
    journal.execute(
        ("DELETE FROM batch_calls WHERE key IN (SELECT key FROM calls)", ()),
        ("DELETE FROM batches WHERE token NOT IN (SELECT token FROM batch_calls)", ()),
    )
    rows = journal.rows(
        "SELECT token, endpoint, model, input_file, made_at, id FROM batches "
        "WHERE endpoint = ? ORDER BY made_at, rowid",
        endpoint,
    )
    return [
        BatchRecord(token, key, model, input_file, made_at, batch_id, _calls(journal, token))
        for token, key, model, input_file, made_at, batch_id in rows
    ]


def record(journal: Journal, batch: BatchRecord) -> None:
    """File a batch that is about to be created. A call of an earlier batch belongs to this one from now on.

    It is on the disk itself when this returns, safe from a power cut too: a whole batch is worth the wait.
    """
    made = (batch.token, batch.endpoint, batch.model, batch.input_file, batch.id, batch.made_at)
    calls = [
        (call.key, batch.token, call.stage, call.most.prompt_tokens, call.most.completion_tokens)
        for call in batch.calls
    ]
    journal.rows("PRAGMA synchronous = FULL")
    try:
        journal.execute(
            ("INSERT INTO batches (token, endpoint, model, input_file, id, made_at) VALUES (?,?,?,?,?,?)", made),
            *(
                ("INSERT OR REPLACE INTO batch_calls (key, token, stage, prompt_tokens, completion_tokens) "
                 "VALUES (?,?,?,?,?)", call)
                for call in calls
            ),
        )  # fmt: skip
    finally:
        journal.rows("PRAGMA synchronous = NORMAL")


def name(journal: Journal, token: str, batch_id: str) -> None:
    """File the provider's name of a batch."""
    journal.execute(("UPDATE batches SET id = ? WHERE token = ?", (batch_id, token)))


def answered(journal: Journal, token: str, keys: Iterable[bytes]) -> None:
    """Take calls out of a batch, each if its answer is in the journal."""
    statement = "DELETE FROM batch_calls WHERE key = ? AND token = ? AND key IN (SELECT key FROM calls)"
    journal.execute(*((statement, (key, token)) for key in keys))


def owed(journal: Journal, token: str, keys: Iterable[bytes]) -> None:
    """Take calls out of a batch that gave no answer to them, in the transaction of whatever else this turn writes."""
    for key in keys:
        journal.note(("batch call", key), "DELETE FROM batch_calls WHERE key = ? AND token = ?", key, token)


def forget(journal: Journal, token: str) -> None:
    """Forget a batch and whatever is left in it: it is over, or was never created. Written as by :func:`owed`."""
    journal.note(("batch calls", token), "DELETE FROM batch_calls WHERE token = ?", token)
    journal.note(("batch", token), "DELETE FROM batches WHERE token = ?", token)


def _calls(journal: Journal, token: str) -> tuple[BatchCall, ...]:
    rows = journal.rows(
        "SELECT key, stage, prompt_tokens, completion_tokens FROM batch_calls WHERE token = ? ORDER BY rowid", token
    )
    return tuple(BatchCall(key, stage, Usage(*tokens)) for key, stage, *tokens in rows)
