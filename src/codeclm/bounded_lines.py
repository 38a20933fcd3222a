"""The lines of a file that may be anybody's: one without an end must not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

LONGEST: Final = 64 * 2**20
"""Bytes that a row of a run's file may have."""


def lines_in(file: IO[bytes]) -> Iterator[tuple[bytes | None, int]]:
    """Each line of an open file with its length in bytes; None for one that is longer than :data:`LONGEST`."""
    while line := file.readline(LONGEST):
        if len(line) < LONGEST or line.endswith(b"\n"):
            yield line, len(line)
            continue
        length = len(line)
        while not line.endswith(b"\n") and (line := file.readline(LONGEST)):
            length += len(line)
        yield None, length
