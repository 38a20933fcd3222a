"""The studio's index of a run, read: pages of its outcomes, counts, neighbours, and what a threshold would keep.

Contract. An index is believed only where its file is ours, of this version and of the very files the run has now;
:func:`open_index` gives None for any other, and who wants one has it built (indexing.py). Only figures are loaded:
rows are read from the run's files, by their places. What people edited is read from ``edits.jsonl`` anew when that
changed. All methods may be called from any thread; they take milliseconds (benchmarks/studio.py).
"""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm.edits import Edit, read_edits
from codeclm.errors import RunDirectoryError
from codeclm.records import Status
from codeclm.run_directory import EDITS
from codeclm.studio.facets import Facets, Kind, count_facets, fits
from codeclm.studio.filters import SORTS, Filter, Sort, Touched
from codeclm.studio.indexing import APPLICATION_ID, FILES, SCHEMA, STATUSES, VERSION, Signature
from codeclm.studio.listing import Listed, listed, rows_at
from codeclm.studio.search_terms import TOKENIZER, match_of, spaced

_REMEMBERED: Final = 4_000_000  # rows of filtered lists, 4 bytes each
_COUNTS_REMEMBERED: Final = 16
_EDITED: Final[dict[str, Touched]] = {"edit": "edited", "drop": "dropped"}


