"""Which names the traffic has and the seeds have not, which it no longer has, and which come more or less often. Pure.

A name's share is that of the instructions that have it. Names are ordered by what they weigh: new and vanished ones by
how many instructions have them, the others by how much their share changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from codeclm.drifting.encoded import Encoded, Kind

LISTED: Final = 50
"""Names in a list, at most; the number beside it is of all."""

SHOWN: Final = 3
"""Instructions that are shown of a name, at most."""


@dataclass(frozen=True, slots=True)
class Move:
    """A name with how many instructions of the traffic, seeds and examples of the run have it.

    ``shown`` are the first instructions with it: of the traffic where the name is new or has grown, else of the seeds.
    """

    name: str
    traffic: int
    known: int
    examples: int
    shown: tuple[Encoded, ...]


@dataclass(frozen=True, slots=True)
class Moves:
    """The names of one kind that changed. Each list has at most :data:`LISTED`; the counts are of all of them."""

    new: tuple[Move, ...]
    vanished: tuple[Move, ...]
    grown: tuple[Move, ...]
    shrunk: tuple[Move, ...]
    new_count: int
    vanished_count: int
    grown_count: int
    shrunk_count: int


def moves(kind: Kind, traffic: Sequence[Encoded], known: Sequence[Encoded], examples: Mapping[str, int]) -> Moves:
    """What changed from the seeds to the traffic; ``examples`` are how many of the run's have each name."""
    now, before = _having(kind, traffic), _having(kind, known)

    def move(name: str, shown: Sequence[Encoded]) -> Move:
        counts = (len(now.get(name, ())), len(before.get(name, ())), examples.get(name, 0))
        return Move(name, *counts, tuple(shown[:SHOWN]))

    change = {
        name: len(now[name]) / len(traffic) - len(before[name]) / len(known) for name in now.keys() & before.keys()
    }
    new = sorted(now.keys() - before.keys(), key=lambda name: (-len(now[name]), name))
    vanished = sorted(before.keys() - now.keys(), key=lambda name: (-len(before[name]), name))
    grown = sorted((name for name in change if change[name] > 0), key=lambda name: (-change[name], name))
    shrunk = sorted((name for name in change if change[name] < 0), key=lambda name: (change[name], name))
    return Moves(
        new=tuple(move(name, now[name]) for name in new[:LISTED]),
        vanished=tuple(move(name, before[name]) for name in vanished[:LISTED]),
        grown=tuple(move(name, now[name]) for name in grown[:LISTED]),
        shrunk=tuple(move(name, before[name]) for name in shrunk[:LISTED]),
        new_count=len(new),
        vanished_count=len(vanished),
        grown_count=len(grown),
        shrunk_count=len(shrunk),
    )


def _having(kind: Kind, side: Iterable[Encoded]) -> dict[str, list[Encoded]]:
    found: dict[str, list[Encoded]] = defaultdict(list)
    for one in side:
        for name in one.names(kind):
            found[name].append(one)
    return dict(found)
