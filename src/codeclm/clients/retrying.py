"""Sending a call again when that can help, and telling one bad call from a bad endpoint.

Waiting changes when an answer comes, never which.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from codeclm.clients.calls import Calls
from codeclm.clients.protocol import Client, Layer
from codeclm.errors import CallFailed, QuotaExhausted
from codeclm.records import Completion, Request

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LONGEST_WAIT = 600.0
"""Seconds a server may ask us to wait; one that asks for longer fails the call."""


class Retrying(Layer):
    """Retries what is retriable up to ``retries`` times, after growing delays with jitter or as the server asked.

    A fatal error ends the run only after ``tolerated`` others in a row, for an endpoint that was good a moment ago may
    refuse one prompt with a 403, or break the connection on it.
    """

    def __init__(
        self,
        inner: Client,
        *,
        retries: int,
        sleep: Callable[[float], Awaitable[None]],
        calls: Calls,
        tolerated: int = 0,
    ) -> None:
        super().__init__(inner)
        self._retries = retries
        self._sleep = sleep
        self._calls = calls
        self._tolerated = tolerated
        self._fatal_in_a_row = 0

    async def complete(self, request: Request) -> Completion:
        """The first completion, or the last error with the number of attempts it took."""
        attempt = 1
        while True:
            try:
                completion = await self.inner.complete(request)
                self._fatal_in_a_row = 0
                return completion
            except CallFailed as error:
                error.attempts = attempt
                if not self._worth_another(error, attempt):
                    self._doubt(error)
                    raise
                self._calls.retries[error.cause] += 1
                await self._sleep(delay(attempt, error.retry_after))
            attempt += 1

    def _worth_another(self, error: CallFailed, attempt: int) -> bool:
        patient = error.retry_after is None or error.retry_after <= LONGEST_WAIT
        return error.retriable and patient and attempt <= min(self._retries, error.most_retries)

    def _doubt(self, error: CallFailed) -> None:
        if error.fatal and not isinstance(error, QuotaExhausted):
            self._fatal_in_a_row += 1
            error.fatal = self._fatal_in_a_row > self._tolerated


def delay(attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait after the ``attempt``-th failure; never less than the server asked for."""
    if retry_after is not None:
        return retry_after + random.uniform(0, FIRST_DELAY)
    return random.uniform(0.5, 1) * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1))
