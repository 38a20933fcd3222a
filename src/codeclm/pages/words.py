"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import chain
from typing import Final, Literal

Kind = Literal["same", "added", "removed"]

_PIECES: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\s+|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
_MOST: Final = 4_000
"""Pieces of both texts together that are compared: the time grows with their product."""


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
    if len(old) + len(new) > _MOST:
        return _joined([("removed", before), ("added", after)] if before != after else [("same", after)])
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    steps = (_step(tag, old[a:b], new[c:d]) for tag, a, b, c, d in matcher.get_opcodes())
    return _joined(list(chain.from_iterable(steps)))


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
