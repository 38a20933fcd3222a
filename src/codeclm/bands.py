"""Which texts were seen under a key: the index of the search for near duplicates, in bounded memory.

Keys are 64-bit hashes, texts are numbered from 1. The index is a table of 8-byte slots in a temporary file that is
mapped into memory, so the system decides how much of it stays there, and a look-up touches about one slot however many
there are. A B-tree with random keys reads and writes a page for each instead: at a million texts that was most of what
a run cost.

A table is made for the number of entries expected; where more come, another table four times its size follows. Two
keys that share a slot are told apart by the 32 bits that the slot holds of them, so of well-mixed keys one look-up in
four thousand million finds a text that was not under its key. Who looks compares the texts anyway.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import Final

_SLOT = 8  # bytes: half of the key, and the number of the text
_LOW: Final = 2**32 - 1
_LEAST, _MOST = 2**12, 2**26  # slots of the first table
_ZEROS: Final = bytes(2**20)


class Bands:
    """Texts by keys. Close it when done: the file goes with it. Raises OSError where there is no room for the file."""

    def __init__(self, expected: int) -> None:
        self._tables: list[memoryview] = []
        self._maps: list[mmap.mmap] = []
        self._room = 0
        slots = _LEAST
        while slots < min(_MOST, expected + expected // 3):
            slots *= 2
        self._append(slots)

    def find(self, key: int) -> list[int]:
        """The texts added under a key, in the order they came."""
        found: list[int] = []
        half, step = key >> 32, (key >> 31) | 1
        for table in self._tables:
            last = len(table) - 1
            slot = key & last
            while entry := table[slot]:
                if entry >> 32 == half:
                    found.append(entry & _LOW)
                slot = (slot + step) & last  # an odd step comes by every slot, and equal keys make no row of full ones
        return found

    def add(self, key: int, text: int) -> None:
        """Put a text under a key."""
        if not self._room:
            self._append(4 * len(self._tables[-1]))
        table = self._tables[-1]
        last, step = len(table) - 1, (key >> 31) | 1
        slot = key & last
        while table[slot]:
            slot = (slot + step) & last
        table[slot] = key >> 32 << 32 | text
        self._room -= 1

    def close(self) -> None:
        """Give the file back."""
        for table, mapped in zip(self._tables, self._maps, strict=True):
            table.release()
            mapped.close()
        self._tables, self._maps = [], []

    def _append(self, slots: int) -> None:
        """A further table. Its file is written in full: a disk that is full is told now, and not by a signal later."""
        with tempfile.TemporaryFile(dir=os.environ.get("SQLITE_TMPDIR")) as file:
            size = slots * _SLOT
            for begin in range(0, size, len(_ZEROS)):
                file.write(_ZEROS[: size - begin])
            file.flush()
            mapped = mmap.mmap(file.fileno(), size)
        self._maps.append(mapped)
        self._tables.append(memoryview(mapped).cast("Q"))
        self._room = slots * 3 // 4
