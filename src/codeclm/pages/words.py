"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from itertools import accumulate, chain
from typing import Final, Literal

Kind = Literal["same", "added", "removed"]

_PIECES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\s+|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
_MOST: Final = 4_000
"""Pieces of both texts together that are compared."""
_MOST_STEPS: Final = 1_000_000
"""Steps of a comparison, some 0.2 s: its time can grow with the cube of the pieces, and the texts are anybody's."""


@dataclass(frozen=True, slots=True)
class Change:
    """A run of text that both have, or only one of them."""

    kind: Kind
    text: str


def changes(before: str, after: str) -> tuple[Change, ...]:
    """How ``after`` came from ``before``: the runs in order, those removed ahead of those that took their place.

    The runs that are not ``added`` join to ``before``, those that are not ``removed`` to ``after``. Very long texts are
    told apart as wholes, and so are those that take too long to compare.
    """
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    if before == after:
        return _joined([("same", after)])
    # White space is everywhere: where no match begins at it, much longer texts can be compared, a little less well.
    for passed_over in (None, str.isspace) if len(old) + len(new) <= _MOST else ():
        with suppress(_TooMuch):
            steps = (
                _step(tag, old[a:b], new[c:d]) for tag, a, b, c, d in _Matcher(passed_over, old, new).get_opcodes()
            )
            return _joined(list(chain.from_iterable(steps)))
    return _joined([("removed", before), ("added", after)])


class _TooMuch(Exception):
    """A comparison of more than :data:`_MOST_STEPS`."""


class _Matcher(SequenceMatcher[str]):
    """Compares pieces, and counts its steps. No match begins at pieces that are ``passed_over``."""

    def __init__(self, passed_over: Callable[[str], bool] | None, old: list[str], new: list[str]) -> None:
        super().__init__(passed_over, old, new, autojunk=False)
        places: dict[str, list[int]] = self.b2j  # type: ignore[attr-defined]  # documented, but not in typeshed
        self._up_to = list(accumulate((1 + len(places.get(piece, ())) for piece in old), initial=0))
        self._steps = 0

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None) -> Match:
        """The longest match of a part. Raises _TooMuch."""
        self._steps += self._up_to[len(self._up_to) - 1 if ahi is None else ahi] - self._up_to[alo]
        if self._steps > _MOST_STEPS:
            raise _TooMuch
        return super().find_longest_match(alo, ahi, blo, bhi)


def _step(tag: str, old: list[str], new: list[str]) -> list[tuple[Kind, str]]:
    if tag == "equal":
        return [("same", "".join(new))]
    return [("removed", "".join(old)), ("added", "".join(new))]


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
            runs.append(Change("same", text))
    return (*runs, *_changed(gone, come))


def _changed(gone: str, come: str) -> list[Change]:
    if gone == come:
        return [Change("same", come)] if come else []
    return [*([Change("removed", gone)] if gone else []), *([Change("added", come)] if come else [])]
