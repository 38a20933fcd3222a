"""Reads rows out of a damaged SQLite file, page by page.

SQLite itself finds rows through pages that lead to pages, so one bad page hides all behind it. Here every page that
looks like a leaf of a table is read by itself, in the file and in its write-ahead log, as
https://sqlite.org/fileformat2.html has it. That gives old versions of rows too, and rows that were deleted: who asks
must know which to believe. Nothing in the files can make this fail: what makes no sense is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

Value = None | int | float | str | bytes
Row = tuple[Value, ...]

_MAGIC = b"SQLite format 3\x00"
_DEFAULT_PAGE = 4096
_PAGE_SIZES = frozenset(2**n for n in range(9, 17))
_WAL_HEADER, _FRAME_HEADER = 32, 24
_TABLE_LEAF = 13
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes, by serial type


def rows(database: bytes, log: bytes = b"") -> Iterator[Row]:
    """Every row that can be read, older versions first where there are several; ``log`` is the ``-wal`` file."""
    pages = _Pages.of(database, log)
    for content, first in pages.every():
        yield from _leaf(content, pages, start=100 if first else 0)


@dataclass(frozen=True, slots=True)
class _Pages:
    """The pages of a file; ``frames`` are where in the log each page was written last."""

    database: bytes
    log: bytes
    size: int
    usable: int
    frames: dict[int, int]

    @classmethod
    def of(cls, database: bytes, log: bytes) -> _Pages:
        size, reserved = _DEFAULT_PAGE, 0
        if database[:16] == _MAGIC and len(database) > 20:
            size = int.from_bytes(database[16:18]) or size
            size = 65536 if size == 1 else size
            reserved = database[20]
        elif len(log) >= _WAL_HEADER:
            size = int.from_bytes(log[8:12])
        if size not in _PAGE_SIZES:
            size, reserved = _DEFAULT_PAGE, 0
        frames = {}
        for at in range(_WAL_HEADER, len(log), _FRAME_HEADER + size):
            if log[at + 8 : at + 16] == log[16:24]:  # frames of an earlier log may be left behind these
                frames[int.from_bytes(log[at : at + 4])] = at + _FRAME_HEADER
        return cls(database, log, size, size - reserved, frames)

    def every(self) -> Iterator[tuple[bytes, bool]]:
        """All pages and old versions of pages, and whether each is the file's first."""
        for at in range(0, len(self.database), self.size):
            yield self._whole(self.database[at : at + self.size]), at == 0
        for at in range(_WAL_HEADER, len(self.log), _FRAME_HEADER + self.size):
            number = int.from_bytes(self.log[at : at + 4])
            at += _FRAME_HEADER
            yield self._whole(self.log[at : at + self.size]), number == 1

    def page(self, number: int) -> bytes:
        """The newest version of a page."""
        if number in self.frames:
            at = self.frames[number]
            return self._whole(self.log[at : at + self.size])
        at = (number - 1) * self.size
        return self._whole(self.database[at : at + self.size]) if number > 0 else b""

    def _whole(self, content: bytes) -> bytes:
        """A page that was cut off, with nothing where its end was: rows before the cut can still be read."""
        return content.ljust(self.size, b"\0")


def _leaf(page: bytes, pages: _Pages, *, start: int) -> Iterator[Row]:
    if page[start] != _TABLE_LEAF:
        return
    (cells,) = struct.unpack_from(">H", page, start + 3)
    cells = min(cells, (pages.usable - start - 8) // 2)
    for (at,) in struct.iter_unpack(">H", page[start + 8 : start + 8 + 2 * cells]):
        try:
            yield _record(_payload(page, at, pages))
        except (IndexError, ValueError, struct.error):
            continue


def _payload(page: bytes, at: int, pages: _Pages) -> bytes:
    """A cell's content, gathered from overflow pages where it is long. Raises ValueError where they lead nowhere."""
    length, at = _varint(page, at)
    _, at = _varint(page, at)  # the row's number
    if length > len(pages.database) + len(pages.log):
        raise ValueError(length)
    usable, most = pages.usable, pages.usable - 35
    if length <= most:
        return page[at : at + length]
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    parts = [page[at : at + local]]
    left, following = length - local, int.from_bytes(page[at + local : at + local + 4])
    while left > 0:
        overflow = pages.page(following)
        if not following or not overflow:
            raise ValueError(following)
        parts.append(overflow[4 : min(usable, 4 + left)])
        left -= usable - 4
        following = int.from_bytes(overflow[:4])
    return b"".join(parts)


def _record(payload: bytes) -> Row:
    """The values of a record. Raises ValueError or IndexError where it is none."""
    header, at = _varint(payload, 0)
    types = []
    while at < header:
        kind, at = _varint(payload, at)
        types.append(kind)
    ends = [header]
    for kind in types:
        ends.append(ends[-1] + _length(kind))
    if at != header or ends[-1] != len(payload):
        raise ValueError(header)
    return tuple(_value(kind, payload[begin:end]) for kind, (begin, end) in zip(types, pairwise(ends), strict=True))


def _length(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INTEGERS.get(kind, 0)


def _value(kind: int, content: bytes) -> Value:
    if kind >= 12:
        return content.decode() if kind % 2 else content
    if kind == 7:
        return float(struct.unpack(">d", content)[0])
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(content, signed=True) if kind in _INTEGERS else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    number = 0
    for index in range(8):
        byte = content[at + index]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + index + 1
    return number << 8 | content[at + 8], at + 9
