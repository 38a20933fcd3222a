"""The worker's side: it runs slots, asks the run for every completion, and sends the requests it is told to send.

A slot's stages see the same Client protocol as in the run's own process. What is behind it asks the run, whose layers
decide: whether the call is recorded, when it may be made, whether it fits the budget. Then the run has this worker send
it. So a worker keeps nothing: if it dies, nothing is lost but what was in flight.
"""

from __future__ import annotations

import os
import platform
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any

import aiohttp

from codeclm.clients.calls import StopSwitch
from codeclm.clients.elsewhere import Send, Sent
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.limited import turn
from codeclm.clients.protocol import Client, models_of
from codeclm.clients.rate_headers import speaking_of_limits
from codeclm.clients.served import Served
from codeclm.config import SIMULATOR
from codeclm.config_models import ModelConfig
from codeclm.errors import CallFailed, ConfigError
from codeclm.parts import parts_of
from codeclm.pipeline import Method, run_slot
from codeclm.prompts.templates import Templates
from codeclm.records import Completion, ReplyForm, Request, SlotResult
from codeclm.remote.questions import AskAnew, Complete, Opening, RunSlot, SendOwn, files_of_parts
from codeclm.serving.servers import own_servers
from codeclm.simulator.server import Simulator

Ask = Callable[[Any], Awaitable[Any]]

FOLDER = "workers"
"""The folder in a run directory that the logs of the workers' own servers are in, by node and process."""

_numbers = count()
_told: ContextVar[dict[str, str]] = ContextVar("told")


@dataclass(slots=True)
class Open:
    """A question of this worker's that the run has not answered yet: what it is about, and what was read for it."""

    request: Request
    read: Completion | None = None


class Asking:
    """A model of the run, as a worker's stages see it. ``form`` is told with every slot, the same for all.

    ``questions`` are the worker's open ones, by number.
    """

    def __init__(
        self, name: str, config: ModelConfig, templates: Templates, ask: Ask, questions: dict[int, Open]
    ) -> None:
        self.form: ReplyForm = "text"
        self.templates = templates
        self.max_tokens = config.max_tokens
        self._name = name
        self._config = config
        self._ask = ask
        self._questions = questions

    def opening(self, instruction: str) -> str:
        """As the config has it."""
        return self._config.opening(instruction)

    async def complete(self, request: Request) -> Completion:
        """What the run says it is. Raises what it raises there."""
        number = next(_numbers)
        question = self._questions[number] = Open(request)
        try:
            answer: Completion | str = await self._ask(Complete(self._name, turn.get(), number, request))
        finally:
            del self._questions[number]
        if isinstance(answer, Completion):
            return answer
        if question.read is None:
            raise AssertionError("a completion was said to be the one read, and none was")
        return question.read

    async def again(self, failed: Request, anew: Request) -> bool:
        """What the run says."""
        return bool(await self._ask(AskAnew(self._name, failed, anew)))


class Worker:
    """What answers the run: ``senders`` send requests, by the model's name."""

    def __init__(self, opening: Opening, ask: Ask, senders: dict[str, HttpClient], stop: StopSwitch) -> None:
        config = opening.config
        _check_same(opening.files, files_of_parts(config.method))
        self._method = Method(parts_of(config.method), config.method, config.seed, opening.general)
        self._questions = dict[int, Open]()
        self._clients = {
            name: Asking(name, model, opening.templates, ask, self._questions)
            for name, model in config.models.named.items()
        }
        self._models = models_of(config.models, self._clients)
        self._senders = senders
        self._stop = stop

    async def answer(self, question: Any) -> SlotResult | Sent | None:
        """A slot's result, or what came of a request; None for one of a question that is no longer open."""
        if isinstance(question, RunSlot):
            for name, form in question.forms.items():
                self._clients[name].form = form
            turn.set(question.slot.index)
            return await run_slot(question.slot, models=self._models, method=self._method)
        if isinstance(question, SendOwn):
            if (asked := self._questions.get(question.number)) is None:
                return None
            sent = await self._send(Send(question.model, question.traits, asked.request))
            asked.read = sent.completion
            return sent
        if isinstance(question, Send):
            return await self._send(question)
        raise AssertionError(f"a worker is not asked for a {type(question).__name__}")

    async def _send(self, what: Send) -> Sent:
        http = self._senders[what.model]
        headers = dict[str, str]()
        _told.set(headers)
        http.traits = what.traits
        sending: Client = Served(http, server=http.server, stop=self._stop) if http.server else http
        try:
            return Sent(await sending.complete(what.request), headers=headers)
        except CallFailed as error:
            return Sent(None, error, headers)


@asynccontextmanager
async def open_worker(opening: Opening, ask: Ask) -> AsyncIterator[Callable[[Any], Awaitable[Any]]]:
    """A worker, as long as it is needed; servers of its own are started when they are first asked.

    Raises ConfigError for an environment variable that is missing here, or a part of the user's own that is or differs.
    """
    config, stop = opening.config, StopSwitch()
    served = {name: config.models.named[name] for name in sorted(opening.serves)}
    folder = config.run_dir / FOLDER / f"{platform.node()}-{os.getpid()}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        simulated = ""
        if any(model.base_url == SIMULATOR for model in config.models.named.values()):
            simulated = (await stack.enter_async_context(Simulator(templates=opening.templates))).base_url
        servers = await stack.enter_async_context(own_servers(served, folder, session=session, sleep=stop.sleep))
        stack.callback(stop.press)
        senders = dict[str, HttpClient]()
        for name, model in config.models.named.items():
            server = servers.get(name)
            if model.batch or (model.serve and not server):
                continue  # the run's own process asks them
            base_url = server.base_url if server else simulated if model.base_url == SIMULATOR else model.base_url
            http = senders[name] = HttpClient(model, session, base_url=base_url, name=name, traits=Traits())
            http.templates, http.server, http.told = opening.templates, server, _take_down
        yield Worker(opening, ask, senders, stop).answer


def _check_same(there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise ConfigError where a file of the user's parts holds something else than where the run is."""
    for path, digest in here.items():
        if there.get(path) != digest:
            raise ConfigError(f"config: `method`: {path} is not the same file as where the run is. Put that one here.")


def _take_down(headers: Mapping[str, str]) -> None:
    _told.get().update(speaking_of_limits(headers))
