"""How many calls in flight serve an endpoint best, found out while it works.

Contract. ``limit`` is how many calls may be in flight now, from 1 to ``ceiling``. It is learnt from what is reported
here and from nothing else; there is no clock: every method is told the time, in seconds that never go back.

A server that is full need not refuse anything: vLLM queues, and every call just takes longer. So the limit is doubled
in trials, each judged by throughput. By Little's law throughput is calls in flight by mean latency, so with latencies
``r`` times as long, ``n`` times as many in flight give ``n / r`` times the throughput. A trial that gives less than a
quarter of what was added has found the capacity. Latency that grows with the batch while throughput still grows stops
nothing, for each level is compared with the one before and not with the fastest call ever seen.

Three things would fool it and are kept out:

- a gate that is not full: then demand or pace is the bound, and nothing is learnt about the server;
- a changing mix of short and long calls: latencies are compared stage by stage;
- slow calls that have not ended when a trial is judged: what they have lasted counts.

A refusal for being too many cuts the limit by a quarter, at most once per round trip. It then grows by one per round
trip until it is nearly where it was, and only then, after a pause that grows, is more tried.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

START = 4
"""Calls in flight at first: few enough for the smallest server."""

_FULL = 0.8  # the share of the limit from which on the gate counts as full
_GROWTH = 2.0
_WORTH_IT = 1.25  # the gain in throughput that a doubling must show
_ROOM = 1.2  # what is added to the capacity found, so that the server never waits for the next call
_QUICK = 12  # calls judged at least per level while growing: a wrong step is soon seen at the next one
_CAREFUL = 64  # and once settled, where a step would stay
_DONE = 0.75  # a level is judged when calls that make up so much of its expected time have ended
_CUT, _REGAIN = 0.75, 0.9  # of the calls in flight when the endpoint refused: what is left of them, and come back to
_LATE_WEIGHT, _TOO_LATE = 0.05, 0.1  # of a share of calls without an answer in time
_SHORTEST = 1.5  # seconds at a level at least: a limit on the rate shows in the meantime, before too much is refused
_PAUSE, _LONGEST_PAUSE = 2.0, 300.0  # seconds between two trials of a settled limit, doubled from one to the other


@dataclass(slots=True)
class _Cohort:
    """Calls begun at one level while the gate was full: the ``wanted`` first ones, or all of the first moments."""

    wanted: int
    since: float = math.inf
    begun: int = 0
    in_flight: int = 0
    """Sum over the members of how many were in flight when they were begun."""
    open: dict[int, tuple[str, float, int]] = field(default_factory=dict)
    """The members that have not ended: stage, time begun, calls in flight then."""
    ended: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))
    """By stage: how many members ended, and the seconds they took together."""

    @property
    def level(self) -> float:
        """The calls in flight on average."""
        return self.in_flight / self.begun

    def open_at(self, now: float) -> bool:
        """Whether one more call may join."""
        return self.begun < self.wanted or now < self.since + _SHORTEST

    def ripe(self, usual: dict[str, float], now: float) -> bool:
        """Whether enough of it has ended to be judged; long calls weigh more, as they do in the throughput."""
        if self.open_at(now):
            return False
        other = sum(usual.values()) / len(usual) if usual else 1.0
        owed = sum(usual.get(stage, other) for stage, _, _ in self.open.values())
        done = sum(count * usual.get(stage, other) for stage, (count, _) in self.ended.items())
        return done >= _DONE * (done + owed)

    def latencies(self, now: float) -> dict[str, tuple[float, float]]:
        """By stage: members, and seconds they took together, those still open up to now."""
        found = {stage: (count, seconds) for stage, (count, seconds) in self.ended.items()}
        for stage, begun, _ in self.open.values():
            count, seconds = found.get(stage, (0.0, 0.0))
            found[stage] = (count + 1, seconds + now - begun)
        return found


class Concurrency:
    """The limit of one endpoint. Calls are known by a number of their own."""

    def __init__(self, ceiling: int, start: int = START) -> None:
        self.ceiling = ceiling
        self.limit = min(start, ceiling)
        self._growing = True
        self._base = 0.0  # calls in flight when `_usual` was measured; 0 before
        self._usual: dict[str, float] = {}  # mean seconds by stage
        self._before = 0  # the limit to go back to; 0 when no trial is under way
        self._cohort = _Cohort(max(_QUICK, self.limit))
        self._rest_until = -math.inf
        self._pause = 0.0
        self._cut_at = -math.inf
        self._late = 0.0  # the share of calls without an answer in time, smoothed
        self._regain = 0  # after a cut: the limit to get back to, one by one
        self._credit = 0  # and the calls ended since it last grew

    def keep_to(self, ceiling: int) -> None:
        """Never exceed ``ceiling`` either."""
        if ceiling < self.ceiling:
            self.ceiling = ceiling
            if self.limit > ceiling:
                self._set(ceiling)

    def begun(self, number: int, stage: str, now: float, in_flight: int) -> None:
        """A call is sent; ``in_flight`` counts it."""
        cohort = self._cohort
        if in_flight >= _FULL * self.limit and cohort.open_at(now) and now >= self._rest_until:
            cohort.since = min(cohort.since, now)
            cohort.begun += 1
            cohort.in_flight += in_flight
            cohort.open[number] = (stage, now, in_flight)

    def ended(self, number: int, now: float, latency: float | None, in_flight: int) -> None:
        """A call has ended, after ``latency`` seconds; None for one that failed. ``in_flight`` still counts it."""
        if latency is not None:
            self._late -= _LATE_WEIGHT * self._late
        if self.limit < self._regain and latency is not None and in_flight >= _FULL * self.limit:
            self._credit += 1
            if self._credit >= self.limit:
                self._credit = 0
                self._set(self.limit + 1)
        cohort = self._cohort
        if member := cohort.open.pop(number, None):
            stage, _, in_flight_then = member
            if latency is None:
                cohort.begun -= 1
                cohort.in_flight -= in_flight_then
            else:
                sums = cohort.ended[stage]
                sums[0] += 1
                sums[1] += latency
        # By any call: the last member may have ended while more could still have joined.
        if cohort.begun and cohort.ripe(self._usual, now):
            self._judge(now)

    def timed_out(self, begun_at: float, now: float, in_flight: int) -> None:
        """No answer came in time to a call begun at ``begun_at``: one may be lost, several are a server overrun."""
        self._late += _LATE_WEIGHT * (1 - self._late)
        if self._late > _TOO_LATE:
            self.refused(begun_at, now, in_flight)

    def refused(self, begun_at: float, now: float, in_flight: int) -> None:
        """So many ``in_flight`` are too many for the endpoint, as a call begun at ``begun_at`` was told."""
        if begun_at <= self._cut_at:
            return  # the answer to what was cut already
        self._cut_at = now
        self._late = 0.0
        self._growing = False
        self._regain = max(1, int(_REGAIN * in_flight))
        self._credit = 0
        self._rest(now, max(self._pause, _PAUSE))
        self._before = 0
        self._set(max(1, min(self.limit, int(_CUT * in_flight))))

    def _judge(self, now: float) -> None:
        """A level has been measured: compare it with the one before, and go on to the next."""
        cohort = self._cohort
        gain = self._gain(now)
        trial, before = self._before, self._base
        if trial and gain is not None and gain < _WORTH_IT:
            settled = max(trial, math.ceil(_ROOM * before * gain)) if self._growing else trial
            self._settle(now, min(settled, self.limit))
            return
        fresh = {stage: seconds / count for stage, (count, seconds) in cohort.latencies(now).items()}
        longer = cohort.level / before / gain if gain else 1.0  # also for the stages that had no call here
        self._usual = {stage: longer * seconds for stage, seconds in self._usual.items()} | fresh
        self._base = cohort.level
        if self.limit < self.ceiling:
            self._before = self.limit
            self._set(math.ceil(_GROWTH * self.limit))
        else:
            self._settle(now, self.limit)

    def _gain(self, now: float) -> float | None:
        """The throughput of this level by that of the one before; None where they have hardly a stage in common."""
        known, expected, took = 0.0, 0.0, 0.0
        for stage, (count, seconds) in self._cohort.latencies(now).items():
            if stage in self._usual:
                known += count
                expected += count * self._usual[stage]
                took += seconds
        if not self._base or known < self._cohort.begun / 2 or took <= 0:
            return None
        return self._cohort.level / self._base * expected / took

    def _settle(self, now: float, limit: int) -> None:
        self._growing = False
        self._before = 0
        self._rest(now, self._pause)
        self._set(limit)

    def _rest(self, now: float, pause: float) -> None:
        self._rest_until = now + pause
        self._pause = min(_LONGEST_PAUSE, max(_PAUSE, 2 * pause))

    def _set(self, limit: int) -> None:
        self.limit = min(limit, self.ceiling)
        self._cohort = _Cohort(max(_QUICK if self._growing else _CAREFUL, self.limit))
