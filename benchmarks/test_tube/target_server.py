"""The targets' server: checkpoints behind OpenAI's chat API on 127.0.0.1, answered greedily.

POST /v1/chat/completions and GET /v1/models. Temperature 0 has to be asked for; seed and response_format are ignored.
Calls that wait are answered together, in one thread of the server's own, and no answer hangs on which these are
(greedy.py). What a call asks for and this server can't do is refused with 400; what fails in the thread is a 500.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson
from aiohttp import web

from benchmarks.test_tube.greedy import Greedy, Prompt
from codeclm.errors import ConfigError
from codeclm.simulator import SimulatorOptions, api

MOST: Final = 64
"""Calls that are answered together at most."""

_GATHER: Final = 0.003
"""Seconds without a new call after which those that wait are taken: clients send theirs in bursts."""

_OPTIONS: Final = SimulatorOptions(json="ignore")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A call that is not answered yet; ``answer`` will be its tokens, and whether they came to their end."""

    model: Greedy
    prompt: Prompt
    answer: asyncio.Future[tuple[list[int], bool]]


class TargetServer:
    """Serves checkpoints by name, in the running event loop; an async context manager that sets ``base_url``."""

    def __init__(self, checkpoints: Mapping[str, Path]) -> None:
        self.base_url = ""
        self._checkpoints = dict(checkpoints)
        self._models: dict[str, Greedy] = {}
        self._waiting: list[_Waiting] = []
        self._some = asyncio.Event()
        self._calls = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="targets")
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None, handler_cancellation=True), shutdown_timeout=0.0
        )
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> TargetServer:
        try:
            for name, folder in self._checkpoints.items():
                await self.add(name, folder)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=4096).start()
        except BaseException:
            await self._stop()
            raise
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        self._work = asyncio.create_task(self._answer_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def add(self, name: str, folder: Path) -> None:
        """Load a checkpoint and serve it as ``name``. Raises ConfigError for a name that is taken."""
        if name in self._models:
            raise ConfigError(f"the server has a model {name!r} already: remove it first, or choose another name")
        self._models[name] = await asyncio.get_running_loop().run_in_executor(self._thread, Greedy, folder)

    def remove(self, name: str) -> None:
        """Serve a model no longer. Calls that wait for it are answered still."""
        del self._models[name]

    async def _stop(self) -> None:
        await self._runner.cleanup()
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        await asyncio.to_thread(self._thread.shutdown)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            match request.method, request.path:
                case "POST", "/v1/chat/completions":
                    return _json(await self._complete(await request.content.read()))
                case "GET", "/v1/models":
                    row = {"object": "model", "created": 0, "owned_by": "codeclm"}
                    rows = [{"id": name, **row} for name in self._models]
                    return _json({"object": "list", "data": rows})
            raise api.BadRequest(f"Unknown request URL: {request.path}", status=404)
        except api.BadRequest as bad:
            return _json(bad.body, bad.status)
        except Exception as error:
            _log.exception("a call failed")
            return _json(api.error(f"{type(error).__name__}: {error}", kind="server_error"), 500)

    async def _complete(self, body: bytes) -> dict[str, Any]:
        call = _read(body)
        if (model := self._models.get(call.model)) is None:
            message = f"The model '{call.model}' does not exist or you do not have access to it."
            raise api.BadRequest(message, status=404, code="model_not_found")
        messages = [{"role": str(each.get("role")), "content": _content(each)} for each in call.messages]
        try:
            prompt = model.prompt(messages, call.max_tokens)
        except ValueError as error:
            raise api.BadRequest(str(error), param="messages", code="context_length_exceeded") from None
        waiting = _Waiting(model, prompt, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._some.set()
        tokens, ended = await waiting.answer
        self._calls += 1
        reply = api.Reply(model.text(tokens), "stop" if ended else "length", len(prompt.tokens), len(tokens))
        return api.completion(call, reply, self._calls)

    async def _answer_all(self) -> None:
        """Answer what waits, batch by batch, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._gathered()
            batch = self._taken()
            if not batch:
                continue
            try:
                prompts = [each.prompt for each in batch]
                answers = await loop.run_in_executor(self._thread, batch[0].model.answers, prompts)
            except Exception as error:
                _fail(batch, error)
                continue
            for each, answer in zip(batch, answers, strict=True):
                if not each.answer.done():  # the client went away
                    each.answer.set_result(answer)

    async def _gathered(self) -> None:
        """Wait for a call, and for those that come right behind it."""
        await self._some.wait()
        known = 0
        while known < len(self._waiting) < MOST:
            known = len(self._waiting)
            await asyncio.sleep(_GATHER)

    def _taken(self) -> list[_Waiting]:
        """The call that waits longest, with those to the same model that are nearest to it in length."""
        self._waiting = [each for each in self._waiting if not each.answer.done()]
        batch: list[_Waiting] = []
        if self._waiting:
            oldest = self._waiting[0]
            size = len(oldest.prompt.tokens)
            same = [each for each in self._waiting if each.model is oldest.model]
            batch = sorted(same, key=lambda each: abs(len(each.prompt.tokens) - size))[:MOST]
            taken = set(batch)
            self._waiting = [each for each in self._waiting if each not in taken]
        if not self._waiting:
            self._some.clear()
        return batch


def _read(body: bytes) -> api.Call:
    """The call in a body; BadRequest for one that is malformed or asks for what is not done here."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise api.BadRequest("We could not parse the JSON body of your request.") from None
    call = api.read_call(given, "chat", _OPTIONS)
    if call.temperature > 0:
        message = f"Unsupported value: 'temperature' is {call.temperature:g} here (1 where none is given), and this "
        raise api.BadRequest(f"{message}server is greedy. Set it to 0.", param="temperature", code="unsupported_value")
    if call.stop:
        raise api.BadRequest("Unsupported parameter: 'stop'.", param="stop", code="unsupported_parameter")
    return call


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for each in batch:
        if not each.answer.done():
            each.answer.set_exception(error)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")
