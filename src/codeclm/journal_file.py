"""The journal's file: its tables, how an older file is brought up to them, and how one is read while a run writes it.

Steps are only ever added, and each is done whole or not at all. A file that is not ours, or of a later codeclm, is
refused and left as it is.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from codeclm.errors import JournalError

NAME = "journal.sqlite"
"""What a journal in a run directory is called."""

APPLICATION_ID = 0x436F4C4D  # "CoLM"

# Step n brings a journal from version n to n + 1.
STEPS = (
    """
    CREATE TABLE calls (
        key BLOB PRIMARY KEY,
        stage TEXT NOT NULL,
        model TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        latency REAL NOT NULL,
        made_at REAL NOT NULL,
        reply BLOB NOT NULL
    );
    CREATE TABLE endpoints (key BLOB PRIMARY KEY, traits BLOB NOT NULL);
    """,
    # What was spent and what went wrong (ledger.py), and batches under way (batch_records.py).
    """
    CREATE TABLE spending (
        endpoint BLOB PRIMARY KEY,
        model TEXT NOT NULL,
        requests INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL,
        unknown_prompt INTEGER NOT NULL,
        unknown_completion INTEGER NOT NULL,
        reserved_prompt INTEGER NOT NULL,
        reserved_completion INTEGER NOT NULL,
        excess_prompt INTEGER NOT NULL,
        excess_completion INTEGER NOT NULL
    );
    CREATE TABLE faults (model TEXT, cause TEXT, count INTEGER NOT NULL, PRIMARY KEY (model, cause));
    CREATE TABLE batches (
        token TEXT PRIMARY KEY,
        endpoint BLOB NOT NULL,
        model TEXT NOT NULL,
        input_file TEXT NOT NULL,
        id TEXT NOT NULL,
        made_at REAL NOT NULL
    );
    CREATE TABLE batch_calls (
        key BLOB PRIMARY KEY,
        token TEXT NOT NULL,
        stage TEXT NOT NULL,
        prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL
    );
    """,
    # Which runs share the journal, and which calls each used (journal_uses.py). INT and not INTEGER, and tables with
    # rowids, so that a damaged file still shows the rows whole (sqlite_pages.py).
    """
    CREATE TABLE runs (run INT PRIMARY KEY, directory TEXT NOT NULL UNIQUE, begun_as BLOB NOT NULL);
    CREATE TABLE uses (key BLOB NOT NULL, run INT NOT NULL, PRIMARY KEY (key, run));
    """,
)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make the open file a journal of this version. Raises JournalError where it is something else."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or version):
        raise JournalError(f"{path}: this SQLite file is not a codeclm journal. Choose another run_dir or `journal`.")
    if version > len(STEPS):
        raise JournalError(
            f"{path}: written by a newer codeclm (journal version {version}, this one reads up to {len(STEPS)}). "
            "Upgrade codeclm."
        )
    # WAL with NORMAL survives kill -9 without an fsync per commit; a power cut may lose the last moments.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for number in range(version, len(STEPS)):
        db.executescript(f"BEGIN;{STEPS[number]};PRAGMA user_version = {number + 1};COMMIT;")


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A journal that a run may be writing just now, to read it only. Raises OSError or sqlite3.Error.

    An older journal may lack tables.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to open a pipe is to wait for its other end
        raise sqlite3.DatabaseError("it is no plain file")
    if not status.st_size:
        # Even to read it SQLite would delete the log of an empty file, and the calls in it.
        raise sqlite3.DatabaseError("the file is empty")
    # On a disk one may only read, SQLite must be told that nobody writes; without a log nobody does.
    mode = "ro" if path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1"
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True)) as db:
        db.execute("PRAGMA trusted_schema = OFF")
        # A file may be anybody's, and a view in the place of a table compute without end.
        (others,) = db.execute("SELECT count(*) FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone()
        if others:
            raise sqlite3.DatabaseError("it has views or triggers, which no journal has")
        yield db
