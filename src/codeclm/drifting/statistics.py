"""How far two sets of instructions lie apart, and how often chance alone would put them so far. Pure.

The distance is Jensen-Shannon's (text_measures.py), once of use cases and once of skills. One permutation test is of
both. What is permuted is which instructions are traffic; whole instructions change places, since the skills of one
belong together. Each division is ranked by either distance among all, the one seen included, and the better of its two
ranks counts; p is the share of divisions whose rank is at least as good as that of the one seen (Westfall and Young
1993, minimum p). So a shift in skills alone is not drowned by the chance there is in use cases, as in a sum it would
be. Were both sets drawn from one distribution, every division would be as likely as the one seen: p is right at any
size, without a further assumption, and as that one counts too it is never 0 (Phipson and Smyth 2010).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from codeclm.drifting.encoded import KINDS, Encoded, Kind
from codeclm.text_measures import jensen_shannon

PERMUTATIONS: Final = 2_000
"""Divisions that are drawn besides the one seen: p is at least 1 / 2,001."""

ALPHA: Final = 0.01
"""Below this p the traffic is said to have moved: of 100 files that have not, about one is."""

_DIGITS = 9  # of a distance: equal divisions must not differ by the order their terms are added in


@dataclass(frozen=True, slots=True)
class Distances:
    """Jensen-Shannon distances from 0 (the same) to 1 (no name in common), None where a side has no names; and p.

    ``p_value`` is None where a side has no instruction.
    """

    use_cases: float | None
    skills: float | None
    p_value: float | None
    permutations: int

    @property
    def moved(self) -> bool:
        """Whether chance would hardly put the two so far apart."""
        return self.p_value is not None and self.p_value < ALPHA


def distances(
    traffic: Sequence[Encoded], known: Sequence[Encoded], *, seed: int, permutations: int = PERMUTATIONS
) -> Distances:
    """Hold the traffic against what is known. The order of neither matters; ``seed`` draws the permutations."""
    apart = {
        kind: jensen_shannon(*([name for one in side for name in one.names(kind)] for side in (traffic, known)))
        for kind in KINDS
    }
    if not traffic or not known:
        return Distances(apart["use_cases"], apart["skills"], None, 0)
    p_value = _p_value(traffic, known, random.Random(f"{seed}/drift"), permutations)
    return Distances(apart["use_cases"], apart["skills"], p_value, permutations)


def _p_value(traffic: Sequence[Encoded], known: Sequence[Encoded], rng: random.Random, permutations: int) -> float:
    # Which side is which makes no difference to the distance, so the smaller one is drawn and counted.
    smaller, larger = sorted((traffic, known), key=len)
    pooled = [(one, True) for one in smaller] + [(one, False) for one in larger]
    pooled.sort(key=lambda row: (row[0].use_case, row[0].skills))
    names = [Counted([one for one, _ in pooled], kind) for kind in KINDS]
    seen = [place for place, (_, of_smaller) in enumerate(pooled) if of_smaller]
    drawn = (rng.sample(range(len(pooled)), len(smaller)) for _ in range(permutations))
    apart = [[one.distance_of(part) for one in names] for part in chain([seen], drawn)]
    ranks = [_ranks(of_kind) for of_kind in zip(*apart, strict=True)]
    best: list[int] = [min(of_division) for of_division in zip(*ranks, strict=True)]
    return sum(rank <= best[0] for rank in best) / len(best)


def _ranks(values: Sequence[float]) -> list[int]:
    """How many of the values are at least as large as each."""
    ordered = sorted(values)
    return [len(ordered) - bisect_left(ordered, value) for value in values]


class Counted:
    """The names of one kind among all instructions, numbered, so that a division is counted fast."""

    def __init__(self, pooled: Sequence[Encoded], kind: Kind) -> None:
        totals = Counter(name for one in pooled for name in one.names(kind))
        number = {name: place for place, name in enumerate(sorted(totals))}
        self._of = [[number[name] for name in one.names(kind)] for one in pooled]
        self._totals = [totals[name] for name in number]
        self._all = totals.total()

    def distance_of(self, part: Sequence[int]) -> float:
        """The distance of the instructions at these places from the rest; 0 where neither has a name, 1 where one."""
        counts = Counter(chain.from_iterable(self._of[place] for place in part))
        within = counts.total()
        without = self._all - within
        if not within or not without:
            return float(within != without)
        # Names with the same two counts add the same, and most have small ones; those of the rest alone half a share.
        alike = Counter((count, self._totals[name]) for name, count in counts.items())
        rest = self._all - sum(total * times for (_, total), times in alike.items())
        divergence = rest / without / 2 + math.fsum(
            times * _term(count / within, (total - count) / without) for (count, total), times in alike.items()
        )
        return round(math.sqrt(min(1.0, max(0.0, divergence))), _DIGITS)


def _term(p: float, q: float) -> float:
    middle = (p + q) / 2
    return sum(share * math.log2(share / middle) / 2 for share in (p, q) if share)
