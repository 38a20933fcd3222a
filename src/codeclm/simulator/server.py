"""The simulated models behind a real OpenAI-compatible HTTP server on 127.0.0.1.

Serves POST /v1/chat/completions, /v1/completions and /v1/embeddings, /v1/files and /v1/batches (batches.py), GET
/v1/models, GET /stats, POST /stats/reset and GET /health.
What a reply says is the world's business (world.py); this module owns the way there: keys, limits, faults, latency and
counting.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web

from codeclm.errors import ConfigError
from codeclm.prompts.own_templates import templates_in
from codeclm.prompts.templates import BUILT_IN, Templates
from codeclm.simulator import api, embeddings, likelihoods, world
from codeclm.simulator.batches import Batches
from codeclm.simulator.draws import Draws
from codeclm.simulator.faults import Fault, RateLimit, Transport
from codeclm.simulator.lexicon import texts
from codeclm.simulator.models import SimulatedModel
from codeclm.simulator.options import EMBEDDING, SimulatorOptions, gives_embeddings, model_named, models
from codeclm.simulator.stats import Stats

_ENDPOINTS: dict[str, api.Endpoint] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
}

_REFUSAL = "I'm sorry, but I can't help with that."


class Simulator:
    """A server in the running event loop; an async context manager, or :meth:`start` and :meth:`stop`.

    ``reply`` says what the models say: the simulated world, or another one behind the same server.
    """

    def __init__(
        self,
        options: SimulatorOptions = SimulatorOptions(),  # noqa: B008 (frozen)
        *,
        templates: Templates = BUILT_IN,
        reply: world.World = world.reply,
    ) -> None:
        self.base_url = ""
        self.dead = asyncio.Event()
        self._options = options
        self._templates = templates_in(Path(options.prompts).expanduser()) if options.prompts else templates
        self._models = models(options)
        self._world = reply
        self._key = _key(options)
        self._calls = 0
        self._stats = Stats()
        self._batches = Batches(options, self._answer_line)
        self._transport = Transport(options)
        self._rate = RateLimit(options.requests_per_minute)
        self._turns = asyncio.Semaphore(options.max_in_flight) if options.max_in_flight else contextlib.nullcontext()
        self._runner: web.ServerRunner | None = None
        self._dying: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Listens on ``port`` of 127.0.0.1, or on a free one; sets ``base_url``."""
        server = web.Server(self._handle, access_log=None, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port, backlog=4096).start()
        except OSError as error:
            await self.stop()
            raise ConfigError(f"can't listen on 127.0.0.1:{port} ({error.strerror}): choose another port") from None
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        """Closes the socket and every connection. Harmless when done already."""
        await self._batches.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        elif self._dying not in (None, asyncio.current_task()):
            await self._dying

    def stats(self) -> dict[str, Any]:
        """What was counted since the start or the last reset, as served by GET /stats."""
        return self._stats.as_dict() | {"batches": self._batches.as_dict()}

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path:
            case "POST", path if path in _ENDPOINTS:
                return await self._counted(request)
            case "GET", "/v1/models" | "/v1/models/":
                names = (*self._models, EMBEDDING)
                rows = [{"id": name, "object": "model", "created": 0, "owned_by": "codeclm"} for name in names]
                return _json({"object": "list", "data": rows}) if self._allowed(request) else _unauthorized()
            case "GET", "/stats":
                return _json(self.stats())
            case "POST", "/stats/reset":
                self._stats.reset()
                self._batches.counts.clear()
                return _json({"reset": True})
            case "GET", "/health":
                return _json({"status": "ok"})
        if self._options.batches and request.path.startswith(("/v1/files", "/v1/batches")):
            try:
                return await self._batches.handle(request) if self._allowed(request) else _unauthorized()
            except api.BadRequest as bad:
                return _json(bad.body, bad.status)
        return _json(api.error(f"Unknown request URL: {request.path}", kind="invalid_request_error"), 404)

    async def _counted(self, request: web.BaseRequest) -> web.StreamResponse:
        self._stats.begin()
        status = "none"
        try:
            response = await self._complete(request)
            status = str(response.status)
            return response
        except api.BadRequest as bad:
            status = str(bad.status)
            return _json(bad.body, bad.status)
        finally:
            self._stats.end(status)

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._allowed(request):
            return _unauthorized()
        self._calls += 1
        if self._options.die_after and self._calls > self._options.die_after:
            self._die()
            await _cut_off(request)
        body = await request.content.read()
        call, key = self._asked(request.path, _parsed(body), body)
        wait = self._rate.wait(asyncio.get_running_loop().time())
        left = self._rate.headers() if self._options.rate_headers else {}
        response = _too_many(wait) if wait else await self._work(request, call, key)
        response.headers.update(left)
        return response

    async def _work(self, request: web.BaseRequest, call: api.Call, key: bytes) -> web.StreamResponse:
        """What becomes of a sound call that the limits let pass."""
        async with self._turns:
            fault = self._transport.fault()
            if fault:
                self._stats.faulty(fault)
            match fault:
                case "429":
                    return _too_many(self._options.retry_after)
                case "500":
                    return _json(api.error("The server had an error while processing it.", kind="server_error"), 500)
                case "hang":
                    await asyncio.Event().wait()
                case "drop":
                    await _cut_off(request)
            return await self._deliver(call, fault, key)

    def _asked(self, path: str, content: Any, body: bytes) -> tuple[api.Call, bytes]:
        """The sound call in a body, with the key under which its answer counts."""
        call = api.read_call(content, _ENDPOINTS[path], self._options)
        if call.endpoint == "embeddings" or gives_embeddings(call.model):
            self._check_embeds(call)
            return call, self._stats.asked(call.model, "embedding", path.encode() + body)
        self._model(call.model)
        prompt = world.prompt_of(call.messages, self._templates)
        name = "likelihood" if call.echoed else prompt.name if prompt else "answer"
        return call, self._stats.asked(call.model, name, path.encode() + body)

    def _model(self, name: str) -> SimulatedModel:
        if (model := model_named(name, self._models)) is None:
            message = f"The model '{name}' does not exist or you do not have access to it."
            raise api.BadRequest(message, status=404, code="model_not_found")
        return model

    def _check_embeds(self, call: api.Call) -> None:
        if not gives_embeddings(call.model):
            self._model(call.model)
            raise api.BadRequest(f"The model '{call.model}' does not support embeddings.", param="model")
        if call.endpoint != "embeddings":
            raise api.BadRequest(f"The model '{call.model}' gives embeddings only.", param="model")

    def _answer_line(self, path: str, content: Any) -> tuple[int, Any]:
        """The status and body that answer a line of a batch, which counts and fails as a call of its own would."""
        self._stats.begin()
        status = 500
        try:
            call, key = self._asked(path, content, orjson.dumps(content))
            fault = self._transport.fault()
            if fault in ("429", "500", "hang", "drop"):
                status = 429 if fault == "429" else 500
                return status, api.error("The server had an error while processing it.", kind="server_error")
            reply = self._reply(call, fault)
            self._calls += 1
            body = api.completion(call, reply, self._calls, refusal=_REFUSAL if fault == "refused" else None)
            self._stats.answered(key if fault is None else None, reply.prompt_tokens, reply.completion_tokens)
            status = 200
            return status, "{torn" if fault == "malformed" else body
        except api.BadRequest as bad:
            status = bad.status
            return status, bad.body
        finally:
            self._stats.end(str(status))

    async def _deliver(self, call: api.Call, fault: Fault | None, key: bytes) -> web.StreamResponse:
        """The 200 to a sound call, after its latency, whole unless there is a fault."""
        reply = self._reply(call, fault)
        if (seconds := self._transport.latency(reply.completion_tokens)) > 0:
            await asyncio.sleep(seconds)
        refusal = _REFUSAL if fault == "refused" and not call.echoed else None
        body = orjson.dumps(api.completion(call, reply, self._calls, refusal=refusal))
        if fault == "malformed":
            body = body[: len(body) // 2]
        self._stats.answered(key if fault is None else None, reply.prompt_tokens, reply.completion_tokens)
        return web.Response(body=body, content_type="application/json")

    def _reply(self, call: api.Call, fault: Fault | None) -> api.Reply:
        if call.endpoint == "embeddings":
            given = [str(message["content"]) for message in call.messages]
            vectors = [embeddings.vector(call.model, text) for text in given]
            return api.Reply("", "stop", sum(map(api.tokens, given)), 0, vectors=vectors)
        model = self._model(call.model)
        if call.echoed:
            written = api.cut("I see.", 0, call.max_tokens)
            listed = [*likelihoods.listed(model, call.echoed), (written.text, -1.0)]
            return api.Reply(written.text, written.finish_reason, len(listed) - 1, written.completion_tokens, listed)
        text = self._world(
            model, call.messages, temperature=call.temperature, seed=call.seed, templates=self._templates
        )
        if call.schema is not None and not text.startswith("{"):
            if call.schema:
                text = world.free_text(model, call.messages, temperature=call.temperature, seed=call.seed)
            text = orjson.dumps(api.fill(call.schema, text)).decode()
        if self._options.thinking:
            text = f"<think>\n{Draws('think', text).pick(texts('thoughts'))}\n</think>\n\n{text}"
        prompt_tokens = sum(api.tokens(str(message.get("content"))) for message in call.messages)
        reply = api.cut(text, prompt_tokens, call.max_tokens, call.stop)
        if fault == "truncated":
            half = reply.text[: len(reply.text) // 2]
            return api.Reply(half, "length", prompt_tokens, api.tokens(half))
        return reply

    def _allowed(self, request: web.BaseRequest) -> bool:
        given = request.headers.get("Authorization", "")
        return self._key is None or hmac.compare_digest(given.encode(), f"Bearer {self._key}".encode())

    def _die(self) -> None:
        """Drops dead: this call and all that are under way lose their connections."""
        if self._dying is None:
            self.dead.set()
            self._dying = asyncio.get_running_loop().create_task(self.stop())


def serve(options: SimulatorOptions, port: int, on_ready: Callable[[str], None]) -> None:
    """Serves until SIGINT, SIGTERM or ``die_after``; calls ``on_ready`` with the base URL once it listens."""
    asyncio.run(_serve(options, port, on_ready))


async def _serve(options: SimulatorOptions, port: int, on_ready: Callable[[str], None]) -> None:
    simulator = Simulator(options)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, simulator.dead.set)
    await simulator.start(port)
    try:
        on_ready(simulator.base_url)
        await simulator.dead.wait()
    finally:
        await simulator.stop()


def _key(options: SimulatorOptions) -> str | None:
    if options.api_key_env is None:
        return None
    if key := os.environ.get(options.api_key_env):
        return key
    raise ConfigError(f"the environment variable {options.api_key_env} is not set: put the key to ask for into it")


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise api.BadRequest("We could not parse the JSON body of your request.") from None


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)


def _too_many(seconds: float) -> web.Response:
    body = api.error("Rate limit reached for requests.", kind="requests", code="rate_limit_exceeded")
    return _json(body, 429, {"Retry-After": f"{seconds:.3f}".rstrip("0").rstrip(".")})


def _unauthorized() -> web.Response:
    body = api.error("Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key")
    return _json(body, 401)


async def _cut_off(request: web.BaseRequest) -> None:
    """Breaks the connection, which cancels this very task."""
    if request.transport is not None:
        request.transport.abort()
    await asyncio.Event().wait()
