"""Telling a rate limit from an accident, and how high the limit is, by what an endpoint refuses.

Contract. Calls are numbered in the order they are sent. A 429 may mean that a limit is reached, and then everything
sent after it is refused too; or it may be one server's bad moment, and then waiting would only lose time. So a refusal
counts as a limit when calls sent close to it fared the same. Nothing here waits or sends; the times are told.

Where refusals are many, but neither all nor few, slowing down tells: of a limit, hardly any are left.

The limit's height is what was admitted between two moments at which nothing was left: that much was refilled
in between, whatever was sent and whenever. The further apart the moments, the truer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_REMEMBERED = 90.0  # seconds: longer than the minute in which limits are counted
_CHANGED = 0.5  # an estimate so much below the earlier one means that the limit is another one now
_MOST_DOUBT = 4
# Of so many calls sent last, so many refused are a limit whatever else is known.
_CROWDS = ((12, 10), (50, 24), (200, 60))
_AT_LEAST = 0.05  # seconds between the moments an estimate is made from


_MANY = 0.04  # the share refused of the last calls that is worth a trial
_ENOUGH = 15.0  # calls that would be refused in a trial if slowing down made no difference
_LONGEST_TRIAL = 5.0  # seconds at the usual rate
_FEWER = 1 / 3  # of them: so few show that it does


@dataclass(slots=True)
class Trial:
    """A stretch of calls sent more slowly, from number ``first`` on: are they refused as often as ``share`` before?"""

    first: int
    share: float
    admitted: float
    """Calls admitted per second before."""
    begun_at: float
    in_flight: float
    """The fewest in flight with a call that was refused before."""
    refused: int = 0

    def over(self, sent: int) -> bool:
        """Whether so many calls sent in all are enough."""
        return (sent - self.first) * self.share >= _ENOUGH

    @property
    def limit(self) -> bool:
        """Whether it was a limit that refused."""
        return self.refused <= _FEWER * _ENOUGH


class Refusals:
    """The refusals of one endpoint."""

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        self._recent: deque[int] = deque(maxlen=_CROWDS[-1][1])
        self._empty: deque[tuple[float, int]] = deque()
        self._in_a_row = 1
        self.round_trip = 0.05
        """Seconds a refusal takes to come back, smoothed."""

    def add(self, number: int, took: float) -> None:
        """Call ``number`` was refused, ``took`` seconds after it was sent."""
        self.refused += 1
        self._recent.append(number)
        self.round_trip += 0.3 * (took - self.round_trip)

    @property
    def suspicious(self) -> bool:
        """Whether the latest refusals may be a limit: so many calls in a row as earlier accidents have taught."""
        latest = max(self._recent, default=0)
        return set(range(latest - self._in_a_row + 1, latest + 1)) <= set(self._recent)

    @property
    def crowded(self) -> bool:
        """Whether so many of the calls sent last were refused that it can't be an accident."""
        return any(sum(number > self.sent - last for number in self._recent) >= most for last, most in _CROWDS)

    @property
    def probes(self) -> int:
        """How many calls sent to find out must be refused to make it a limit."""
        return self._in_a_row + 1

    @property
    def doubtful(self) -> bool:
        """Whether there were accidents of late."""
        return self._in_a_row > 1

    def trial(self, rate: float, now: float, in_flight: float) -> Trial | None:
        """A trial, where so many are refused that it is worth one; ``rate`` is how many calls are sent per second."""
        window = _CROWDS[-1][0]
        share = sum(number > self.sent - window for number in self._recent) / window
        if self.sent < window or share < _MANY or _ENOUGH / share > _LONGEST_TRIAL * rate:
            return None
        return Trial(self.sent, share, rate * (1 - share), now, in_flight)

    def was_limit(self, number: int, begun_at: float) -> None:
        """The refusal of call ``number`` was a limit: nothing was left when it was sent."""
        self._in_a_row = max(1, self._in_a_row - 1)
        self.forget()
        admitted = number - self.refused
        self._empty.append((begun_at, admitted))
        while self._empty[0][0] < begun_at - _REMEMBERED:
            self._empty.popleft()
        if len(self._empty) > 2:
            whole, last = self._between(0, -1), self._between(-2, -1)
            if whole and last is not None and last < _CHANGED * whole:
                while len(self._empty) > 2:
                    self._empty.popleft()

    def forget(self) -> None:
        """What was refused lately is accounted for."""
        self._recent.clear()

    def was_accident(self) -> None:
        """What looked like a limit was none: take more to be alarmed next time."""
        self._in_a_row = min(_MOST_DOUBT, self._in_a_row + 1)

    def rate_since(self, number: int, begun_at: float) -> float | None:
        """Calls per second admitted since the limit was last met, if call ``number`` met it again."""
        if not self._empty:
            return None
        at, admitted = self._empty[-1]
        return (number - self.refused - admitted) / max(begun_at - at, _AT_LEAST)

    @property
    def rate(self) -> float | None:
        """The limit in calls per second; None before it was met twice."""
        return self._between(0, -1) if len(self._empty) > 1 else None

    @property
    def span(self) -> float:
        """Seconds that the rate was observed for."""
        return self._empty[-1][0] - self._empty[0][0] if self._empty else 0.0

    def _between(self, first: int, last: int) -> float | None:
        (start, before), (end, after) = self._empty[first], self._empty[last]
        if end - start < _AT_LEAST or after <= before:
            return None
        return (after - before) / (end - start)
