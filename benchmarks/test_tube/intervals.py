"""How sure a figure of the test tube is: means over seeds, differences paired by seed, and what a claim comes to. Pure.

Everything measured is a string of marks for each seed, ``1`` for an item that counts and ``0`` for one that does not,
so a figure is a share of items. Over two seeds or more an interval is Student's over the seeds: it tells how much
another seed (its start, its pairs, its test set) would differ. Of one seed that can't be known. Its interval is over
the items, and says so (``over``): it tells how much other items would differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev
from typing import Literal

from benchmarks.ratios import T_975
from codeclm.evaluating.statistics import crr_interval, paired_test

Over = Literal["seeds", "items"]
Marks = Mapping[int, str]
"""By seed, a ``1`` or ``0`` for each item."""


class Holds(StrEnum):
    """What a claim that one is better than another comes to, by the 95 % interval of their difference."""

    YES = "yes"
    """All of the interval is above 0."""
    NO = "no"
    """All of it is below 0: the contrary holds."""
    OPEN = "open"
    """It holds 0: neither is shown."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % interval, and each seed's own value, in the order of the seeds.

    A share goes from 0 to 1, a difference of two from -1 to 1; so do the intervals' ends.
    """

    value: float
    low: float
    high: float
    over: Over
    by_seed: Mapping[int, float]

    @property
    def holds(self) -> Holds:
        """What a claim comes to of which this is the difference."""
        if self.low > 0:
            return Holds.YES
        return Holds.NO if self.high < 0 else Holds.OPEN


def share(marks: Marks) -> Estimate | None:
    """The share of items marked ``1``; seeds without items are left out, and None where none is left."""
    found = {seed: each for seed, each in sorted(marks.items()) if each}
    by_seed = {seed: each.count("1") / len(each) for seed, each in found.items()}
    if len(found) != 1:
        return _over_seeds(by_seed, lowest=0.0)
    [(seed, only)] = found.items()
    interval = crr_interval(only.count("1"), len(only))
    assert interval is not None  # there are items
    return Estimate(by_seed[seed], *interval, "items", by_seed)


def difference(first: Marks, second: Marks) -> Estimate | None:
    """The first's share less the second's, paired by the seeds that both have; None where they share none.

    Raises ValueError where a seed's items are not as many for both: they were not asked the same.
    """
    seeds = sorted(seed for seed in first.keys() & second.keys() if first[seed] or second[seed])
    pairs = {
        seed: paired_test([mark == "1" for mark in first[seed]], [mark == "1" for mark in second[seed]])
        for seed in seeds
    }
    by_seed = {seed: pair.difference for seed, pair in pairs.items() if pair}
    if len(seeds) != 1:
        return _over_seeds(by_seed, lowest=-1.0)
    [only] = pairs.values()
    assert only is not None  # there are items
    return Estimate(only.difference, *only.interval, "items", by_seed)


def mean_interval(values: list[float]) -> tuple[float, float, float]:
    """The mean of two values or more, and its 95 % interval by Student's t with n - 1 degrees of freedom.

    Beyond 30 values the quantile is that of 30, so that the interval is a little too wide.
    """
    middle = fmean(values)
    half = T_975[min(len(values), len(T_975) + 1) - 2] * stdev(values) / math.sqrt(len(values))
    return middle, middle - half, middle + half


def _over_seeds(by_seed: Mapping[int, float], *, lowest: float) -> Estimate | None:
    if not by_seed:
        return None
    middle, low, high = mean_interval(list(by_seed.values()))
    return Estimate(middle, max(lowest, low), min(1.0, high), "seeds", by_seed)
