"""At most so many calls in flight at one endpoint."""

from __future__ import annotations

import asyncio

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.protocol import Client, Layer
from codeclm.records import Completion, Request


class Limited(Layer):
    """Lets ``limit`` calls through at once; a call still waiting when the run stops is never begun."""

    def __init__(self, inner: Client, *, limit: asyncio.Semaphore, stop: StopSwitch, calls: Calls) -> None:
        super().__init__(inner)
        self._limit = limit
        self._stop = stop
        self._calls = calls

    async def complete(self, request: Request) -> Completion:
        """Wait for a free place, then call."""
        async with self._limit:
            self._stop.check()
            self._calls.in_flight += 1
            try:
                return await self.inner.complete(request)
            finally:
                self._calls.in_flight -= 1
