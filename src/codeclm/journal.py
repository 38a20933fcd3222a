"""The journal: one SQLite file that holds every model call of a run, or of several runs.

Contract. A call is filed under :func:`call_key`, a digest of everything that can change its answer. :meth:`Journal.put`
returns once the call is part of a transaction that will be committed before the event loop goes on to other work, and
awaiting its result means it survives a ``kill -9``: what a kill can lose is only what was in flight. Reading a recorded
call gives back exactly what was written. The file migrates forward by numbered steps. Anything wrong with it (torn,
foreign, too new, no room) is a :class:`~codeclm.errors.JournalError` with its remedy, never a crash.

Nothing here knows of stages or methods; there is no other state to restore.
"""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import sqlite3
import time
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import orjson

from codeclm.config_models import ModelConfig
from codeclm.errors import JournalError
from codeclm.journal_file import NAME, prepare, reading
from codeclm.records import Completion, Request, Usage

_TOO_LARGE = 2**63
_LARGEST_REPLY = 2**28  # bytes: a few kilobytes of another's file could unpack to any number
# Replays are taken down so many at once: those that a kill loses are replayed again.
_READS_TOGETHER = 256
_RECORDED = "SELECT reply, finish_reason, prompt_tokens, completion_tokens, latency, rowid FROM calls WHERE key = ?"

CallRow = tuple[Any, ...]
"""A call as it is written: key, stage, model, finish reason, prompt and completion tokens, latency, time, reply."""


@dataclass(frozen=True, slots=True)
class CallTotal:
    """What the recorded calls of one stage to one model come to; ``seconds`` is the sum of their latencies."""

    stage: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float

    def and_one(self, prompt_tokens: int, completion_tokens: int, seconds: float) -> CallTotal:
        """The total with one more call."""
        return CallTotal(
            self.stage,
            self.model,
            self.calls + 1,
            self.prompt_tokens + prompt_tokens,
            self.completion_tokens + completion_tokens,
            self.seconds + seconds,
        )


class CallUses(Protocol):
    """Takes down which calls the run at work uses, where several runs share the journal (journal_uses.py).

    ``shared`` is how many of the calls it used other runs used before.
    """

    shared: int

    @property
    def waiting(self) -> int:
        """How many uses wait to be written."""

    def read(self, key: bytes) -> None:
        """A call that was recorded earlier was read."""

    def has(self, key: bytes) -> bool:
        """Whether the run has used this call."""

    def write(self, db: sqlite3.Connection, made: Sequence[CallRow]) -> Callable[[], None]:
        """Write, in the transaction under way, what was read and ``made``; to be told when that is committed."""

    def totals(self) -> list[CallTotal]:
        """What the run has used and is committed, by stage and model."""


def endpoint_key(model: ModelConfig) -> bytes:
    """A digest of what an endpoint is: where it lives, its model, and all that goes with every request."""
    identity = [
        model.recorded_as, model.api, model.recorded_model, model.max_tokens, model.extra_body, model.headers,
        [model.template, model.stop] if model.api == "completions" else None,
    ]  # fmt: skip
    return _digest(identity)


def traits_key(model: ModelConfig) -> bytes:
    """The name of what was learnt of an endpoint, which depends on what was looked for."""
    return endpoint_key(model) + model.reply_form.encode()


def call_key(endpoint: bytes, request: Request) -> bytes:
    """The name of a call: a digest of the endpoint and of everything in the request that can change the answer."""
    return _digest(
        [
            endpoint.hex(),
            [[message.role, message.content] for message in request.messages],
            request.temperature,
            request.schema.schema if request.schema else None,
            request.sample,
            request.attempt,
            *([request.continuation] if request.continuation else ()),  # not in older journals' keys
        ]
    )


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(
        orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS), digest_size=16
    ).digest()


