"""Builds the studio's index of a run directory, in a process of its own (``python -m codeclm.studio.indexing``).

Contract. The index is an SQLite file that is derived from ``examples.jsonl``, ``discarded.jsonl`` and
``failures.jsonl`` alone, and may be deleted at any time. It is written beside its place and moved there at once, and
holds which files, of which size and time, it was built from. The rows themselves stay where they are: the index has
their places. A line that is no outcome is told in ``unreadable`` and stops nothing.
"""

from __future__ import annotations

import heapq
import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, get_args

import orjson

from codeclm.bounded_lines import lines_in
from codeclm.dataset.outcomes import outcome_from_row
from codeclm.errors import InputError
from codeclm.records import Outcome, Status
from codeclm.run_directory import DISCARDED, EXAMPLES, FAILURES
from codeclm.studio.facts import facts_of, place_of, searchable
from codeclm.studio.search_terms import TOKENIZER, spaced

FILES: Final = (EXAMPLES, DISCARDED, FAILURES)
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
APPLICATION_ID: Final = 0x436F5374  # "CoSt"
VERSION: Final = 1

# Statuses and files are stored as their places in the tuples above, names as numbers, and the skills of a kind as the
# number of their JSON. A kind is all that can be chosen at once: outcomes are many, and kinds are few.
SCHEMA: Final = f"""
CREATE TABLE built_of (name TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL);
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE kinds (
    number INTEGER PRIMARY KEY,
    status INTEGER NOT NULL,
    use_case INTEGER NOT NULL,
    skills INTEGER NOT NULL,
    iterations INTEGER NOT NULL,
    cause INTEGER NOT NULL
);
CREATE TABLE outcomes (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    gap REAL,
    widest REAL,
    words INTEGER NOT NULL,
    file INTEGER NOT NULL,
    start INTEGER NOT NULL,
    length INTEGER NOT NULL,
    digest BLOB
);
CREATE INDEX by_id ON outcomes (id);
CREATE TABLE bands (
    least REAL NOT NULL,
    below REAL NOT NULL,
    iteration INTEGER NOT NULL,
    status INTEGER NOT NULL,
    use_case INTEGER NOT NULL,
    outcomes INTEGER NOT NULL
);
CREATE TABLE unreadable (file INTEGER NOT NULL, line INTEGER NOT NULL, problem TEXT NOT NULL);
CREATE VIRTUAL TABLE texts USING fts5(text, content = '', columnsize = 0, tokenize = '{TOKENIZER}');
CREATE TABLE terms (term TEXT PRIMARY KEY, outcomes INTEGER NOT NULL) WITHOUT ROWID;
"""

_TELL_EVERY_S: Final = 0.2
_TOLD: Final = 200  # characters of what is wrong with a line
_MOST_UNREADABLE: Final = 1000

Signature = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time of change in nanoseconds of each file there is."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a run's file: which, where it begins, how long it is, and what is in it (or what is wrong)."""

    file: int
    number: int
    start: int
    length: int
    outcome: Outcome | None
    problem: str = ""


def signature_of(run_dir: Path) -> Signature:
    """Which files there are to index, and in which state. Raises OSError where they can't be looked at."""
    found = []
    for name in FILES:
        with suppress(FileNotFoundError):
            status = (run_dir / name).stat()
            found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


def lines_of(number: int, file: IO[bytes]) -> Iterator[Line]:
    """The lines of the file of this number in :data:`FILES`."""
    start = 0
    for line_number, (line, length) in enumerate(lines_in(file), start=1):
        outcome, problem = None, ""
        try:
            if line is None:
                raise ValueError("longer than a row can be")
            outcome = outcome_from_row(orjson.loads(line))
        except (InputError, ValueError) as error:
            problem = str(error)[:_TOLD]
        yield Line(number, line_number, start, length, outcome, problem)
        start += length


def in_slot_order(line: Line) -> tuple[int, int, int]:
    """What lines of several files are merged by."""
    return place_of(line.outcome.id) if line.outcome else (-1, 0, 0)


