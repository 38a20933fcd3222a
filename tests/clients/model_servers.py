"""Servers reduced to how they take load, in virtual time, and the load itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.concurrency import Concurrency
from codeclm.clients.limited import Gate, Limited
from codeclm.clients.pace import Pace
from codeclm.errors import CallFailed, RateLimited
from codeclm.prompts.templates import BUILT_IN, Templates
from codeclm.records import Completion, Message, ReplyForm, Request, Usage
from codeclm.simulator.faults import RateLimit

Latency = Callable[[random.Random, str], float]

REFUSAL_TIME = 0.01  # seconds a refusal takes to come back


def fixed(seconds: float) -> Latency:
    """Every call takes as long."""
    return lambda draws, stage: seconds


def exponential(seconds: float) -> Latency:
    """The widest spread: most calls short, some very long."""
    return lambda draws, stage: draws.expovariate(1 / seconds)


def lognormal(seconds: float) -> Latency:
    """The spread of real models."""
    return lambda draws, stage: seconds * draws.lognormvariate(-0.125, 0.5)


def by_stage(**seconds: float) -> Latency:
    """Exponential around a mean of the stage's own."""
    return lambda draws, stage: draws.expovariate(1 / seconds[stage])


@dataclass
class Server:
    """An endpoint's innermost client. ``places`` are worked on at once, the others queue; 0 sets no limit.

    ``batching`` is how much longer a call takes, as a share, for each other call in work at the same time.
    """

    latency: Latency = field(default_factory=lambda: fixed(0.2))
    places: int = 0
    batching: float = 0.0
    limit: RateLimit = field(default_factory=lambda: RateLimit(0))
    most: int = 0  # calls in flight beyond which it refuses
    window: int = 0  # calls per minute of the clock
    accidents: float = 0.0
    headers: bool = False
    says_when: bool = True
    gate: Gate | None = None
    seed: int = 0

    form: ReplyForm = "text"
    max_tokens: int = 100
    templates: Templates = BUILT_IN

    def __post_init__(self) -> None:
        self.answered: list[tuple[float, str]] = []
        self.refused: list[float] = []
        self.received: list[float] = []
        self.in_flight = self.peak = 0
        self._draws = random.Random(self.seed)
        self.turns = asyncio.Semaphore(self.places or 1_000_000)
        self._window, self._in_window = -1, 0

    async def complete(self, request: Request) -> Completion:
        """One call: admitted or refused, then worked on."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.received.append(begun)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            wait = self._wait(begun)
            told = self.limit.headers() if self.headers else {}
            if wait:
                await asyncio.sleep(REFUSAL_TIME)
                self.refused.append(loop.time())
                self._tell(told)
                raise RateLimited("429", retry_after=wait if self.says_when else None)
            async with self.turns:
                seconds = self.latency(self._draws, request.stage) * (1 + self.batching * (self.in_flight - 1))
                await asyncio.sleep(seconds)
            self._tell(told)
            self.answered.append((loop.time(), request.stage))
            return Completion("yes", usage=Usage(10, 20), latency=loop.time() - begun)
        finally:
            self.in_flight -= 1

    def opening(self, instruction: str) -> str:
        """Nothing around it."""
        return instruction

    async def again(self, failed: Request, anew: Request) -> bool:
        """Nothing is recorded here."""
        return False

    def _wait(self, now: float) -> float:
        if self._draws.random() < self.accidents:
            return 1.0
        if self.most and self.in_flight > self.most:
            return 1.0
        if self.window:
            if int(now // 60) != self._window:
                self._window, self._in_window = int(now // 60), 0
            self._in_window += 1
            return 60 - now % 60 if self._in_window > self.window else 0.0
        return self.limit.wait(now)

    def _tell(self, headers: dict[str, str]) -> None:
        if self.gate and headers:
            self.gate.told(headers)


@dataclass
class Load:
    """A stream of calls without end through the real gate: what came of it in ``seconds``."""

    server: Server
    gate: Gate
    limits: list[tuple[float, int]]
    seconds: float

    def throughput(self, after: float, until: float | None = None) -> float:
        """Replies per second after so many seconds."""
        end = until or self.seconds
        return sum(after < at <= end for at, _ in self.server.answered) / (end - after)

    @property
    def refused(self) -> float:
        """The share of calls refused."""
        refused = len(self.server.refused)
        return refused / (refused + len(self.server.answered))


async def load(
    server: Server,
    seconds: float = 40,
    *,
    ceiling: int = 512,
    start: int = 4,
    pace: Pace | None = None,
    stages: Callable[[int], str] = lambda number: "",
    demand: Callable[[float], int] | None = None,
) -> Load:
    """Keep more calls waiting than the gate lets in, each sent again after a refusal, for so long."""
    gate = Gate(Concurrency(ceiling, start), pace)
    server.gate = gate
    client = Limited(server, gate=gate, stop=StopSwitch(), calls=Calls())
    loop = asyncio.get_running_loop()
    limits, numbers = [(0.0, gate.limit)], iter(range(10**9))

    async def call() -> None:
        number = next(numbers)
        request = Request((Message("user", "hi"),), 0.0, sample=number, stage=stages(number))
        while True:
            try:
                await client.complete(request)
                return
            except CallFailed as error:
                await asyncio.sleep((error.retry_after or 0.5) + random.uniform(0, 0.5))

    async with asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[None]] = set()

        def begin(ended: asyncio.Task[None] | None = None) -> None:
            if ended:
                under_way.discard(ended)
            if loop.time() >= seconds:
                return
            wanted = demand(loop.time()) if demand else 2 * gate.limit + 8
            while len(under_way) < wanted:
                task = group.create_task(call())
                under_way.add(task)
                task.add_done_callback(begin)
            if limits[-1][1] != gate.limit:
                limits.append((loop.time(), gate.limit))

        begin()
        await asyncio.sleep(seconds)
        for task in list(under_way):
            task.cancel()
    return Load(server, gate, limits, seconds)
