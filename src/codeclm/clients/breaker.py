"""Telling an endpoint that is out of order from a call that is.

A failure that passes is sent again (retrying.py). When most of the last calls failed, or a call has failed so often
that it would be given up, it must be known whose fault it is: an outage must fail no item, and one prompt that a server
can't bear must not end a run. The breaker finds out by an exam: it asks the endpoint the handshake's tiny question,
which it has answered before. Where that fails too, the endpoint is out of order: all calls wait, failures count as
nobody's, and the exam is repeated after 1, 2, 4 and up to 30 seconds until it is passed, or until ``give_up_after``
seconds are over and the run ends with EndpointDown. An endpoint that was never heard of is given up within seconds.

Waiting changes when an answer comes, never which.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from codeclm import events
from codeclm.clients.calls import StopSwitch
from codeclm.clients.faults import Faults
from codeclm.clients.protocol import Client, Layer
from codeclm.config_models import ModelConfig
from codeclm.errors import (
    CallFailed,
    CannotConnect,
    EndpointDown,
    MalformedBody,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    TimedOut,
    WorkerLost,
)
from codeclm.records import Completion, Request

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
# An endpoint that was never heard of gets so few exams, so that a wrong base_url is told within seconds.
_FIRST_EXAMS = 2
# Failures are counted over about so many of the last calls, or over as many as are in flight: of many calls begun
# together those that fail at once come back first, which proves nothing.
_LAST_CALLS = 10
_MOST = 0.5

_Kind = Literal["transport", "refusal", "fatal"]


@dataclass(frozen=True, slots=True)
class Outage:
    """Since when (the breaker's clock) an endpoint has been out of order, and how its last exam failed."""

    since: float
    error: CallFailed


class Breaker:
    """What is known of one endpoint's health. ``name`` is what to call it, ``exam`` asks its tiny question once.

    Exams are taken one at a time, by whoever needs the result first.
    """

    def __init__(
        self,
        name: str,
        exam: Callable[[], Awaitable[Completion]],
        *,
        config: ModelConfig,
        stop: StopSwitch,
        faults: Faults,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.outage: Outage | None = None
        self._name = name
        self._exam = exam
        self._config = config
        self._stop = stop
        self._faults = faults
        self._now = now
        self._known = False  # whether it was heard of in this process
        self._failing_since: float | None = None
        self._failing = 0.0  # the share of failures among the last calls
        self._in_flight = 0
        self._pause = FIRST_PAUSE
        self._examining = asyncio.Lock()
        self._exams = 0
        self._verdict: tuple[_Kind | None, bool] = None, False

    @property
    def out_for(self) -> float:
        """Seconds it has been out of order; 0 while it is in order."""
        return self._now() - self.outage.since if self.outage else 0.0

    async def in_order(self) -> None:
        """Wait while the endpoint is out of order. Raises EndpointDown, or why the run stops."""
        while self.outage:
            async with self._examining:
                if self.outage:
                    await self._stop.sleep(self._pause)
                    self._pause = min(2 * self._pause, LONGEST_PAUSE)
                    await self._examine(self.outage.error)

    async def watch(self, call: Awaitable[Completion]) -> Completion:
        """Await a call that is sent now, and remember how it went. An error that is an answer is a sign of life."""
        self._in_flight += 1
        try:
            completion = await call
        except WorkerLost:
            raise  # no sign of life, nor of the contrary
        except CallFailed as error:
            self._remember(alive=_kind(error) != "transport")
            raise
        else:
            self._remember(alive=True)
            return completion
        finally:
            self._in_flight -= 1

    async def at_fault(self, error: CallFailed, *, last: bool) -> bool:
        """Whether an error is the endpoint's doing rather than the call's.

        ``last`` says that the call would be given up for it, which makes the question worth an exam. Raises the error
        of an endpoint that was never heard of, as fatal, and EndpointDown.
        """
        kind = _kind(error)
        if kind is None or (kind == "refusal" and not last):
            return False
        if kind == "transport" and self.outage:
            return True
        if kind == "transport" and self._known and not last and self._failing <= _MOST:
            return False
        asked = self._exams
        async with self._examining:
            self._stop.check()
            if kind == "transport" and not self._known:
                await self._first_exams(error)
                return False
            if self._exams != asked and self._verdict[0] == kind:
                return self._verdict[1]  # someone else has found out meanwhile
            return await self._examine(error)

    def _remember(self, *, alive: bool) -> None:
        self._failing += (float(not alive) - self._failing) / max(_LAST_CALLS, self._in_flight)
        if alive:
            self._known = True
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = self._now()

    async def _examine(self, error: CallFailed) -> bool:
        """Whether the exam fails in the way of ``error``, which opens the breaker; passing closes it."""
        kind, failed = _kind(error), await self._take_exam()
        same = failed is not None and _fares_like(failed, kind)
        self._exams += 1
        self._verdict = kind, same
        if failed and same and kind != "fatal":
            self._open(failed)
        elif failed is None or _kind(failed) != "transport":
            self._close()
        return same

    async def _first_exams(self, error: CallFailed) -> None:
        """Raise the error of an endpoint that was never heard of, unless it answers now."""
        for number in range(min(self._config.retries, _FIRST_EXAMS)):
            await self._stop.sleep(FIRST_PAUSE / 2 * 2**number)
            error = await self._take_exam() or error
            if self._known:
                return
        error.fatal = True
        raise error

    async def _take_exam(self) -> CallFailed | None:
        """How the exam failed, or None."""
        while True:
            try:
                await self.watch(self._exam())
            except CallFailed as error:
                self._faults.count(error.cause, stage="exam")
                if not isinstance(error, WorkerLost):  # it tells nothing: the exam is taken again, from elsewhere
                    return error
            else:
                return None

    def _open(self, failed: CallFailed) -> None:
        """Nobody is let through. Ends the run when that has lasted too long, or the endpoint wants it to."""
        asked = failed.retry_after or 0.0
        if self.outage is None:
            since = self._now() if self._failing_since is None else self._failing_since
            self.outage, self._pause = Outage(since, failed), FIRST_PAUSE
            events.note("breaker_opened", endpoint=self._name, model=self._config.model, cause=failed.cause)
        self.outage = replace(self.outage, error=failed)
        left = self._config.give_up_after - self.out_for
        if left > 0 and asked <= self._config.give_up_after:
            self._pause = max(min(self._pause, left), asked)
            return
        asks = f" and asks to be left alone for {asked:.0f} s" if asked else ""
        reason = EndpointDown(
            f"{self._name} has been out of order for {self.out_for:.0f} s{asks}: {failed.message} "
            "Everything is kept; run again when it works. `give_up_after` sets how long to wait for it."
        )
        self._stop.press(reason)
        raise reason

    def _close(self) -> None:
        if self.outage:
            seconds = round(self.out_for, 1)
            events.note("breaker_closed", endpoint=self._name, model=self._config.model, seconds=seconds)
        self.outage = None
        self._failing = 0.0
        self._failing_since = None


class Breaking(Layer):
    """Sends a call only while its endpoint is in order."""

    def __init__(self, inner: Client, breaker: Breaker) -> None:
        super().__init__(inner)
        self._breaker = breaker

    async def complete(self, request: Request) -> Completion:
        """Wait while the endpoint is out of order, then call."""
        await self._breaker.in_order()
        return await self._breaker.watch(self.inner.complete(request))


def _kind(error: CallFailed) -> _Kind | None:
    """What an error may say of the endpoint; None where it speaks of the request, or of the account for certain."""
    if isinstance(error, ServerFailed | TimedOut | CannotConnect | MalformedBody):
        return "transport"
    if isinstance(error, RateLimited):
        return "refusal"
    return "fatal" if error.fatal and not isinstance(error, QuotaExhausted) else None


def _fares_like(failed: CallFailed, kind: _Kind | None) -> bool:
    """Whether an exam's failure explains a call's: a refusal explains no broken connection, but the reverse may be."""
    return _kind(failed) == kind or (kind == "refusal" and _kind(failed) == "transport")
