"""A run's three models, connected for as long as they are needed.

Leaving begins no new call, waits until the calls in flight have ended and are recorded, and closes everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from codeclm.clients.ask import together
from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.connect import Connections
from codeclm.clients.likelihood import check_it_tells, check_not_batched
from codeclm.clients.protocol import Client, Models, models_of
from codeclm.config import SIMULATOR, RunConfig
from codeclm.config_models import ModelConfig
from codeclm.journal import Journal
from codeclm.methods import FURTHER_PARTS
from codeclm.parts import part_name
from codeclm.prompts.own_templates import templates_in
from codeclm.serving.servers import own_servers
from codeclm.simulator.server import Simulator

ON_EACH_WORKER = "http://its-worker"
"""What stands for the address of a server that every worker has one of, in messages."""


@asynccontextmanager
async def connected(
    config: RunConfig, *, journal: Journal, stop: StopSwitch, calls: Calls, budget: Budget
) -> AsyncIterator[Models]:
    """The models of a run; the simulator is started if one of them lives there.

    The requests of work that is done by ``calls.workers`` are sent by them (clients/elsewhere.py).

    Raises ConfigError for a missing environment variable or a bad prompt template, and CallFailed where an endpoint
    can't be used. So it does where a method needs log-probabilities and the target's server gives none.
    """
    if needed_by := needs_log_probabilities(config):
        check_not_batched(config.models.target, "target", needed_by)
    async with clients(config, config.models.named, journal=journal, stop=stop, calls=calls, budget=budget) as by_name:
        if needed_by:
            await check_it_tells(by_name["target"], "target", needed_by)
        yield models_of(config.models, by_name)


@asynccontextmanager
async def clients(
    config: RunConfig,
    chosen: Mapping[str, ModelConfig],
    *,
    journal: Journal,
    stop: StopSwitch,
    calls: Calls,
    budget: Budget,
) -> AsyncIterator[dict[str, Client]]:
    """The ``chosen`` models by their names in the config, each a client in all its layers. Raises as above.

    Those that the run serves itself have their servers until the end (serving/), whose logs go into its directory.
    """
    templates = templates_in(config.prompts)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        simulated = ""
        if any(model.base_url == SIMULATOR for model in chosen.values()):
            simulated = (await stack.enter_async_context(Simulator(templates=templates))).base_url
        here = {name: model for name, model in chosen.items() if not served_by_workers(config, model, calls)}
        servers = await stack.enter_async_context(own_servers(here, config.run_dir, session=session, sleep=stop.sleep))
        calls.servers = list(dict.fromkeys(servers.values()))
        connections = Connections(session, journal, stop, calls, budget, templates)
        stack.push_async_callback(connections.close)
        stack.push_async_callback(calls.drain)
        stack.callback(stop.press)
        calls.capacity = connections.capacity

        def connect(name: str, model: ModelConfig) -> Awaitable[Client]:
            server = servers.get(name)
            base_url = server.base_url if server else simulated if model.base_url == SIMULATOR else model.base_url
            base_url = base_url or ON_EACH_WORKER
            return connections.connect(model, name=name, base_url=base_url, server=server)

        made = await together(*(connect(name, model) for name, model in chosen.items()))
        yield dict(zip(chosen, made, strict=True))


def served_by_workers(config: RunConfig, model: ModelConfig, calls: Calls) -> bool:
    """Whether each of the run's workers has a server of this model."""
    return calls.workers is not None and model.serve is not None and config.engine.serve == "workers"


def needs_log_probabilities(config: RunConfig) -> str:
    """What in the config needs the target's log-probabilities of given texts; empty where nothing does."""
    if part_name(config.method, "filter") == FURTHER_PARTS["ifd"].part:
        return "the filter `ifd`"
    if config.models.ensemble and config.method.best_answer == "likeliest":
        return "`best_answer: likeliest`"
    return ""
