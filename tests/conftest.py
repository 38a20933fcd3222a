"""Fixtures every test may use: no way out to the network, a scripted endpoint over real HTTP, an open journal."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import settings

from codeclm.config_models import ModelConfig
from codeclm.journal import Journal

pytest_plugins = ["tests.browser"]

# The same examples every time, however slow the machine; --hypothesis-profile=default looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

# Drawing a report takes as long as many a test; those of reports say so.
os.environ["CODECLM_REPORT"] = "off"

# A shell's background job is started to ignore Ctrl-C, and one under nohup a hang-up: so would all that tests start.
for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _usual)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, by the seconds they are given: at the end, the other worker would have nothing to do."""
    markers = {item: item.get_closest_marker("timeout") for item in items}
    items.sort(key=lambda item: -marker.args[0] if (marker := markers[item]) and marker.args[0] > 300 else 0)


class NetworkBlocked(OSError):
    """A test tried to leave this machine."""


def _check(host: Any) -> None:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return
    try:
        local = ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    except ValueError:
        local = False
    if not local:
        raise NetworkBlocked(
            f"tests must not reach the network, but something wanted {name!r}: use a server on 127.0.0.1"
        )


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Nothing but this machine can be connected to or looked up."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            _check(address[0])
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        if self.family != socket.AF_UNIX:
            _check(address[0])
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check(host)
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@dataclass(frozen=True)
class Received:
    """One request as the endpoint saw it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Response:
    """What the endpoint answers."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Endpoint:
    """An OpenAI-compatible endpoint on 127.0.0.1 that answers as a test scripts it and remembers what it was asked.

    Answers are given one after another, the last one for ever. While ``gate`` is not set, requests wait for it.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.received: list[Received] = []
        self.in_flight = 0
        self.peak = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Condition()
        self._answers = [Response(self.chat("yes"))]

    @staticmethod
    def chat(content: Any, finish_reason: Any = "stop", *, tokens: int = 0, **message: Any) -> dict[str, Any]:
        """The body of a chat completion; ``message`` are further fields of its message."""
        choice = {
            "index": 0,
            "finish_reason": finish_reason,
            "message": {"role": "assistant", "content": content} | message,
        }
        return {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": tokens}}

    def says(self, *texts: str, finish_reason: str = "stop", tokens: int = 0) -> None:
        """Answer with these texts from now on, one after another."""
        self._answers = [Response(self.chat(text, finish_reason, tokens=tokens)) for text in texts]

    def answer(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Endpoint:
        """Answer so from now on; ``body`` may be bytes, plain data, or a function from the request to plain data."""
        self._answers = []
        return self.then(body, status, headers)

    def then(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Endpoint:
        """And after that so."""
        self._answers.append(Response(body, status, headers or {}))
        return self

    async def wait_for(self, requests: int) -> None:
        """Until so many requests have come in."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.received) >= requests)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(request.path, dict(request.headers), json.loads(await request.read()))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            async with self.arrived:
                self.received.append(received)
                self.arrived.notify_all()
            await self.gate.wait()
        finally:
            self.in_flight -= 1
        body = answer.body(received) if callable(answer.body) else answer.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=content, status=answer.status, headers=answer.headers)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """A scripted endpoint; says yes to everything until told otherwise."""
    endpoint = Endpoint()
    runner = web.ServerRunner(web.Server(endpoint.handle, access_log=None), shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield endpoint
    endpoint.gate.set()
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session without a limit of its own, as a run has."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A new, open journal."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


@pytest.fixture
def model() -> Callable[..., ModelConfig]:
    """``model(timeout=3)``: a model's configuration with some settings changed."""
    defaults: dict[str, Any] = {"model": "m", "base_url": "http://127.0.0.1:1/v1"}
    return lambda **changes: ModelConfig(**(defaults | changes))
