"""Requests that are sent from another process: where the work that asks for them is done.

The layers around an endpoint (journal, retries, limits, budget) are one for the whole run and stay in its process, so
they hold however many workers there are. Only the innermost step, sending a request and reading its reply, is done by
the worker whose work asked: that is most of a call's cost. ``place`` says which one that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from codeclm.clients.calls import StopSwitch
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.protocol import Layer
from codeclm.errors import CallFailed, CodecLMError
from codeclm.records import Completion, Request


@dataclass(frozen=True, slots=True)
class Send:
    """A request to be sent to the model of a name, spoken to as its traits say."""

    model: str
    traits: Traits
    request: Request


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the completion, or the error; and the headers of the reply, as far as they speak of limits."""

    completion: Completion | None
    error: CallFailed | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Place(Protocol):
    """A process that sends requests for us."""

    @property
    def works(self) -> bool:
        """Whether it is there now."""

    async def ask(self, question: Send) -> Sent:
        """Have it sent. Raises WorkerLost where the process dies meanwhile, and what no waiting mends."""


class Places(Protocol):
    """The processes that a run has: how many there are to be and are ``working``, on how many ``nodes``.

    ``lost`` counts those that died; ``dashboard`` is where their cluster shows itself, if it does.
    """

    lost: int
    dashboard: str

    @property
    def wanted(self) -> int:
        """How many there are to be."""

    @property
    def working(self) -> int:
        """How many there are."""

    @property
    def nodes(self) -> int:
        """On how many nodes of the cluster they are."""

    async def any(self) -> Place:
        """The least busy that works, once there is one. Raises what makes going on useless."""


place: ContextVar[Place | None] = ContextVar("place", default=None)
"""Where the work is done that calls are made for; None in the run's own process. Tasks inherit it."""


class Elsewhere(Layer):
    """Has a request sent where the asking work is done; from here where that is here, or where the worker is gone.

    What is ``only_there`` (a server that each worker has of its own) is never sent from here. What a worker can't mend
    by being asked again presses the stop switch.
    """

    def __init__(self, http: HttpClient, *, places: Places, only_there: bool, stop: StopSwitch) -> None:
        super().__init__(http)
        self._http = http
        self._places = places
        self._only_there = only_there
        self._stop = stop

    async def complete(self, request: Request) -> Completion:
        """The completion, wherever it was read."""
        http, here = self._http, place.get()
        if here is None or not here.works:
            if not self._only_there:
                return await http.complete(request)
            here = await self._places.any()
        try:
            sent = await here.ask(Send(http.name, http.traits, request))
        except CallFailed:
            raise
        except CodecLMError as error:
            self._stop.press(error)
            raise
        if http.told:
            http.told(sent.headers)
        if sent.completion is None:
            raise sent.error or AssertionError("a request was sent and nothing came of it")
        return sent.completion
