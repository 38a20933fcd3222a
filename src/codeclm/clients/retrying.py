"""Sending a call again when that can help, and telling one bad call from a bad endpoint.

Waiting changes when an answer comes, never which.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from codeclm import events
from codeclm.clients.breaker import Breaker
from codeclm.clients.faults import Faults, cut_early
from codeclm.clients.protocol import Client, Layer
from codeclm.errors import CallFailed, QuotaExhausted, RateLimited, Truncated, WorkerLost
from codeclm.records import Completion, Request

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LONGEST_WAIT = 600.0
"""Seconds a server may ask us to wait; one that asks for longer fails the call, or the run if it asks that of all."""
# A call that is there whenever the endpoint falls over may be what it falls over.
_MOST_OUTAGES = 10


class Retrying(Layer):
    """Retries what is retriable up to ``retries`` times, after growing delays with jitter or as the server asked.

    Attempts that failed because the endpoint was out of order, by the ``breaker``'s word, or because the worker that
    made them died, are not the call's own and use none of them up; refusals for the rate and other failures are counted
    apart. An error that no waiting mends is fatal, which ends the run, unless the breaker finds that it is this one
    prompt's: forbidden with a 403, say.
    """

    def __init__(
        self,
        inner: Client,
        *,
        retries: int,
        sleep: Callable[[float], Awaitable[None]],
        faults: Faults,
        breaker: Breaker | None = None,
    ) -> None:
        super().__init__(inner)
        self._retries = retries
        self._sleep = sleep
        self._faults = faults
        self._breaker = breaker

    async def complete(self, request: Request) -> Completion:
        """The first completion, or the last error with the number of attempts it took."""
        attempts: _Attempts | None = None  # most calls never fail
        while True:
            try:
                completion = await self.inner.complete(request)
                if cut_early(completion, self.max_tokens):  # a completion like others, but a failed attempt as well
                    self._faults.count(Truncated.cause, stage=request.stage, attempt=request.attempt + 1)
                return completion
            except CallFailed as error:
                attempts = attempts or _Attempts(self._retries)
                attempts.count(error)
                self._faults.count(error.cause, stage=request.stage, attempt=error.attempts)
                wait = await self._wait(error, attempts)
                if wait is None:
                    raise
                self._faults.calls.retries[error.cause] += 1
                model, seconds = self._faults.model, round(wait, 3)
                events.note("sent_again", model=model, stage=request.stage, cause=error.cause, wait=seconds)
                await self._rest(wait)

    async def _rest(self, seconds: float) -> None:
        calls = self._faults.calls
        calls.resting += 1
        try:
            await self._sleep(seconds)
        finally:
            calls.resting -= 1

    async def _wait(self, error: CallFailed, attempts: _Attempts) -> float | None:
        """Seconds until the call is worth another attempt; None when it is not, with ``error.fatal`` settled."""
        if isinstance(error, WorkerLost) and attempts.outages < _MOST_OUTAGES:
            attempts.forgive(error)
            return 0.0
        last = not attempts.worth_another(error)
        if self._breaker:
            if await self._breaker.at_fault(error, last=last):
                if error.retriable and attempts.outages < _MOST_OUTAGES:
                    attempts.forgive(error)
                    return delay(attempts.outages)
                error.fatal = not error.retriable
                return None
            error.fatal = isinstance(error, QuotaExhausted)
        return None if last else delay(attempts.own.total(), error.retry_after)


@dataclass(slots=True)
class _Attempts:
    """A call's failed attempts: ``own`` by cause, and those put down to ``outages`` of its endpoint."""

    retries: int
    own: Counter[str] = field(default_factory=Counter)
    outages: int = 0

    def count(self, error: CallFailed) -> None:
        """One more; the error is told how many there were."""
        self.own[error.cause] += 1
        error.attempts = self.own.total() + self.outages

    def forgive(self, error: CallFailed) -> None:
        """It was not the call's own."""
        self.own[error.cause] -= 1
        self.outages += 1

    def worth_another(self, error: CallFailed) -> bool:
        """Whether the call itself may be sent again. A refusal for the rate says nothing of it: counted apart."""
        patient = error.retry_after is None or error.retry_after <= LONGEST_WAIT
        refused = self.own[RateLimited.cause]
        failed = refused if isinstance(error, RateLimited) else self.own.total() - refused
        return error.retriable and patient and failed <= self.retries and self.own[error.cause] <= error.most_retries


def delay(attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait after the ``attempt``-th failure; never less than the server asked for."""
    if retry_after is not None:
        return retry_after + random.uniform(0, FIRST_DELAY)
    return random.uniform(0.5, 1) * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1))