class IndexBroken(Exception):
    """The index can't be read, or no longer tells of the files there are: it is to be built anew."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some outcomes of a list, and how many that has."""

    rows: tuple[Listed, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The ids before and after an outcome in a list, its place there from 1, and how long the list is."""

    before: str | None
    after: str | None
    place: int
    total: int


@dataclass(frozen=True, slots=True)
class Passing:
    """How many outcomes pass at a threshold by their gaps, and the sum of these gaps' widths.

    They are of one use case, pass at one iteration and are of one status now.
    """

    use_case: str
    iteration: int
    status: Status
    outcomes: int
    widths: float


def open_index(path: Path, run_dir: Path, signature: Signature) -> Index | None:
    """The index at ``path``, where it is ours and of the run's files in the state that ``signature`` tells."""
    if path.is_symlink() or not path.is_file():
        return None
    db = None
    try:
        # It is never written to: another one takes its place.
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA temp_store = MEMORY")
        if _is_ours(db) and tuple(db.execute("SELECT name, size, modified FROM built_of")) == signature:
            return Index(db, run_dir)
    except (sqlite3.Error, LookupError, TypeError, ValueError, OverflowError):
        pass  # whatever it is, it is none of ours
    if db:
        db.close()
    return None


def _is_ours(db: sqlite3.Connection) -> bool:
    (application,), (version,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    return (application, version) == (APPLICATION_ID, VERSION) and _schema(db) == _our_schema()


def _schema(db: sqlite3.Connection) -> tuple[Any, ...]:
    return tuple(db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name"))


@cache
def _our_schema() -> tuple[Any, ...]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        return _schema(db)


class Index:
    """An index that :func:`open_index` believed. Every method raises :class:`IndexBroken` where that was wrong.

    ``total`` is how many outcomes there are; ``stale_edits`` how many edits are of other words than the examples have;
    ``edits_problem`` says why edits can't be read, if so.
    """

    def __init__(self, db: sqlite3.Connection, run_dir: Path) -> None:
        self._db = db
        self._run_dir = run_dir
        self._lock = threading.Lock()
        self._lists: OrderedDict[tuple[Filter, Sort], array[int]] = OrderedDict()
        self._counted: dict[Filter, Counter[int]] = {}
        self._edits_state: tuple[int, int] | None = (-1, -1)
        (self.total,) = db.execute("SELECT count(*) FROM outcomes").fetchone()
        self._searched = ("", False)
        db.execute("CREATE TEMP TABLE touched (row INTEGER PRIMARY KEY, how TEXT NOT NULL)")
        db.execute("CREATE TEMP TABLE found (row INTEGER PRIMARY KEY)")
        db.execute(f"CREATE VIRTUAL TABLE temp.edited USING fts5(text, tokenize = '{TOKENIZER}')")
        db.execute("CREATE VIRTUAL TABLE temp.edited_terms USING fts5vocab(temp, edited, row)")
        self._edits: dict[str, Edit] = {}
        self.stale_edits, self.edits_problem = 0, ""
        self._names: dict[int, str] = dict(db.execute("SELECT number, name FROM names"))
        self._kinds = {kind.number: kind for kind in map(self._kind, db.execute("SELECT * FROM kinds"))}

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()

    def unreadable(self) -> tuple[int, list[tuple[str, int, str]]]:
        """How many lines of the run's files are no outcomes, and the first ten: file, line, and what is wrong."""
        with self._reading() as db:
            (count,) = db.execute("SELECT count(*) FROM unreadable").fetchone()
            found = db.execute("SELECT file, line, problem FROM unreadable ORDER BY file, line LIMIT 10").fetchall()
            return count, [(FILES[file], line, problem) for file, line, problem in found]

    def page(self, filter: Filter, sort: Sort, *, offset: int, limit: int) -> Page:
        """The outcomes from place ``offset`` (the first is 0) of the list, at most ``limit``."""
        with self._reading() as db:
            rows = self._list(db, filter, sort)
            return Page(tuple(self._listed(db, rows[offset : offset + limit])), len(rows))

    def ids(self, filter: Filter, sort: Sort) -> Iterator[str]:
        """The ids of the whole list, read as they are asked for."""
        for part in self._parts(filter, sort, 10_000):
            with self._reading() as db:
                found = dict(db.execute(f"SELECT row, id FROM outcomes WHERE row IN ({_comma(part)})"))  # noqa: S608
            yield from (found[row] for row in part)

    def lines(self, filter: Filter, sort: Sort) -> Iterator[bytes]:
        """The rows of the whole list as they stand in the run's files, read as they are asked for."""
        for part in self._parts(filter, sort, 100):
            with self._reading() as db:
                places = self._places(db, part)
            yield from rows_at(self._run_dir, [places[row] for row in part])

    def facets(self, filter: Filter) -> Facets:
        """What each further choice would leave."""
        others = replace(filter, status="", use_case="", skill="", iterations=None, cause="")
        with self._reading() as db:
            counted = self._count(db, others)
            return count_facets(filter, ((self._kinds[kind], count) for kind, count in counted.items()))

    def neighbours(self, id: str, filter: Filter, sort: Sort) -> Neighbours | None:
        """What comes before and after an outcome in the list; None where it is not in it."""
        with self._reading() as db:
            rows = self._list(db, filter, sort)
            found = db.execute("SELECT row FROM outcomes WHERE id = ?", (_plain(id),)).fetchone()
            try:
                at = rows.index(found[0]) if found else -1
            except ValueError:
                at = -1
            if at < 0:
                return None
            beside = [rows[place] if 0 <= place < len(rows) else 0 for place in (at - 1, at + 1)]
            ids = dict(db.execute("SELECT row, id FROM outcomes WHERE row IN (?, ?)", beside))
            return Neighbours(ids.get(beside[0]), ids.get(beside[1]), at + 1, len(rows))

    def row(self, id: str) -> dict[str, Any] | None:
        """The outcome's row as it stands in the run's file; None where there is no such outcome."""
        with self._reading() as db:
            found = db.execute("SELECT row FROM outcomes WHERE id = ?", (_plain(id),)).fetchone()
            places = self._places(db, found) if found else {}
        for line in rows_at(self._run_dir, list(places.values())):
            try:
                row = orjson.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or row.get("id") != id:
                raise IndexBroken(f"another row stands in the place of {id}")
            return row
        return None

    def counts(self) -> Counter[Status]:
        """How many outcomes there are of each status."""
        with self._reading() as db:
            counted: Counter[Status] = Counter()
            for kind, count in self._count(db, Filter()).items():
                counted[self._kinds[kind].status] += count
            return counted

    def compared(self) -> bool:
        """Whether any two answers were compared, so that a threshold can decide."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM outcomes WHERE gap IS NOT NULL LIMIT 1").fetchone() is not None

    def passing(self, threshold: float) -> list[Passing]:
        """What passes at a threshold by its gaps alone, each at the first iteration that does."""
        with self._reading() as db:
            found = db.execute(
                "SELECT use_case, iteration, status, sum(outcomes), sum(outcomes * below) FROM bands "
                "WHERE least <= ?1 AND below > ?1 GROUP BY 1, 2, 3",
                (threshold,),
            ).fetchall()
        return [
            Passing(self._names[use_case], iteration, STATUSES[status], count, widths)
            for use_case, iteration, status, count, widths in found
        ]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._read_edits()
                yield self._db
            except (sqlite3.Error, LookupError, TypeError, ValueError, OverflowError) as error:
                raise IndexBroken(str(error)) from error

    def _read_edits(self) -> None:
        """Lay what people did beside the outcomes, where it changed; what no longer fits is only counted."""
        state = _state_of(self._run_dir / EDITS)
        if state == self._edits_state:
            return
        try:
            edits, self.edits_problem = read_edits(self._run_dir), ""
        except RunDirectoryError as error:
            edits, self.edits_problem = {}, str(error)
        self._edits = edits
        self._db.execute("DELETE FROM touched")
        self._db.execute("DELETE FROM edited")
        fitting = 0
        for edit in edits.values():
            found = self._db.execute(
                "SELECT row FROM outcomes WHERE id = ? AND hex(digest) = ?", (_plain(edit.id), edit.of.upper())
            ).fetchone()
            if found:
                fitting += 1
                self._db.execute("INSERT OR REPLACE INTO touched VALUES (?, ?)", (found[0], _EDITED[edit.action]))
                texts = _plain(spaced(f"{edit.instruction or ''}\n{edit.answer or ''}\n{edit.note}\n{edit.by}"))
                self._db.execute("INSERT OR REPLACE INTO edited (rowid, text) VALUES (?, ?)", (found[0], texts))
        self._db.commit()
        self.stale_edits = len(edits) - fitting
        self._edits_state = state
        self._lists.clear()
        self._counted.clear()
        self._searched = ("", False)

    def _list(self, db: sqlite3.Connection, filter: Filter, sort: Sort) -> array[int]:
        """The rows of a list in order, from memory where it was asked for lately."""
        key = (filter, sort)
        if key not in self._lists:
            where, values = self._where(db, filter)
            found = db.execute(f"SELECT row FROM outcomes WHERE {where} ORDER BY {SORTS[sort][1]}", values)  # noqa: S608
            self._lists[key] = array("I", (row for (row,) in found))
            while len(self._lists) > 1 and sum(map(len, self._lists.values())) > _REMEMBERED:
                self._lists.popitem(last=False)
        self._lists.move_to_end(key)
        return self._lists[key]

    def _count(self, db: sqlite3.Connection, filter: Filter) -> Counter[int]:
        """How many outcomes of each kind there are, from memory where it was asked for lately."""
        if filter not in self._counted:
            where, values = self._where(db, filter)
            found = db.execute(f"SELECT kind FROM outcomes WHERE {where}", values)  # noqa: S608
            self._counted[filter] = Counter(kind for (kind,) in found)  # faster here than by SQLite
            while len(self._counted) > _COUNTS_REMEMBERED:
                del self._counted[next(iter(self._counted))]
        return self._counted[filter]

    def _parts(self, filter: Filter, sort: Sort, size: int) -> Iterator[array[int]]:
        with self._reading() as db:
            rows = self._list(db, filter, sort)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _where(self, db: sqlite3.Connection, filter: Filter) -> tuple[str, list[Any]]:
        """The filter as a condition and its values."""
        conditions: list[str] = ["1"]
        values: list[Any] = []

        def ask(condition: str, *given: Any) -> None:
            conditions.append(condition)
            values.extend(given)

        kinds = [kind.number for kind in self._kinds.values() if fits(kind, filter)]
        if len(kinds) < len(self._kinds):
            ask(f"kind IN ({_comma(kinds)})")
        if filter.wider_than is not None:
            ask("widest > ?", filter.wider_than)
        if filter.up_to is not None:
            ask("(widest <= ? OR widest IS NULL)", filter.up_to)
        if filter.edited:
            ask("row IN (SELECT row FROM touched WHERE how = ?)", filter.edited)
        if filter.text and self._search(db, filter.text):
            ask("row IN (SELECT row FROM found)")
        return " AND ".join(conditions), values

    def _search(self, db: sqlite3.Connection, text: str) -> bool:
        """Put what a text is found in into the table ``found``; False where there is no word in it."""
        if text == self._searched[0]:
            return self._searched[1]
        self._searched = ("", False)
        match = match_of(db, text)
        if match:
            db.execute("DELETE FROM found")
            db.execute("INSERT INTO found SELECT rowid FROM texts WHERE texts MATCH ?", (match,))
            db.execute("INSERT OR IGNORE INTO found SELECT rowid FROM edited WHERE edited MATCH ?", (match,))
            db.commit()
        self._searched = (text, bool(match))
        return bool(match)

    def _kind(self, row: Sequence[int]) -> Kind:
        number, status, use_case, skills, iterations, cause = row
        names = orjson.loads(self._names[skills])
        return Kind(
            number, STATUSES[status], self._names[use_case], tuple(map(str, names)), iterations, self._names[cause]
        )

    def _places(self, db: sqlite3.Connection, rows: Iterable[int]) -> dict[int, tuple[int, int, int]]:
        found = db.execute(f"SELECT row, file, start, length FROM outcomes WHERE row IN ({_comma(rows)})")  # noqa: S608
        return {row: (file, start, length) for row, file, start, length in found}

    def _listed(self, db: sqlite3.Connection, rows: Sequence[int]) -> Iterator[Listed]:
        places = self._places(db, rows)
        lines = rows_at(self._run_dir, [places[row] for row in rows])
        for line in lines:
            yield listed(line, self._edits)


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _comma(numbers: Iterable[int]) -> str:
    return ",".join(str(int(number)) for number in numbers)


def _plain(text: str) -> str:
    """The text as SQLite takes it: lone surrogates can't be in a row's id."""
    return text.encode("utf-8", "replace").decode()