def build(run_dir: Path, target: Path, tell: Callable[[int, int], None]) -> None:
    """Build the index of ``run_dir`` at ``target``; ``tell`` is given bytes read so far and in all, now and then.

    Raises OSError or sqlite3.Error where it can't be written; then there is no index, or the old one.
    """
    _clear_up(target)
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.unfinished")
    unfinished.unlink(missing_ok=True)  # it may be a link to somewhere
    try:
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as db:
            # Nobody reads it before it is whole, so a torn one harms nobody and needs no journal.
            db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -64000; BEGIN;")
            _Builder(db).fill(run_dir, tell)
            db.execute("COMMIT")
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)


def _clear_up(target: Path) -> None:
    """Take away what builders left behind that were killed."""
    for left in target.parent.glob(f"{target.name}.*.unfinished"):
        number = left.name.split(".")[-2]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except (ValueError, OSError):
            continue


class _Builder:
    """Fills an empty database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._names: dict[str, int] = {"": 0}
        self._kinds: dict[tuple[int, ...], int] = {}
        self._bands: Counter[tuple[float | int, ...]] = Counter()
        self._row = 0
        self._unreadable = 0

    def fill(self, run_dir: Path, tell: Callable[[int, int], None]) -> None:
        """Make the tables and put all there is into them."""
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {VERSION}")
        for statement in SCHEMA.strip().split(";\n"):
            self._db.execute(statement)
        self._read(run_dir, tell)
        self._insert("names", [(number, name) for name, number in self._names.items()])
        self._insert("kinds", [(number, *kind) for kind, number in self._kinds.items()])
        self._insert("bands", [(*band, count) for band, count in self._bands.items()])
        self._db.execute("INSERT INTO texts (texts) VALUES ('optimize')")
        self._db.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, texts, row)")
        self._db.execute("INSERT INTO terms SELECT term, doc FROM vocabulary ORDER BY term")

    def _read(self, run_dir: Path, tell: Callable[[int, int], None]) -> None:
        with ExitStack() as stack:
            files = []
            for name in FILES:
                with suppress(FileNotFoundError):
                    files.append((name, stack.enter_context((run_dir / name).open("rb"))))
            # Of the open files, not of their names: a run may put others there at any moment.
            states = [(name, os.fstat(file.fileno())) for name, file in files]
            self._insert("built_of", [(name, state.st_size, state.st_mtime_ns) for name, state in states])
            total, done, told = sum(state.st_size for _, state in states), 0, 0.0
            every = [lines_of(FILES.index(name), file) for name, file in files]
            for line in heapq.merge(*every, key=in_slot_order):
                self._add(line)
                done += line.length
                if time.monotonic() - told >= _TELL_EVERY_S:
                    tell(done, total)
                    told = time.monotonic()

    def _add(self, line: Line) -> None:
        if line.outcome is None:
            self._unreadable += 1
            if self._unreadable <= _MOST_UNREADABLE:
                self._insert("unreadable", [(line.file, line.number, line.problem)])
            return
        self._row += 1
        facts = facts_of(line.outcome)
        status, use_case = STATUSES.index(facts.status), self._name(facts.use_case)
        skills, cause = self._name(orjson.dumps(facts.skills).decode()), self._name(facts.cause)
        kind = (status, use_case, skills, facts.iterations, cause)
        number = self._kinds.setdefault(kind, len(self._kinds))
        place = (line.file, line.start, line.length)
        digest = bytes.fromhex(facts.digest) or None
        self._insert("outcomes", [(self._row, facts.id, number, facts.gap, facts.widest, facts.words, *place, digest)])
        if facts.status != "failed":  # a threshold decides nothing about a failure
            self._bands.update((band.least, band.below, band.iteration, status, use_case) for band in facts.bands)
        text = spaced(searchable(line.outcome))
        self._db.execute("INSERT INTO texts (rowid, text) VALUES (?, ?)", (self._row, text))

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self._db.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 (our own names)


def main(run_dir: str, target: str) -> None:
    """Build, and tell on standard output how far it is: a line with the bytes read and those there are."""
    os.nice(10)  # a run may be at work beside it

    def tell(done: int, total: int) -> None:
        print(done, total, flush=True)  # fails where the studio is gone, which is meant

    try:
        build(Path(run_dir), Path(target), tell)
    except BrokenPipeError:
        sys.exit(1)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"{target}: the index can't be written ({error}). Make room there.")


if __name__ == "__main__":
    main(*sys.argv[1:])
