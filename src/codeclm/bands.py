"""Which texts were seen under a key: the index of the search for near duplicates.

Keys are 64-bit hashes, texts are numbered from 1. The index is a table of 8-byte slots, of which three quarters are
used at most: an entry takes about 11 bytes of memory, and a look-up touches a slot or two however many there are. An
SQLite table with random keys reads and writes a page for each instead: at 100,000 texts that was most of what a run
cost. (So did a table in a mapped file: the system writes its pages back again and again.)

A table is made for the number of entries expected; where more come, another follows: four times its size while that is
little, then as large as all before it. Two keys that share a slot are told apart by the 32 bits that the slot holds of
them, so of well-mixed keys one look-up in four thousand million finds a text that was not under its key. Who looks
compares the texts anyway.
"""

from __future__ import annotations

import math
from typing import Final

_SLOT = 8  # bytes: half of the key, and the number of the text
_LOW: Final = 2**32 - 1
_LEAST, _MOST = 2**12, 2**26  # slots of the first table
_LITTLE = 2**22  # slots, 32 MB


class Bands:
    """Texts by keys, for about as many entries as are ``expected``, or more."""

    def __init__(self, expected: int) -> None:
        self._tables: list[memoryview] = []
        self._room = 0
        self._append(max(_LEAST, min(_MOST, expected + expected // 3)))

    def expect(self, more: int) -> None:
        """Make room for so many entries more, if none has been added."""
        if len(self._tables) == 1 and self._room == self._room_in(len(self._tables[0])):
            slots = len(self._tables.pop()) + more + more // 3
            self._append(min(_MOST, slots))

    def find(self, key: int) -> list[int]:
        """The texts added under a key, in the order they came."""
        found: list[int] = []
        half = key >> 32
        for table in self._tables:
            slots = len(table)
            slot, step = key % slots, 1 + half % (slots - 1)  # a step of its own: equal keys make no row of full slots
            while entry := table[slot]:
                if entry >> 32 == half:
                    found.append(entry & _LOW)
                slot = (slot + step) % slots
        return found

    def add(self, key: int, text: int) -> None:
        """Put a text under a key."""
        if not self._room:
            slots = sum(map(len, self._tables))
            self._append(4 * slots if slots < _LITTLE else slots)
        table, half = self._tables[-1], key >> 32
        slots = len(table)
        slot, step = key % slots, 1 + half % (slots - 1)
        while table[slot]:
            slot = (slot + step) % slots
        table[slot] = half << 32 | text
        self._room -= 1

    def _append(self, slots: int) -> None:
        """A further table; the system gives its memory page by page, when they are first used."""
        slots = _prime_from(slots)
        self._tables.append(memoryview(bytearray(slots * _SLOT)).cast("Q"))
        self._room = self._room_in(slots)

    @staticmethod
    def _room_in(slots: int) -> int:
        return slots * 3 // 4


def _prime_from(number: int) -> int:
    """The first prime from ``number`` on: any step then comes by every slot."""
    while any(number % divisor == 0 for divisor in range(2, math.isqrt(number) + 1)):
        number += 1
    return number
