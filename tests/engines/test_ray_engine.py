"""What the Ray engine says where there is no Ray or no cluster; its work is in tests/remote."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.ray_cluster import HAS_RAY

from codeclm.config import EngineConfig
from codeclm.engines import ray_engine
from codeclm.engines.ray_cluster import Cluster
from codeclm.engines.ray_engine import Ask, Hello, RayEngine, Seat
from codeclm.errors import CodecLMError, ConfigError, EngineFailed, Stopped, WorkerLost


async def never(seat: Seat, question: object) -> object:
    raise AssertionError("nobody asks")


def engine(address: str) -> RayEngine:
    told: list[CodecLMError] = []
    return RayEngine(Cluster(address), opening=(never, None), answer=never, fail=told.append)  # type: ignore[arg-type]


async def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'codeclm\[ray\]'"):
        async with engine("auto"):
            raise AssertionError


@pytest.mark.skipif(not HAS_RAY, reason="needs ray")
async def test_an_address_where_nothing_listens_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineFailed, match=f"no Ray cluster can be used at '127.0.0.1:{port}'.*ray start --head"):
        async with engine(f"127.0.0.1:{port}"):
            raise AssertionError


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "10.0.0.1", "", "a b:1", "http://10.0.0.1:6379"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected local, auto, or HOST:PORT"):
        EngineConfig(name="ray", address=address)


async def test_a_seat_that_is_lost_raises_in_who_asked_and_takes_another_worker() -> None:
    seat = Seat(0, never)
    seat.lost()
    assert not seat.works
    before = seat.link
    seat.lost()
    with pytest.raises(WorkerLost):
        await before.ask("x")
    assert seat.link.asked == 0


async def test_once_the_run_stops_no_worker_is_waited_for() -> None:
    waiting = engine("auto")
    asked = asyncio.create_task(waiting.run("item"))
    await asyncio.sleep(0)
    assert not asked.done()
    waiting.wait_no_more(Stopped("enough"))
    with pytest.raises(Stopped, match="enough"):
        await asyncio.wait_for(asked, 1)
    seat = waiting._seats[0]
    seat.took(Hello("node", 1, ("", "")))
    assert await waiting.any() is seat  # what is recorded is still worked on


def test_a_node_of_many_workers_may_die_and_all_of_them_again_and_again_may_not() -> None:
    failed: list[CodecLMError] = []
    workers = RayEngine(Cluster(workers=30), opening=(never, None), answer=never, fail=failed.append)  # type: ignore[arg-type]
    for seat in workers._seats:
        workers._died(seat, OSError("the node is gone"))
    assert not failed
    assert workers.lost == 30
    for seat in workers._seats:
        workers._died(seat, OSError("the node is gone"))
    assert [type(error) for error in failed] == [EngineFailed]
    assert "60 workers died" in str(failed[0])


class Odd:
    """What comes out of its pickle only in the process that it was made in."""

    def __init__(self, process: int) -> None:
        if process != os.getpid():
            raise ValueError("made elsewhere")

    def __reduce__(self) -> Any:
        return Odd, (os.getpid(),)


@asynccontextmanager
async def odd_worker(given: Any, ask: Ask) -> AsyncIterator[Ask]:
    async def answer(question: Any) -> Odd:
        return Odd(os.getpid())

    yield answer


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not HAS_RAY, reason="needs ray")
async def test_workers_that_can_not_be_read_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_engine, "_MOST_DEATHS", 2)
    failed: list[CodecLMError] = []
    opening = (odd_worker, None)
    async with RayEngine(Cluster(workers=1), opening=opening, answer=never, fail=failed.append) as workers:
        with pytest.raises(EngineFailed, match=r"2 workers died .* made elsewhere"):
            await asyncio.wait_for(workers.run("x"), 200)
    assert len(failed) == 1
