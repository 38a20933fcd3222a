"""The Ray engine: the work on items is done by asynchronous actors of a Ray cluster.

Contract. There are so many workers as wanted, each an actor with an event loop of its own, which works on any number of
items at once. A worker and the engine ask each other by a :class:`~codeclm.engines.link.Link`; what they ask is not
this module's business. A worker that dies, or whose node does, is replaced, and what it worked on is begun again on
another: work is done at least once. Whoever wants it done once keeps a record of what was done, in the engine's own
process. When that ends, however it ends, Ray ends the workers.

A call of an actor costs about half a millisecond, so questions and answers cross in batches: one exchange at a time
with each worker, as often as is useful.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import platform
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from codeclm import __version__, events
from codeclm.engines.link import Link
from codeclm.engines.ray_cluster import Cluster, heed_sigterm, join
from codeclm.errors import CodecLMError, ConfigError, EngineFailed, WorkerLost

# Seconds: what is to be sent waits for company so long, the longer the more workers share this process; an exchange
# ends after so long with nothing to say; a worker that died is replaced after so long at first.
_BEAT = 0.02
_SHARING = 4
_IDLE = 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
# How long the first worker may take to be there, and how many workers may die with no item ended in between: more than
# there are, for all of them may be on one node.
_READY_WITHIN = 300.0
_MOST_DEATHS, _ROUNDS = 10, 2
_FAREWELL = 20.0  # seconds that a worker has to put its things away

Ask = Callable[[Any], Awaitable[Any]]
OpenWorker = Callable[[Any, Ask], AbstractAsyncContextManager[Ask]]
"""Opens a worker with what it is given and a way to ask the engine's process: it yields what answers questions."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker says of itself once it is open; the ``error`` where it could not be opened."""

    node: str
    process: int
    versions: tuple[str, str]
    error: Exception | None = None


class Actor:
    """A worker's side, in a process of Ray's: it opens the worker and carries its link."""

    def __init__(self, open_worker: OpenWorker, given: Any, beat: float) -> None:
        self._open_worker = open_worker
        self._given = given
        self._beat = beat
        self._link = Link(self._answer)
        self._worker: AbstractAsyncContextManager[Ask] | None = None
        self._handle: Ask | None = None

    async def hello(self) -> bytes:
        """Open the worker; a Hello."""
        import ray

        error = None
        try:
            self._worker = self._open_worker(self._given, self._link.ask)
            self._handle = await self._worker.__aenter__()
        except CodecLMError as failed:
            error = failed
        node = ray.util.get_node_ip_address()
        return pickle.dumps(Hello(node, os.getpid(), _versions(), error))

    async def exchange(self, batch: bytes) -> bytes:
        """Take in a batch, and give what there is to send, soon after there is something or after a while."""
        began = time.monotonic()
        self._link.received(batch)
        if await self._link.filled(_IDLE):
            await asyncio.sleep(max(0.0, began + self._beat - time.monotonic()))
        return self._link.taken()

    async def goodbye(self) -> None:
        """Put away what the worker opened."""
        if self._worker:
            await self._worker.__aexit__(None, None, None)

    async def _answer(self, question: Any) -> Any:
        if self._handle is None:
            raise AssertionError("a worker was asked before it was opened")
        return await self._handle(question)


class Seat:
    """The place of one worker: the actor that holds it now, and the link to it. ``works`` says whether it can be asked.

    ``where`` is the node and process of the actor.
    """

    def __init__(self, number: int, answer: Callable[[Seat, Any], Awaitable[Any]]) -> None:
        self.number = number
        self.works = False
        self.where = ""
        self.node = ""
        self._answer = answer
        self.link = self._new_link()

    def _new_link(self) -> Link:
        async def answer(question: Any) -> Any:
            return await self._answer(self, question)

        return Link(answer)

    async def ask(self, question: Any) -> Any:
        """The worker's answer. Raises WorkerLost where it dies before."""
        return await self.link.ask(question)

    def took(self, hello: Hello) -> None:
        """An actor is there."""
        self.works, self.node, self.where = True, hello.node, f"process {hello.process} on {hello.node}"

    def lost(self) -> None:
        """The actor is gone: raise WorkerLost in whoever asked it, and begin anew."""
        self.works = False
        where = self.where
        self.link.close(lambda: WorkerLost(f"the worker that made the call is gone ({where})"))
        self.link = self._new_link()


