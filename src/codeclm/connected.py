"""A run's three models, connected for as long as they are needed.

Leaving begins no new call, waits until the calls in flight have ended and are recorded, and closes everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from codeclm.clients.ask import together
from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.connect import Connections
from codeclm.config import SIMULATOR, ModelConfig, ModelsConfig
from codeclm.journal import Journal
from codeclm.pipeline import Models
from codeclm.simulator.server import Simulator


@asynccontextmanager
async def connected(
    chosen: ModelsConfig, *, journal: Journal, stop: StopSwitch, calls: Calls, budget: Budget
) -> AsyncIterator[Models]:
    """The models of a run; the simulator is started if one of them lives there.

    Raises ConfigError for a missing environment variable, and CallFailed where an endpoint can't be used.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        simulated = ""
        if SIMULATOR in (chosen.strong.base_url, chosen.target.base_url, chosen.judging.base_url):
            simulated = (await stack.enter_async_context(Simulator())).base_url
        connections = Connections(session, journal, stop, calls, budget)
        stack.push_async_callback(connections.close)
        stack.push_async_callback(calls.drain)
        stack.callback(stop.press)
        calls.capacity = connections.capacity

        def address(model: ModelConfig) -> str:
            return simulated if model.base_url == SIMULATOR else model.base_url

        strong, target, *judges = await together(
            *(connections.connect(model, name=name, base_url=address(model)) for name, model in chosen.named.items())
        )
        yield Models(strong, target, judges[0] if judges else strong)
