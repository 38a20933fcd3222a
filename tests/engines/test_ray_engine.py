"""What the Ray engine says where there is no Ray or no cluster; its work is in tests/remote."""

from __future__ import annotations

import socket
import sys

import pytest
from tests.ray_cluster import HAS_RAY

from codeclm.config import EngineConfig
from codeclm.engines.ray_engine import Cluster, RayEngine, Seat
from codeclm.errors import CodecLMError, ConfigError, EngineFailed, WorkerLost


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
