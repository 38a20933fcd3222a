"""The calls of a run while it works: those under way, counters that the progress display reads, and the stop switch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codeclm.errors import CodecLMError, Stopped
from codeclm.records import Completion

if TYPE_CHECKING:
    from codeclm.clients.breaker import Breaker
    from codeclm.clients.elsewhere import Places
    from codeclm.clients.limited import Gate
    from codeclm.clients.served import OwnServer


@dataclass(slots=True)
class BatchUnderWay:
    """A batch at a provider: how many calls are in it, and how many of them it has done.

    ``made_at`` is in seconds since 1970.
    """

    model: str
    calls: int
    made_at: float
    done: int = 0


@dataclass(slots=True)
class Calls:
    """This process's calls since its start: ``made`` anew, or ``replayed`` from an earlier start's journal.

    ``retries`` counts by cause what was sent again, ``faults`` every failed attempt. ``resting`` calls wait until they
    are sent again.

    ``retrying_failed`` says that questions whose recorded replies were of no use are asked anew.

    ``under_way`` are the calls not yet filed in the journal, by their key there. ``capacity`` tells how many calls the
    endpoints together take at once now. ``parked`` are those of them that wait in or for one of the ``batches``, which
    are here by our own names for them. ``servers`` are those that the run starts itself.
    ``workers`` send the requests of the work that they do, where the run's engine has any.
    """

    made: int = 0
    replayed: int = 0
    in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    resting: int = 0
    retrying_failed: bool = False
    retries: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    under_way: dict[bytes, asyncio.Task[Completion]] = field(default_factory=dict)
    breakers: dict[str, Breaker] = field(default_factory=dict)
    gates: dict[str, Gate] = field(default_factory=dict)
    capacity: Callable[[], int] = lambda: 1
    parked: int = 0
    batches: dict[str, BatchUnderWay] = field(default_factory=dict)
    servers: list[OwnServer] = field(default_factory=list)
    workers: Places | None = None

    @property
    def all_parked(self) -> bool:
        """Whether nothing is being done but waiting for batches, to be filled or to end."""
        return len(self.under_way) == self.parked

    @property
    def waiting_for(self) -> dict[str, Breaker]:
        """The endpoints that are out of order now, by name; ``breaker.outage`` tells more."""
        return {name: breaker for name, breaker in list(self.breakers.items()) if breaker.outage}

    def ended(self, key: bytes) -> Callable[[asyncio.Task[Completion]], None]:
        """What to do when the call filed under ``key`` ends; its error counts as seen, since its askers may be gone."""

        def forget(call: asyncio.Task[Completion]) -> None:
            del self.under_way[key]
            if not call.cancelled():
                call.exception()

        return forget

    async def drain(self) -> None:
        """Wait until every call under way has ended, well or badly."""
        while self.under_way:
            await asyncio.gather(*self.under_way.values(), return_exceptions=True)
            # A task that is done is forgotten in the loop's next turn, for which gather need not wait (Python 3.12).
            await asyncio.sleep(0)


class StopSwitch:
    """Asks every client to begin no new call. Calls in flight end by themselves."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._reason: CodecLMError = Stopped("the run was asked to stop")
        self._watchers: dict[Callable[[CodecLMError], None], None] = {}

    def press(self, reason: CodecLMError | None = None) -> None:
        """Begin no new call from now on; whoever would is told the first ``reason`` given."""
        if reason and not self._event.is_set():
            self._reason = reason
        self._event.set()
        for tell in self._watchers:
            tell(self._reason)

    def when_pressed(self, tell: Callable[[CodecLMError], None]) -> None:
        """Call ``tell`` with the reason at every press, so that who waits long for something else need not."""
        self._watchers[tell] = None

    @property
    def pressed(self) -> bool:
        """Whether the run was asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Stopped, or the reason, once the switch was pressed."""
        if self._event.is_set():
            raise self._reason

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or raise what :meth:`check` does as soon as the switch is pressed."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return
        self.check()
