"""Sending a call again when that can help. Waiting changes when an answer comes, never which."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from codeclm.clients.calls import Calls
from codeclm.clients.protocol import Client, Layer
from codeclm.errors import CallFailed
from codeclm.records import Completion, Request

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0


class Retrying(Layer):
    """Retries what is retriable up to ``retries`` times, after growing delays with jitter or as the server asked."""

    def __init__(self, inner: Client, *, retries: int, sleep: Callable[[float], Awaitable[None]], calls: Calls) -> None:
        super().__init__(inner)
        self._retries = retries
        self._sleep = sleep
        self._calls = calls

    async def complete(self, request: Request) -> Completion:
        """The first completion, or the last error with the number of attempts it took."""
        attempt = 1
        while True:
            try:
                return await self.inner.complete(request)
            except CallFailed as error:
                error.attempts = attempt
                if not error.retriable or attempt > self._retries:
                    raise
                self._calls.retries[error.cause] += 1
                await self._sleep(delay(attempt, error.retry_after))
            attempt += 1


def delay(attempt: int, retry_after: float | None = None) -> float:
    """Seconds to wait after the ``attempt``-th failure; never less than the server asked for."""
    if retry_after is not None:
        return retry_after + random.uniform(0, FIRST_DELAY)
    return random.uniform(0.5, 1) * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (attempt - 1))