class Journal:
    """The recorded calls of one run, or of several, one after the other.

    Open it as a context manager; use it from one event loop. ``uses`` is there where several runs share it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[CallRow] = []
        self._notes: dict[Hashable, tuple[str, tuple[Any, ...]]] = {}
        self._awaiting: list[asyncio.Future[None]] = []
        self._totals: dict[tuple[str, str], CallTotal] | None = None
        self.uses: CallUses | None = None
        self.replayed = 0
        """How many of the calls read were recorded before this opening."""
        with self._guarded():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                prepare(self._db, path)
                (self._earlier,) = self._db.execute("SELECT coalesce(max(rowid), 0) FROM calls").fetchone()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: bytes) -> Completion | None:
        """The recorded completion of a call, or None when it was never made."""
        rows = self.rows(_RECORDED, key)
        if not rows:
            return None
        reply, finish_reason, prompt_tokens, completion_tokens, latency, number = rows[0]
        if number <= self._earlier:
            self.replayed += 1
            if self.uses:
                self.uses.read(key)
                if self.uses.waiting >= _READS_TOGETHER:
                    self._write()
        text, reasoning, refusal = unpacked(reply, self.path)
        return Completion(text, finish_reason, Usage(prompt_tokens, completion_tokens), reasoning, refusal, latency)

    def asked(self, key: bytes) -> bool:
        """Whether the run at work has had this call's answer, now or at an earlier start.

        What another run that shares the journal asked is no matter of this one's.
        """
        return self.uses.has(key) if self.uses else self.recorded(key) is not None

    def recorded(self, key: bytes) -> Literal["earlier", "now"] | None:
        """Whether a call was recorded: before this opening, since, or not at all."""
        rows = self.rows("SELECT rowid FROM calls WHERE key = ?", key)
        return ("earlier" if rows[0][0] <= self._earlier else "now") if rows else None

    def put(self, key: bytes, completion: Completion, *, stage: str, model: str) -> asyncio.Future[None]:
        """File a call. The future is done when the call is committed together with all others of this turn.

        Texts must be valid Unicode, as the clients see to.
        """
        reply = _compress(orjson.dumps([completion.text, completion.reasoning, completion.refusal]))
        usage = completion.usage
        if not (0 <= usage.prompt_tokens < _TOO_LARGE and 0 <= usage.completion_tokens < _TOO_LARGE):
            raise JournalError(f"{self.path}: can't hold a call of {usage}; token counts are 64-bit numbers.")
        self._pending.append(
            (
                key, stage, model, completion.finish_reason, usage.prompt_tokens, usage.completion_tokens,
                completion.latency, time.time(), reply,
            )
        )  # fmt: skip
        return self._commit_soon()

    def note(self, name: Hashable, statement: str, *values: Any) -> asyncio.Future[None]:
        """Have a statement done in the next transaction, together with the calls filed in this turn.

        Of several notes of one ``name`` only the last counts. The future is as that of :meth:`put`.
        """
        self._notes[name] = (statement, values)
        return self._commit_soon()

    def flush(self) -> None:
        """Commit what was filed and noted so far at once: it can be read when this returns."""
        self._write()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, for the records that others keep in this file."""
        try:  # _guarded() written out: this is done at every call
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def execute(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Do statements at once, in a transaction of their own."""
        with self._guarded(), self._transaction():
            for statement, values in statements:
                self._db.execute(statement, values)

    def traits(self, endpoint: bytes) -> dict[str, Any] | None:
        """What was learnt of an endpoint at its first call, or None."""
        with self._guarded():
            row = self._db.execute("SELECT traits FROM endpoints WHERE key = ?", (endpoint,)).fetchone()
        try:
            return None if row is None else dict(orjson.loads(row[0]))
        except (ValueError, TypeError):
            return None  # learnt again, from calls that are recorded

    def remember(self, endpoint: bytes, traits: dict[str, Any]) -> None:
        """File what was learnt of an endpoint."""
        with self._guarded():
            self._db.execute("INSERT OR REPLACE INTO endpoints VALUES (?, ?)", (endpoint, orjson.dumps(traits)))

    def totals(self) -> list[CallTotal]:
        """Recorded calls by stage and model, in the order they first came; counted once, then kept up to date."""
        if self._totals is None:
            with self._guarded():
                self._totals = {(total.stage, total.model): total for total in _counted(self._db)}
        return list(self._totals.values())

    def used(self) -> list[CallTotal]:
        """The calls that the run at work used, made or replayed: of a journal of its own, all there are.

        Of a shared one, what could not be written down is not counted.
        """
        if self.uses is None:
            return self.totals()
        with suppress(JournalError):
            self.flush()
        return self.uses.totals()

    def is_sound(self) -> bool:
        """Whether the file's structure is whole; reads all of it."""
        with self._guarded():
            return self._db.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]

    def close(self) -> None:
        """Write what is pending and close the file."""
        with self._guarded():
            try:
                self._write()
            finally:
                self._db.close()

    def _count(self, rows: list[CallRow]) -> None:
        if self._totals is not None:
            for _, stage, model, _, prompt_tokens, completion_tokens, latency, _, _ in rows:
                total = self._totals.get((stage, model)) or CallTotal(stage, model, 0, 0, 0, 0.0)
                self._totals[stage, model] = total.and_one(prompt_tokens, completion_tokens, latency)

    def _commit_soon(self) -> asyncio.Future[None]:
        """A future of the caller's own, so that one who gives up waiting takes nothing from the others."""
        loop = asyncio.get_running_loop()
        if not self._awaiting:
            loop.call_soon(self._commit)
        committed = loop.create_future()
        self._awaiting.append(committed)
        return committed

    def _commit(self) -> None:
        """Commit what this turn of the event loop put in, and tell everyone who waits for it."""
        awaiting, self._awaiting = self._awaiting, []
        error = None
        try:
            self._write()
        except JournalError as failed:
            error = failed
        for committed in awaiting:
            if committed.done():
                continue  # given up
            if error:
                committed.set_exception(error)
                committed.exception()  # seen, whether or not anyone waits for a note to be written
            else:
                committed.set_result(None)

    def _write(self) -> None:
        """Write all pending calls and notes in one transaction; they stay pending if it fails."""
        if not self._pending and not self._notes and not (self.uses and self.uses.waiting):
            return
        with self._guarded(), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO calls VALUES (?,?,?,?,?,?,?,?,?)", self._pending)
            for statement, values in self._notes.values():
                self._db.execute(statement, values)
            committed = self.uses.write(self._db, self._pending) if self.uses else None
        if committed:
            committed()
        self._count(self._pending)
        self._pending.clear()
        self._notes.clear()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: sqlite3.Error) -> JournalError:
        return JournalError(f"{self.path}: {_remedy(error, self.path)}")


