"""How fast calls may be sent to an endpoint: as configured, as its headers tell, and as its refusals teach.

Contract. :meth:`Pace.wait` tells how many seconds from now the next call may be sent. There is no clock here: every
method is told the time, in seconds that never go back. Calls are numbered by :meth:`Pace.begun`.

- What is configured is kept to always, whatever else is learnt.
- Headers are believed as long as they prove true: while they say there is enough left nothing waits, after that calls
  are paced at the rate of refilling, so that the refusal never happens.
- A refusal stops all sending, since a refusal comes back within milliseconds and thousands could follow. Single calls
  are sent to see whether it is a limit. If they are refused too, nothing is sent until the endpoint's own time has
  passed, and then at the rate that the refusals themselves tell (see refusals.py), which grows gently. If two are not,
  it was an accident, and all go on. Where many are refused all the same, sending at half the rate for a while tells.
- Otherwise calls are free, only not in lumps: never at more than twice the rate at which replies come.

Without a Retry-After no single wait is longer than 60 s, and neither is one with it for the calls that only wait along:
then one call finds out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from codeclm.clients.rate_headers import Allowance, allowances
from codeclm.clients.refusals import Refusals, Trial

LONGEST_HOLD = 60.0
"""Seconds after which a call is sent whatever was said."""

_BELOW = 0.97  # of the rate learnt: a little under it, nothing is refused
_AS_MANY = 0.9  # of the calls in flight at the last refusal
_SURE = 0.7  # a refusal at so much of the rate learnt confirms it
_GROWTH = 0.2  # of the rate, over as many seconds as it was observed for: the better known, the slower
_MOST_GROWTH = 0.05  # of the rate, per second
_TOO_LOW = 1.5  # what the rate is raised by when it turns out that there was no limit at it
_FAR_ABOVE = 10.0  # times what is sent: a rate so high bounds nothing
_BLIND_GROWTH = 2.0  # of a rate that is only a careful start, per second
_FELT = 1.0  # seconds after which a careful start that makes nobody wait is over
_HINT_WAIT = 5.0  # seconds that a header alone can make a call wait
_LIES = 3
_LUMP = 4  # calls that may go out at once
_NOTICED = 0.001  # seconds of waiting from which on the rate learnt is what bounds the calls
_LONGEST_GAP = 0.05  # seconds: fewer calls than this would make are no lump
_SECONDS_OF_TOKENS = 10.0  # how much of the configured tokens may be saved up
_SLOWER = 0.5  # of the rate, while it is tried whether that makes a difference
_TRIAL_PAUSE = 10.0  # seconds, and so many times as long as a trial took, until the next one; doubled each time
_PASSES = 2  # calls that must pass to make a refusal an accident
_SHORTEST_CHECK, _LONGEST_CHECK = 0.01, 2.0


@dataclass(slots=True)
class Bucket:
    """``rate`` units a second run into it, and no more than ``capacity`` are kept; sending takes some out.

    It may be in debt: sending needs ``least`` units, but may take more.
    """

    rate: float
    capacity: float
    level: float
    at: float = -math.inf
    least: float = 1.0

    def fill(self, now: float) -> None:
        """Let in what has come since."""
        if now > self.at:
            since = 0.0 if self.at == -math.inf else now - self.at
            self.level = min(self.capacity, self.level + self.rate * since)
            self.at = now

    def wait(self, now: float) -> float:
        """Seconds until there is enough."""
        self.fill(now)
        missing = self.least - self.level
        return 0.0 if missing <= 1e-9 else missing / self.rate if self.rate > 0 else math.inf


@dataclass(slots=True)
class _Hint:
    """A bucket as the headers describe it, and how often it proved untrue."""

    bucket: Bucket
    number: int
    waited_since: float = math.inf
    lies: int = 0


@dataclass(slots=True)
class Sent:
    """A call that was sent: its number, when, how many were in flight with it, the tokens reckoned for it, and which
    headers spoke against it."""

    number: int
    at: float
    in_flight: int
    tokens: float
    against: tuple[str, ...] = ()


class Pace:
    """The pace of one endpoint."""

    def __init__(self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None) -> None:
        self.held_until = -math.inf
        """Until then nothing is sent, since the endpoint refuses calls."""
        self._requests: Bucket | None = None
        self._tokens: Bucket | None = None
        self.keep_to(requests_per_minute, tokens_per_minute)
        self._hints: dict[str, _Hint] = {}
        self._refusals = Refusals()
        self._learnt: Bucket | None = None
        self._rate_then = 0.0  # what it was when the limit was last met
        self._blind = False  # whether it is no more than a careful start
        self._eager = 1.0  # what growth is multiplied by: more when calls were taken for refused by mistake
        self._grown_at = -math.inf
        self._bound = False  # whether the rate learnt made the next call wait
        self._in_a_row = 0  # holds without a reply in between
        self._checking = 0  # how many more calls sent to find out must be refused to make it a limit
        self._let_pass = 0  # how many were not
        self._probe: Sent | None = None
        self._asked_to_wait = 0.0
        self._fewest = math.inf  # in flight when a call was refused, since the last verdict
        self._crowd = 0.0  # the same when a limit was last met, while it may be one on how many are in flight
        self._trial: Trial | None = None
        self._slower: Bucket | None = None  # what bounds the calls of a trial
        self._no_trial_until = -math.inf
        self._trial_pause = _TRIAL_PAUSE
        self._gap = 0.0
        self._smooth = 0.0  # when the next call would be sent if all were evenly spaced
        self._times: deque[float] = deque(maxlen=50)

    def keep_to(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> None:
        """Never exceed these either."""
        if requests_per_minute and (self._requests is None or requests_per_minute / 60 < self._requests.rate):
            self._requests = _steady(requests_per_minute / 60)
        if tokens_per_minute and (self._tokens is None or tokens_per_minute / 60 < self._tokens.rate):
            share = tokens_per_minute / 60 * _SECONDS_OF_TOKENS
            self._tokens = Bucket(tokens_per_minute / 60, share, share, least=0.0)

    @property
    def rate(self) -> float | None:
        """Calls per second that are allowed now by what is configured or learnt; None while nothing but the server
        bounds them."""
        rates = [bucket.rate for bucket in (self._requests, self._learnt) if bucket]
        return min(rates) if rates else None

    @property
    def counts_tokens(self) -> bool:
        """Whether the tokens of calls matter to the pace."""
        return self._tokens is not None or "tokens" in self._hints

    def even(self, seconds: float, at_once: int) -> None:
        """Replies take ``seconds`` with ``at_once`` in flight: space the calls accordingly."""
        self._gap = min(_LONGEST_GAP, seconds / (2 * at_once))

    def wait(self, now: float) -> float:
        """Seconds until the next call may be sent; 0 when it may be sent now."""
        if now < self.held_until:
            return self.held_until - now
        configured = max(_wait(self._requests, now), _wait(self._tokens, now))
        if self._checking:
            if self._probe is None:
                return configured
            verdict = self._probe.at + min(_LONGEST_CHECK, max(_SHORTEST_CHECK, 3 * self._refusals.round_trip))
            if now < verdict:
                return verdict - now
            self._passed(now)
            if self._checking:
                return configured
        lump = self._smooth - now
        learnt = min(LONGEST_HOLD, _wait(self._learnt, now))
        self._bound = self._bound or learnt > _NOTICED
        return max(0.0, configured, learnt, _wait(self._slower, now), lump if lump > 1e-9 else 0.0, self._hinted(now))

    def begun(self, now: float, in_flight: int, tokens: float = 0.0) -> Sent:
        """A call is sent, reckoned at ``tokens``; ``in_flight`` counts it."""
        self._refusals.sent += 1
        self._times.append(now)
        against = tuple(name for name, hint in self._hints.items() if hint.bucket.level < hint.bucket.least - 1e-9)
        sent = Sent(self._refusals.sent, now, in_flight, tokens, against)
        for bucket, amount in self._buckets(tokens):
            bucket.fill(now)
            bucket.level -= amount
        for hint in self._hints.values():
            hint.waited_since = math.inf
        self._smooth = max(self._smooth, now - _LUMP * self._gap) + self._gap
        if self._checking and self._probe is None:
            self._probe = sent
        self._grow(now)
        return sent

    def answered(self, sent: Sent, now: float, tokens: float = 0.0) -> int:
        """The call was worked on, and came to ``tokens``. Returns what :meth:`refused` does."""
        self._in_a_row = 0
        for bucket in (self._tokens, self._hints["tokens"].bucket if "tokens" in self._hints else None):
            if bucket:
                bucket.level += sent.tokens - tokens
        for name in sent.against:
            if hint := self._hints.get(name):
                hint.lies += 1
        if sent is self._probe:
            self._passed(now)
        return self._tried(self._trial, now) if self._trial and self._trial.over(self._refusals.sent) else 0

    def failed(self, sent: Sent) -> None:
        """The call failed in a way that says nothing about limits."""
        if self._tokens:
            self._tokens.level += sent.tokens
        if sent is self._probe:
            self._probe = None  # another one has to find out

    def refused(self, sent: Sent, now: float, retry_after: float | None) -> int:
        """The call was refused. Where that is for too many at once and not for too many a minute, returns how many."""
        self._refusals.add(sent.number, now - sent.at)
        if self._tokens:
            self._tokens.level += sent.tokens
        for name in sent.against:
            if hint := self._hints.get(name):
                hint.lies = 0
        if now < self.held_until:  # sent before it was known
            if retry_after is not None:
                self.held_until = max(self.held_until, now + min(retry_after, LONGEST_HOLD))
            return 0
        self._asked_to_wait = max(self._asked_to_wait, retry_after or 0.0)
        self._fewest = min(self._fewest, sent.in_flight)
        self._try_slower(sent, now)
        if probing := sent is self._probe:
            self._probe = None
            self._checking -= 1
        proved = probing and not self._checking
        if proved or self._refusals.crowded or self._expected(sent):
            return self._hold(sent, now)
        if not self._checking and self._refusals.suspicious:
            self._checking, self._let_pass = self._refusals.probes, 0
        return 0

    def told(self, headers: Mapping[str, str], sent: Sent | None, now: float) -> None:
        """The headers of a reply, good or bad, to the call ``sent``."""
        for kind, allowance in allowances(headers).items():
            hint = self._hints.get(kind)
            if sent is None or (hint and (hint.lies >= _LIES or hint.number > sent.number)):
                continue
            self._believe(kind, allowance, sent, now)

    def _believe(self, kind: str, allowance: Allowance, sent: Sent, now: float) -> None:
        """Take over what a header says. It is as old as the call: what was sent since is not counted in it."""
        since = self._refusals.sent - sent.number
        each = 1.0 if kind == "requests" else max(sent.tokens, 1.0)
        rate = _BELOW * allowance.rate
        level = min(allowance.limit, allowance.remaining - since * each + rate * (now - sent.at))
        bucket = Bucket(rate, allowance.limit, level, now, least=2 * each)
        known = self._hints.get(kind)
        if known:
            known.bucket, known.number = bucket, sent.number
        else:
            self._hints[kind] = _Hint(bucket, sent.number)

    def _hinted(self, now: float) -> float:
        longest = 0.0
        for hint in self._hints.values():
            if hint.lies >= _LIES or not (wait := hint.bucket.wait(now)):
                continue
            hint.waited_since = min(hint.waited_since, now)
            longest = max(longest, min(wait, hint.waited_since + _HINT_WAIT - now))
        return longest

    def _buckets(self, tokens: float) -> list[tuple[Bucket, float]]:
        found = [(bucket, 1.0) for bucket in (self._requests, self._learnt, self._slower) if bucket]
        if self._tokens:
            found.append((self._tokens, tokens))
        return found + [(hint.bucket, 1.0 if name == "requests" else tokens) for name, hint in self._hints.items()]

    def _expected(self, sent: Sent) -> bool:
        """Whether a refusal just here is what the rate learnt leads one to expect, so that no call need find out."""
        if self._learnt is None or self._refusals.doubtful:
            return False
        rate = self._refusals.rate_since(sent.number, sent.at)
        return rate is not None and rate >= _SURE * self._rate_then

    def _hold(self, sent: Sent, now: float) -> int:
        """A limit is met: wait as asked, and go on at the rate it leaves, or with fewer at once.

        It can be how many are in flight as long as no fewer than before were refused. Returns that number, or 0.
        """
        self._refusals.was_limit(sent.number, sent.at)
        self._in_a_row += 1
        seconds = self._asked_to_wait or 2.0 ** min(self._in_a_row - 1, 6)
        self.held_until = now + min(seconds, LONGEST_HOLD)
        self._asked_to_wait = 0.0
        self._checking, self._probe = 0, None
        too_many = self._too_many(self._fewest)
        rate = None if too_many else self._refusals.rate
        known = self._learnt.rate if self._learnt else min(self._recent(now), 1 / self._refusals.round_trip)
        self._learnt = _steady(_BELOW * rate if rate else known / 2)
        self._rate_then = self._learnt.rate
        self._blind = not rate
        self._eager = 1.0
        self._grown_at = now
        return too_many

    def _too_many(self, fewest: float) -> int:
        """Whether the limit just met may be one on how many are in flight: then so many, else 0 from now on."""
        self._fewest, self._trial, self._slower = math.inf, None, None
        if fewest < _AS_MANY * self._crowd:
            self._crowd = math.inf
            return 0
        self._crowd = fewest
        return int(fewest)

    def _try_slower(self, sent: Sent, now: float) -> None:
        """Begin to try whether fewer are refused when fewer are sent, or count what is refused meanwhile."""
        if self._trial:
            self._trial.refused += sent.number > self._trial.first
        elif now >= self._no_trial_until and (trial := self._refusals.trial(self._recent(now), now, self._fewest)):
            self._trial, self._slower = trial, _steady(max(_SLOWER * trial.admitted, 1 / LONGEST_HOLD))

    def _tried(self, trial: Trial, now: float) -> int:
        """The verdict of a trial: a limit, which is kept to from now on, or accidents. Returns what _hold does."""
        self._trial = self._slower = None
        self._refusals.forget()
        if trial.limit:
            self._trial_pause = _TRIAL_PAUSE
            if too_many := self._too_many(trial.in_flight):
                return too_many
            self._learnt, self._rate_then, self._blind = _steady(_BELOW * trial.admitted), 0.0, False
            self._eager, self._grown_at = 1.0, now
            return 0
        self._no_trial_until = now + max(self._trial_pause, _TRIAL_PAUSE * (now - trial.begun_at))
        self._trial_pause *= 2
        return 0

    def _passed(self, now: float) -> None:
        """A call sent to find out was not refused. One may have met what came back just then: two have not."""
        self._probe = None
        self._let_pass += 1
        if self._let_pass < _PASSES:
            return
        self._refusals.was_accident()
        self._checking, self._asked_to_wait, self._fewest = 0, 0.0, math.inf
        if self._learnt:
            self._learnt.rate *= _TOO_LOW
            self._eager *= 2
            if self._learnt.rate > _FAR_ABOVE * self._recent(now):
                self._learnt = None

    def _recent(self, now: float) -> float:
        """Calls sent per second of late."""
        return len(self._times) / max(now - self._times[0], 0.001)

    def _grow(self, now: float) -> None:
        """Let the rate learnt grow, while it is what bounds the calls."""
        if self._learnt and self._bound:
            since = min(1.0, max(0.0, now - max(self._grown_at, self.held_until)))
            growth = self._eager * min(_MOST_GROWTH, _GROWTH / max(self._refusals.span, 1.0))
            self._learnt.rate *= 1 + (_BLIND_GROWTH if self._blind else min(_BLIND_GROWTH, growth)) * since
        elif self._learnt and self._blind and now > self.held_until + _FELT:
            self._learnt = None
        self._grown_at, self._bound = now, False


def _wait(bucket: Bucket | None, now: float) -> float:
    return bucket.wait(now) if bucket else 0.0


def _steady(rate: float) -> Bucket:
    """One call at a time at ``rate`` a second."""
    return Bucket(rate, 1.0, 1.0)