class RayEngine:
    """Workers on a Ray cluster. An async context manager; :meth:`run` is the engine's one task.

    ``opening`` is how a worker is opened: a function at the top of a module, and what it is given. ``answer`` answers
    what a worker asks. ``fail`` is told what makes going on useless.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        opening: tuple[OpenWorker, Any],
        answer: Callable[[Seat, Any], Awaitable[Any]],
        fail: Callable[[CodecLMError], None],
    ) -> None:
        self.cluster = cluster
        self.dashboard = ""
        self.lost = 0
        """How many workers died."""
        self._opening = opening
        self._fail = fail
        self._seats = [Seat(number, answer) for number in range(cluster.workers)]
        self._keepers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._failure: CodecLMError | None = None
        self._stopping: CodecLMError | None = None
        self._deaths = 0  # since an item ended
        self._joined = False

    @property
    def wanted(self) -> int:
        """How many workers there are to be."""
        return self.cluster.workers

    @property
    def working(self) -> int:
        """How many there are."""
        return sum(seat.works for seat in self._seats)

    @property
    def nodes(self) -> int:
        """On how many machines, or nodes, they are."""
        return len({seat.node for seat in self._seats if seat.works})

    async def __aenter__(self) -> Self:
        self._joined, self.dashboard = await asyncio.to_thread(join, self.cluster)
        heed_sigterm()
        try:
            self._keepers = [asyncio.create_task(self._keep(seat)) for seat in self._seats]
            await asyncio.wait_for(self.any(), _READY_WITHIN)
        except BaseException as error:
            await self._leave()
            if isinstance(error, TimeoutError):
                raise EngineFailed(
                    f"engine: the cluster at {self.cluster.address} had no room for a worker within "
                    f"{_READY_WITHIN:.0f} s. Each takes {self.cluster.cpus:g} CPUs and {self.cluster.gpus:g} GPUs: "
                    "see `ray status`, and `engine.cpus_per_worker` and `engine.gpus_per_worker`."
                ) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def run(self, item: Any) -> Any:
        """The worker's answer to ``item``; begun again on another where a worker dies. Raises what it raises."""
        while True:
            seat = await self.any()
            try:
                result = await seat.ask(item)
            except WorkerLost:
                if self._failure:
                    raise self._failure from None
                continue
            self._deaths = 0
            return result

    async def any(self) -> Seat:
        """The least busy worker, once there is one. Raises what makes going on useless, or why none is waited for."""
        while True:
            if self._failure:
                raise self._failure
            if working := [seat for seat in self._seats if seat.works]:
                return min(working, key=lambda seat: seat.link.asked)
            if self._stopping:
                raise self._stopping
            self._changed.clear()
            await self._changed.wait()

    def wait_no_more(self, reason: CodecLMError) -> None:
        """The run stops: raise ``reason`` where no worker is there, for a cluster may never have room for one."""
        self._stopping = self._stopping or reason
        self._changed.set()

    async def _keep(self, seat: Seat) -> None:
        """Keep the seat taken: start an actor, carry its link until it dies, and again."""
        pause = _FIRST_PAUSE
        while self._failure is None:
            actor, opened = None, False
            try:
                actor = _start(self.cluster, (*self._opening, self._beat))
                hello = pickle.loads(await actor.hello.remote())  # noqa: S301 (our own actor)
                opened = not hello.error
                self._check(hello)
                seat.took(hello)
                self._changed.set()
                events.note("worker_ready", worker=seat.number, node=hello.node, process=hello.process)
                pause = _FIRST_PAUSE
                await self._carry(seat, actor)
            except asyncio.CancelledError:
                await _dismiss(actor, opened=opened)
                raise
            except CodecLMError as error:
                self._give_up(error)
            except Exception as error:  # Ray's, of an actor that is gone; or what is raised on reading what it says
                self._died(seat, error)
                await _dismiss(actor, opened=False)  # one that can't be reached or read may still be there
            finally:
                seat.lost()
            if self._failure is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def _carry(self, seat: Seat, actor: Any) -> None:
        link = seat.link
        while True:
            link.received(await actor.exchange.remote(link.taken()))

    def _check(self, hello: Hello) -> None:
        """Raise what is wrong with a worker."""
        if isinstance(hello.error, ConfigError):
            raise ConfigError(f"A worker on {hello.node}: {hello.error}")
        if hello.error:
            raise hello.error
        if hello.versions != _versions():
            theirs, ours = ("codeclm {} on Python {}".format(*versions) for versions in (hello.versions, _versions()))
            raise EngineFailed(f"engine: a worker on {hello.node} has {theirs}, and here is {ours}. Install the same.")

    def _died(self, seat: Seat, error: Exception) -> None:
        events.note("worker_lost", worker=seat.number, where=seat.where, error=type(error).__name__)
        self.lost += 1
        self._deaths += 1
        if self._deaths >= max(_MOST_DEATHS, _ROUNDS * self.cluster.workers):
            said = " ".join(str(error).split())[:500]
            self._give_up(
                EngineFailed(
                    f"engine: {self._deaths} workers died with no slot ended in between; the last said: {said} "
                    "Everything is kept; run again when it is mended."
                )
            )

    def _give_up(self, error: CodecLMError) -> None:
        self._failure = self._failure or error
        self._changed.set()
        self._fail(self._failure)
        for seat in self._seats:
            seat.lost()

    @property
    def _beat(self) -> float:
        return _BEAT * max(1.0, self.cluster.workers / _SHARING)

    async def _leave(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._joined:
            import ray

            await asyncio.to_thread(ray.shutdown)


def _start(cluster: Cluster, given: tuple[Any, ...]) -> Any:
    """A new actor, on whichever node has room, spread over them."""
    import ray

    actor = ray.remote(Actor).options(
        num_cpus=cluster.cpus, num_gpus=cluster.gpus, scheduling_strategy="SPREAD", max_restarts=0
    )
    return actor.remote(*given)


async def _dismiss(actor: Any, *, opened: bool) -> None:
    """End an actor, if it was started; one that was ``opened`` first has some time to put its things away."""
    import ray

    if actor is None:
        return
    if opened:
        with suppress(TimeoutError, *_ray_errors()):
            await asyncio.wait_for(actor.goodbye.remote(), _FAREWELL)
    with suppress(*_ray_errors()):
        ray.kill(actor)


def _ray_errors() -> tuple[type[Exception], ...]:
    """What Ray raises of an actor that is gone or can't be reached."""
    from ray.exceptions import RayError

    return (RayError,)


def _versions() -> tuple[str, str]:
    return __version__, platform.python_version()
