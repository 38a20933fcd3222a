"""The selector: outcomes in slot order become examples until there are enough; duplicates are dropped with the reason.

A kept instruction is dropped when it equals, or nearly equals, a seed or an example before it. Equal means the same
words in the same order, whatever the case and punctuation. Near means an estimated Jaccard similarity of word 3-grams
of at least ``near_duplicates``, by MinHash (Broder, 1997). The sketches of what has been seen live in a temporary
SQLite file that only grows at its end, the index of their bands in memory (bands.py): about 350 bytes for a text at the
usual similarity, and a text costs the same however many came before it. Outcomes must come in slot order: that, and
nothing else, decides which of two duplicates stays.
"""

from __future__ import annotations

import hashlib
import math
import sqlite3
import struct
import sys
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Self

from rensa import RMinHash  # type: ignore[attr-defined]  # it has no stubs

from codeclm.bands import Bands
from codeclm.errors import OutputError
from codeclm.overlap import TestItems
from codeclm.records import Iteration, Outcome, Seed
from codeclm.text_measures import words

_HASHES = 128
_SHINGLE = 3
_FROM_ONE_BAND = 500  # texts kept; a band that more share is boilerplate and says little
_64_BITS = 2**64 - 1
_PURPOSE = "finding duplicates"
_ROW = {what: f"SELECT {what}, id FROM texts WHERE number = ?" for what in ("exact", "hashes")}  # noqa: S608


class Selector:
    """Remembers the seeds and examples seen and turns away what repeats them. A context manager.

    ``size`` is how many are selected at most (``sys.maxsize``: nobody knows); ``quota`` how many of one use case
    (whatever its case), if there is one.
    A pair that overlaps one of the ``test_items`` (codeclm.overlap) is turned away as a duplicate of it.
    """

    def __init__(
        self, *, size: int, near_duplicates: float, quota: int | None = None, test_items: TestItems | None = None
    ) -> None:
        self.selected = 0
        self._size = size
        self._quota = quota
        self._test_items = test_items
        self._by_use_case: Counter[str] = Counter()
        self._near = near_duplicates
        self._rows, self._shared = _banding(near_duplicates)
        self._keys_of_a_text = 1 + (_HASHES // self._rows if near_duplicates < 1 else 0)
        self._bands = Bands(0 if size == sys.maxsize else size * self._keys_of_a_text)
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE texts (number INTEGER PRIMARY KEY, exact BLOB, id TEXT, hashes BLOB)")
        self._db.execute("BEGIN")  # never committed: the file goes with the connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def know(self, seeds: Iterable[Seed]) -> None:
        """Count the seeds as seen."""
        seeds = tuple(seeds)
        self._bands.expect(len(seeds) * self._keys_of_a_text)
        for seed in seeds:
            self.repeats(f"seed {seed.id}", seed.instruction)

    def select(self, outcome: Outcome) -> Outcome:
        """The outcome as it is, or a kept one as ``surplus`` or ``duplicate`` with the reason."""
        if outcome.status != "kept":
            return outcome
        if self.selected == self._size:
            return replace(outcome, status="surplus", reason="the run already had its size")
        use_case = outcome.entry.metadata.use_case.casefold()
        if self._quota is not None and self._by_use_case[use_case] >= self._quota:
            return replace(outcome, status="surplus", reason=f"its use case already had its quota of {self._quota}")
        overlap = self._overlap(outcome.final) if self._test_items else ""
        if overlap:
            return replace(outcome, status="duplicate", reason=overlap)
        repeated = self.repeats(f"example {outcome.id}", outcome.final.instruction.text)
        if repeated:
            return replace(outcome, status="duplicate", reason=repeated)
        self.selected += 1
        self._by_use_case[use_case] += 1
        return outcome

    def _overlap(self, pair: Iteration) -> str:
        """The test item that the instruction, or else the kept answer, overlaps most; empty where none is."""
        for name, text in (("instruction", pair.instruction.text), ("answer", pair.kept.text)):
            overlaps = self._test_items.find(text) if self._test_items else []
            if overlaps:
                return f"its {name} overlaps test set {overlaps[0]}"
        return ""

    def repeats(self, name: str, text: str) -> str:
        """Which text seen before this one repeats, and how nearly; empty, and it counts as seen, where it is new."""
        with temporary_file(_PURPOSE):
            return self._seen(name, text)

    def _seen(self, name: str, text: str) -> str:
        said = words(text) or [text]
        exact = hashlib.blake2b(" ".join(said).encode("utf-8", "replace"), digest_size=16).digest()
        key = int.from_bytes(exact[:8], "big")
        for number in self._bands.find(key):
            (known, equal) = self._row(number, "exact")
            if known == exact:
                return f"equal to {equal}"
        hashes = _min_hashes(said)
        bands = list(self._keys(hashes)) if self._near < 1 else []
        shared: Counter[int] = Counter()
        fresh = [key]
        for band in bands:
            found = self._bands.find(band)
            shared.update(found)
            if len(found) < _FROM_ONE_BAND:
                fresh.append(band)
        if near := self._nearest(hashes, shared):
            return near
        inserted = self._db.execute(
            "INSERT INTO texts (exact, id, hashes) VALUES (?, ?, ?)", (exact, name, hashes.tobytes())
        )
        for band in fresh:
            self._bands.add(band, inserted.lastrowid or 0)
        return ""

    def _nearest(self, hashes: array[int], shared: Counter[int]) -> str:
        """The earliest text that is near, of those that share bands, and how near; empty when none is."""
        for candidate in sorted(text for text, count in shared.items() if count >= self._shared):
            stored, name = self._row(candidate, "hashes")
            alike = sum(map(int.__eq__, hashes, array("I", stored))) / _HASHES
            if alike >= self._near:
                return f"{alike:.2f} similar to {name}"
        return ""

    def _row(self, number: int, what: Literal["exact", "hashes"]) -> tuple[bytes, str]:
        """A text's digest or sketch, and its name."""
        found: tuple[bytes, str] = self._db.execute(_ROW[what], (number,)).fetchone()
        return found

    def _keys(self, hashes: array[int]) -> Iterator[int]:
        """A key for each band. Hashes of numbers are the same in every process, unlike those of texts."""
        for number, band in enumerate(struct.iter_unpack(f"{self._rows}I", hashes)):
            yield hash((number, band)) & _64_BITS


@contextmanager
def temporary_file(purpose: str) -> Iterator[None]:
    """Raises OutputError where SQLite can't write the temporary file that serves a purpose."""
    try:
        yield
    except sqlite3.Error as error:
        raise OutputError(
            f"the temporary file for {purpose} can't be written ({error}). Make room in "
            f"{tempfile.gettempdir()}, or set SQLITE_TMPDIR to a folder with more, and run again."
        ) from None


def _min_hashes(found: list[str]) -> array[int]:
    shingles = [" ".join(found[i : i + _SHINGLE]) for i in range(max(1, len(found) - _SHINGLE + 1))]
    sketch = RMinHash(num_perm=_HASHES, seed=0)
    sketch.update(shingles)
    return array("I", sketch.digest())


def _banding(similarity: float) -> tuple[int, int]:
    """How many rows a band has and how many bands two texts must share: the strictest that 95 % of the pairs pass."""
    for rows in (16, 8, 4, 2):
        bands, each = _HASHES // rows, similarity**rows
        for shared in (3, 2, 1):
            missed = sum(math.comb(bands, k) * each**k * (1 - each) ** (bands - k) for k in range(shared))
            if missed <= 0.05:
                return rows, shared
    return 1, 1