def recorded_totals(path: Path) -> list[CallTotal]:
    """The calls in a journal that a run may be writing just now; none where it can't be read."""
    try:
        with reading(path) as db:
            return _counted(db)
    except (sqlite3.Error, OSError):
        return []


def _counted(db: sqlite3.Connection) -> list[CallTotal]:
    rows = db.execute(
        "SELECT stage, model, count(*), sum(prompt_tokens), sum(completion_tokens), sum(latency) "
        "FROM calls GROUP BY stage, model ORDER BY min(rowid)"
    )
    return [CallTotal(*row) for row in rows]


def _compress(data: bytes) -> bytes:
    """Deflate with a checksum and a small window: replies are short, and setting up a large one takes far longer."""
    deflate = zlib.compressobj(level=3, wbits=12, memLevel=5)
    return deflate.compress(data) + deflate.flush()


def unpacked(reply: bytes, path: Path) -> tuple[str, str, str]:
    """Text, reasoning and refusal of a reply as it is recorded. Raises JournalError where the record is damaged."""
    try:
        packed = zlib.decompressobj()
        content = packed.decompress(reply, _LARGEST_REPLY)
        if not packed.eof:
            raise ValueError("it is cut off, or larger than a reply can be")
        text, reasoning, refusal = orjson.loads(content)
    except (zlib.error, ValueError, TypeError):
        # Not made anew: it was paid for, and whoever pays for it again should know.
        raise JournalError(f"{path}: the record of a call is damaged. {recovery(path)}") from None
    return text, reasoning, refusal


def recovery(path: Path) -> str:
    """What to do about a damaged journal, as the end of a message."""
    place = path.parent if path.name == NAME else path
    return f"`codeclm recover {shlex.quote(str(place))}` saves what can be read and says what is lost."


def _remedy(error: sqlite3.Error, path: Path) -> str:
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of corruption and the like apart
    if kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"can't write ({error}). Make room on the disk and run again: recorded calls are not made again."
    if kind in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return f"not a readable journal ({error}). {recovery(path)}"
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"another program holds it ({error}). Close that program and run again."
    return f"{error}. Check that the folder exists and that you may write in it."


def as_row(total: CallTotal) -> dict[str, Any]:
    """A total as plain values, for the manifest."""
    return asdict(total)
