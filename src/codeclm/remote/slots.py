"""The run's side: slots are given to workers, and what they ask for is asked here, through the run's own clients.

All that must be one for a run is here, in its own process: the journal, limits, budget, retries, breakers, the order of
slots and the selection. So they hold for all workers together, equal calls of two workers are made once, and there is
one journal, which any engine goes on from. Workers do what takes the time: prompts, requests, replies, parsing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.elsewhere import Send, Sent, place
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Client, Models
from codeclm.config import RunConfig
from codeclm.engines.ray_cluster import Cluster
from codeclm.engines.ray_engine import RayEngine, Seat
from codeclm.prompts.own_templates import templates_in
from codeclm.records import Completion, ReplyForm, Seed, Slot, SlotResult
from codeclm.remote.questions import AS_READ, AskAnew, Complete, Opening, RunSlot, SendOwn, files_of_parts
from codeclm.remote.worker import open_worker


class Asker:
    """The worker that asked a question, as the place to send its request from. ``read`` is what it read for it.

    The next worker on its seat is another one: its questions have the same numbers.
    """

    def __init__(self, seat: Seat, question: Complete) -> None:
        self.read: Completion | None = None
        self._seat = seat
        self._link = seat.link
        self._question = question

    @property
    def works(self) -> bool:
        """Whether it is there now."""
        return self._seat.works and self._seat.link is self._link

    async def ask(self, question: Send) -> Sent:
        """Have a request sent, which is most often the question's own."""
        sent: Sent | None = None
        if question.request is self._question.request:
            sent = await self._link.ask(SendOwn(question.model, question.traits, self._question.number))
        if sent:
            self.read = sent.completion
            return sent
        whole: Sent = await self._link.ask(question)
        return whole


class RemoteSlots:
    """An engine for slots. What its workers ask for is asked of ``models``, once these are connected."""

    def __init__(self, config: RunConfig, general: tuple[Seed, ...], *, stop: StopSwitch) -> None:
        engine = config.engine
        serves = {name for name, model in config.models.named.items() if model.serve and engine.serve == "workers"}
        # A worker may have another working directory.
        given = config.model_copy(update={"run_dir": config.run_dir.absolute()})
        templates, files = templates_in(config.prompts), files_of_parts(config.method)
        opening = Opening(given, templates, general, frozenset(serves), files)
        self.ray = RayEngine(
            Cluster(engine.address, engine.workers, engine.cpus_per_worker, engine.gpus_per_worker),
            opening=(open_worker, opening),
            answer=self._answer,
            fail=stop.press,
        )
        stop.when_pressed(self.ray.wait_no_more)
        self._named = tuple(config.models.named)
        self._models: dict[str, Client] = {}
        self._forms: dict[str, ReplyForm] = {}

    def ask(self, models: Models) -> None:
        """Have what workers ask for asked of these models."""
        self._models = {"strong": models.strong, "target": models.target, "judge": models.judge}
        self._models |= {f"ensemble.{name}": client for name, client in models.ensemble.items()}
        self._models |= {f"jury.{name}": client for name, client in models.jury.items()}
        self._forms = {name: self._models[name].form for name in self._named}

    async def run(self, slot: Slot) -> SlotResult:
        """The slot's result, worked out by whichever worker has the least to do."""
        result: SlotResult = await self.ray.run(RunSlot(slot, self._forms))
        return result

    async def _answer(self, seat: Seat, question: Any) -> Completion | str | bool:
        if isinstance(question, AskAnew):
            return await self._models[question.model].again(question.failed, question.anew)
        if isinstance(question, Complete):
            asker = Asker(seat, question)
            place.set(asker)
            turn.set(question.turn)
            completion = await self._models[question.model].complete(question.request)
            return AS_READ if completion is asker.read else completion
        raise AssertionError(f"a run is not asked for a {type(question).__name__}")


@asynccontextmanager
async def workers(
    config: RunConfig, general: tuple[Seed, ...], *, calls: Calls, stop: StopSwitch
) -> AsyncIterator[RemoteSlots | None]:
    """The engine of a config that asks for workers, open; None where the work is done here.

    Open it around the run's models: their calls in flight end before the workers do. Raises ConfigError without Ray and
    EngineFailed where the cluster can't be used.
    """
    if config.engine.name == "local":
        yield None
        return
    slots = RemoteSlots(config, general, stop=stop)
    calls.workers = slots.ray
    async with slots.ray:
        yield slots
