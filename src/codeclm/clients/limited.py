"""At most so many calls in flight at one endpoint, and the earliest work first.

A run has many slots under way at once. Served first come, first served, they would all end together, late; served in
their own order, they end one after another: progress shows early, and little is half done when the run has enough.
Which call goes first changes when answers come, never which.
"""

from __future__ import annotations

import asyncio
import heapq
from contextvars import ContextVar
from itertools import count
from types import TracebackType

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.protocol import Client, Layer
from codeclm.records import Completion, Request

turn: ContextVar[int] = ContextVar("turn", default=0)
"""The number of the work that calls are made for; the lowest is served first. Tasks inherit it from who starts them."""


class Places:
    """``limit`` places, handed on to whoever waits with the lowest turn, first come first served among equals."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free = limit
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (turn.get(), next(self._arrivals), place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was handed over in the same moment
                self._hand_on()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting:
            place = heapq.heappop(self._waiting)[2]
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Limited(Layer):
    """Calls only while it holds a place; a call still waiting when the run stops is never begun."""

    def __init__(self, inner: Client, *, places: Places, stop: StopSwitch, calls: Calls) -> None:
        super().__init__(inner)
        self._places = places
        self._stop = stop
        self._calls = calls

    async def complete(self, request: Request) -> Completion:
        """Wait for a place, then call."""
        async with self._places:
            self._stop.check()
            self._calls.in_flight += 1
            try:
                return await self.inner.complete(request)
            finally:
                self._calls.in_flight -= 1
