"""What a change did, by pairs of figures taken one after the other: a ratio, its interval, and a verdict.

A machine is faster in some minutes than in others, so a figure of one round is only held against its partner of the
same round. The ratios of the rounds are averaged as logarithms; their 95 % interval is Student's, mean +- t * s /
sqrt(n) of the logarithms. A ratio whose interval holds 1 is within the noise, and one that is known to within a
hundredth of 1 is the same. Of 20 figures that nothing changed, one will lie outside by chance.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.figures import Better

Verdict = Literal["same", "noise", "better", "worse", "unclear"]

# The 97.5 % quantiles of Student's t with 1, 2, ... degrees of freedom.
T_975 = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555,
    2.0518, 2.0484, 2.0452,
)  # fmt: skip
MATTERS = 1.01
"""A ratio nearer to 1 than this says nothing that anyone would act on."""

MOST_ROUNDS = len(T_975) + 1


@dataclass(frozen=True)
class Ratio:
    """This over base. ``ratio``, ``low`` and ``high`` are None where they can't be told: a zero, or a single round."""

    base: float
    this: float
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict


def ratio(pairs: Sequence[tuple[float, float]], better: Better) -> Ratio:
    """The rounds' (base, this) as one ratio.

    "same" where every pair is equal or the interval is within MATTERS of 1; "noise" where it holds 1 otherwise;
    "better" or "worse" where it does not; "unclear" after a single round, and where a figure is zero or less.
    ValueError for no round or over 30.
    """
    if not 1 <= len(pairs) <= MOST_ROUNDS:
        raise ValueError(f"{len(pairs)} rounds: 1 to {MOST_ROUNDS} can be compared")
    base, this = (statistics.median(side) for side in zip(*pairs, strict=True))
    if all(one == other for one, other in pairs):
        return Ratio(base, this, 1.0, 1.0, 1.0, "same")
    if any(value <= 0 for pair in pairs for value in pair):
        return Ratio(base, this, None, None, None, "unclear")
    logs = [math.log(other) - math.log(one) for one, other in pairs]
    middle = statistics.fmean(logs)
    if len(logs) == 1:
        return Ratio(base, this, math.exp(middle), None, None, "unclear")
    half = T_975[len(logs) - 2] * statistics.stdev(logs) / math.sqrt(len(logs))
    low, high = math.exp(middle - half), math.exp(middle + half)
    verdict: Verdict = "noise"
    if low >= 1 / MATTERS and high <= MATTERS:
        verdict = "same"
    elif not low <= 1 <= high:
        verdict = "better" if (high < 1) == (better == "lower") else "worse"
    return Ratio(base, this, math.exp(middle), low, high, verdict)
