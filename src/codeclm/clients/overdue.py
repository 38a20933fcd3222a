"""Calls that take far longer than their kind usually does: most likely lost, on a hung connection or in a stuck worker.

A few of them would fill all places of an endpoint whose calls are short, and stand for a slow server where there is
none. So the gate counts them out, up to a bound: where everything hangs, hardly more is sent than before.
"""

from __future__ import annotations

import heapq
from collections import Counter

_TIMES = 3.0  # the longest that a call of its stage took lately, after which another is overdue
_FADES = 0.02  # what each shorter call takes off that
_KNOWN = 20  # calls answered before a stage is known at all
_AT_LEAST = 1.0  # seconds
_SPARE = 16


class Overdue:
    """The calls in flight at one endpoint, by numbers of their own, and those of them that are overdue.

    Times are in seconds of a clock that never goes back. No call of a stage is overdue until some of its kind were
    answered.
    """

    def __init__(self) -> None:
        self._longest: dict[str, float] = {}
        self._answered: Counter[str] = Counter()
        self._stages: dict[int, str] = {}
        self._due: list[tuple[float, int]] = []
        self._lost: set[int] = set()

    def begun(self, number: int, stage: str, now: float) -> None:
        """A call is sent."""
        self._stages[number] = stage
        if self._answered[stage] >= _KNOWN:
            heapq.heappush(self._due, (now + max(_AT_LEAST, _TIMES * self._longest[stage]), number))

    def ended(self, number: int, latency: float | None) -> bool:
        """A call has ended after ``latency`` seconds, None where it was not answered. Whether it was overdue."""
        stage = self._stages.pop(number)
        lost = number in self._lost
        self._lost.discard(number)
        if latency is not None:
            self._answered[stage] += 1
            longest = self._longest.get(stage, latency)
            self._longest[stage] = max(latency, longest + _FADES * (latency - longest))
        return lost

    def newly(self, now: float) -> list[int]:
        """The calls that have become overdue since the last look."""
        found = []
        while self._due and (self._due[0][0] <= now or self._due[0][1] not in self._stages):
            _, number = heapq.heappop(self._due)
            if number in self._stages:
                found.append(number)
        self._lost.update(found)
        return found

    @property
    def next(self) -> float | None:
        """When the next call will be overdue unless it ends before; None where none can be."""
        return self._due[0][0] if self._due else None

    def counted_out(self, limit: int) -> int:
        """How many overdue calls need not count against ``limit``."""
        return min(len(self._lost), max(_SPARE, limit)) if self._lost else 0
