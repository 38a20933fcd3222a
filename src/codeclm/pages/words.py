"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate
from typing import Final, Literal

Kind = Literal["same", "added", "removed"]

_PIECES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\s+|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
_MOST: Final = 4_000
"""Pieces of both texts together that are compared."""
_MOST_STEPS: Final = 1_000_000
"""Steps of a comparison, some 0.2 s: its time can grow with the cube of the pieces, and the texts are anybody's. What
takes more is compared in another way, which is quick and reads a little less well."""
_ALIKE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Change:
    """A run of text that both have, or only one of them."""

    kind: Kind
    text: str


def changes(before: str, after: str) -> tuple[Change, ...]:
    """How ``after`` came from ``before``: the runs in order, those removed ahead of those that took their place.

    The runs that are not ``added`` join to ``before``, those that are not ``removed`` to ``after``. Very long texts are
    told apart as wholes.
    """
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    if before == after:
        return _joined([("same", after)])
    if len(old) + len(new) > _MOST:
        return _joined([("removed", before), ("added", after)])
    try:
        matches: Iterable[tuple[int, int, int]] = _Matcher(old, new).get_matching_blocks()
    except _TooMuch:
        matches = _longest_common(old, new)
    return _joined(list(_steps(old, new, matches)))


def _steps(old: list[str], new: list[str], matches: Iterable[tuple[int, int, int]]) -> Iterator[tuple[Kind, str]]:
    """What leads from one to the other, where ``matches`` are runs in common: their starts and their length."""
    at, to = 0, 0
    for start, begin, length in (*matches, (len(old), len(new), 0)):
        yield "removed", "".join(old[at:start])
        yield "added", "".join(new[to:begin])
        at, to = start + length, begin + length
        yield "same", "".join(new[begin:to])


def _longest_common(old: list[str], new: list[str]) -> list[tuple[int, int, int]]:
    """The pieces of a longest common subsequence, a match each; none where texts have so little in common that it would
    only be by chance.

    The algorithm is that of Hyyrö (Bit-parallel LCS-length computation revisited, 2004): a row of the table in the bits
    of one number. Its time hangs on the number of pieces alone.
    """
    where: dict[str, int] = {}
    for place, piece in enumerate(old):
        where[piece] = where.get(piece, 0) | 1 << place
    row = every = (1 << len(old)) - 1
    rows = [row]
    for piece in new:
        common = row & where.get(piece, 0)
        row = ((row + common) | (row - common)) & every
        rows.append(row)
    found, i, j = [], len(old), len(new)
    while i and j:
        if rows[j] >> i - 1 & 1:
            i -= 1
        elif rows[j - 1] >> i - 1 & 1:
            i, j = i - 1, j - 1
            found.append((i, j, 1))
        else:
            j -= 1
    shared = sum(len(old[i]) for i, _, _ in found if not old[i].isspace())
    return found[::-1] if shared >= _ALIKE * min(len("".join(old)), len("".join(new))) else []


class _TooMuch(Exception):
    """A comparison of more than :data:`_MOST_STEPS`."""


class _Matcher(SequenceMatcher[str]):
    """Compares pieces, and counts its steps."""

    def __init__(self, old: list[str], new: list[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        places: dict[str, list[int]] = self.b2j  # type: ignore[attr-defined]  # documented, but not in typeshed
        self._up_to = list(accumulate((1 + len(places.get(piece, ())) for piece in old), initial=0))
        self._steps = 0

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        """The longest match of a part. Raises _TooMuch."""
        self._steps += self._up_to[len(self._up_to) - 1 if ahi is None else ahi] - self._up_to[alo]
        if self._steps > _MOST_STEPS:
            raise _TooMuch
        return super().find_longest_match(alo, ahi, blo, bhi)


def _joined(steps: list[tuple[Kind, str]]) -> tuple[Change, ...]:
    """Without empty runs, and with a lone space between two changes taken as changed too: single words read badly."""
    runs: list[Change] = []
    gone, come = "", ""
    for number, (kind, text) in enumerate(steps):
        between = kind == "same" and text.isspace() and (gone or come) and number + 1 < len(steps)
        if between:
            gone, come = gone + text, come + text
        elif kind == "removed":
            gone += text
        elif kind == "added":
            come += text
        elif text:
            runs += _changed(gone, come)
            gone, come = "", ""
            if runs and runs[-1].kind == "same":
                text = runs.pop().text + text
            runs.append(Change("same", text))
    return (*runs, *_changed(gone, come))


def _changed(gone: str, come: str) -> list[Change]:
    if gone == come:
        return [Change("same", come)] if come else []
    return [*([Change("removed", gone)] if gone else []), *([Change("added", come)] if come else [])]
