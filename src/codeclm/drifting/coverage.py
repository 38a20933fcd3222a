"""How much of the traffic the run's examples cover. Pure.

A name is covered where at least one example was made from it, whichever other names that example has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from codeclm.drifting.encoded import KINDS, Encoded

ENOUGH: Final = 0.9
"""From this share of covered instructions on, the examples are said to cover the traffic."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares from 0 to 1; None where there is nothing to take a share of.

    ``instructions`` is of the traffic's instructions: those whose use case and all of whose skills occur in the
    examples. ``use_cases`` and ``skills`` are of the names, each counted as often as the traffic has it.
    """

    covered: int
    instructions: float | None
    use_cases: float | None
    skills: float | None

    @property
    def enough(self) -> bool:
        """Whether the examples cover the traffic."""
        return self.instructions is not None and self.instructions >= ENOUGH


def coverage(traffic: Sequence[Encoded], use_cases: Collection[str], skills: Collection[str]) -> Coverage:
    """Hold the traffic against the names that occur in the examples, which are in lower case.

    Where the examples have no use case, as those of a method without metadata, nothing is known.
    """
    if not use_cases:
        return Coverage(0, None, None, None)
    known = dict(zip(KINDS, (use_cases, skills), strict=True))
    covered = sum(all(name in known[kind] for kind in KINDS for name in one.names(kind)) for one in traffic)
    shares = {kind: _share([name in known[kind] for one in traffic for name in one.names(kind)]) for kind in KINDS}
    whole = round(covered / len(traffic), 6) if traffic else None
    return Coverage(covered, whole, shares["use_cases"], shares["skills"])


def _share(covered: Sequence[bool]) -> float | None:
    return round(sum(covered) / len(covered), 6) if covered else None
