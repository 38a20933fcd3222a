"""The limit of calls in flight, as the server sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import aiohttp
import pytest

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.limited import Limited
from codeclm.config import ModelConfig
from codeclm.errors import ServerFailed, Stopped
from codeclm.records import Message, Request

if TYPE_CHECKING:
    from tests.conftest import Endpoint

MakeLimited = Callable[[int], Limited]


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def stop() -> StopSwitch:
    return StopSwitch()


@pytest.fixture
def limited(
    endpoint: Endpoint,
    session: aiohttp.ClientSession,
    model: Callable[..., ModelConfig],
    calls: Calls,
    stop: StopSwitch,
) -> MakeLimited:
    http = HttpClient(model(max_tokens=99), session, base_url=endpoint.base_url, name="m", traits=Traits())
    return lambda limit: Limited(http, limit=asyncio.Semaphore(limit), stop=stop, calls=calls)


def _request(sample: int = 0) -> Request:
    return Request((Message("user", "hi"),), 0.0, sample=sample)


@pytest.mark.parametrize("limit", [1, 3, 20])
async def test_never_more_than_the_limit_are_in_flight_and_all_of_it_is_used(
    endpoint: Endpoint, limited: MakeLimited, calls: Calls, limit: int
) -> None:
    client = limited(limit)
    endpoint.gate.clear()
    tasks = [asyncio.create_task(client.complete(_request(number))) for number in range(20)]
    await endpoint.wait_for(limit)
    assert calls.in_flight == endpoint.in_flight == limit
    endpoint.gate.set()
    await asyncio.gather(*tasks)
    assert endpoint.peak == limit
    assert len(endpoint.received) == 20
    assert calls.in_flight == 0


async def test_once_stopped_no_call_is_begun_and_those_in_flight_end(
    endpoint: Endpoint, limited: MakeLimited, stop: StopSwitch
) -> None:
    client = limited(2)
    endpoint.gate.clear()
    tasks = [asyncio.create_task(client.complete(_request(number))) for number in range(5)]
    await endpoint.wait_for(2)
    stop.press()
    endpoint.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(result, "text", type(result)) for result in results] == ["yes", "yes", Stopped, Stopped, Stopped]
    with pytest.raises(Stopped):
        await client.complete(_request())
    assert len(endpoint.received) == 2


async def test_a_call_that_fails_or_is_cancelled_gives_its_place_back(
    endpoint: Endpoint, limited: MakeLimited, calls: Calls
) -> None:
    client = limited(1)
    endpoint.answer({}, 500)
    with pytest.raises(ServerFailed):
        await client.complete(_request())
    endpoint.says("yes")
    endpoint.gate.clear()
    cancelled = asyncio.create_task(client.complete(_request()))
    await endpoint.wait_for(2)
    cancelled.cancel()
    endpoint.gate.set()
    assert (await client.complete(_request())).text == "yes"
    assert calls.in_flight == 0


def test_a_layer_answers_for_the_endpoint(limited: MakeLimited) -> None:
    assert (limited(1).form, limited(1).max_tokens) == ("text", 99)
