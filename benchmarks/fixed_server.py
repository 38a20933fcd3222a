"""An OpenAI-compatible chat server with a fixed latency, lean enough to stay out of the way of what is measured.

    python benchmarks/fixed_server.py --port 0 --latency 0.05 [--cpu 1] [--reply MODULE:FUNCTION] [--keep FILE]

prints one line, `listening on http://127.0.0.1:PORT/v1`, and answers on loopback only until it is ended:

- POST /v1/chat/completions: `latency` seconds after the request was read, one choice holding `reply(body)`; usage
  counts a token for every four characters. An empty `messages` is refused at once with 400, as OpenAI does.
- GET /v1/models: the one model, "fixed".
- GET /stats: `calls` answered or waiting, `refused` ones (not in calls), `in_flight` and `peak_in_flight`, and
  `span_s`, the seconds from the first call read to the last answer sent.
- POST /reset: starts the counts again.

With --keep the bodies of all calls are written to FILE, a line each.

HTTP/1.1 with keep-alive; pipelined requests are answered in their order. Request bodies need a Content-Length (411
without). A reply function that raises answers 500. `reply` runs on the event loop, on the server's core: keep it cheap.
"""

import argparse
import asyncio
import contextlib
import importlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

Reply = Callable[[dict[str, Any]], str]

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 411: b"Length Required", 500: b"Internal Server Error"}
_MODELS = {"object": "list", "data": [{"id": "fixed", "object": "model", "created": 0, "owned_by": "benchmark"}]}


def constant_reply(_body: dict[str, Any]) -> str:
    """What the command line answers to everything unless told otherwise."""
    return '{"answer": "A short answer that is always the same."}'


@dataclass
class Stats:
    """What the server has seen since the last reset."""

    calls: int = 0
    refused: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    first: float = 0.0
    last: float = 0.0

    def opened(self, now: float) -> None:
        """Count one call that starts now."""
        if not self.calls:
            self.first = now
        self.calls += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def closed(self) -> None:
        """Count one answer that is sent now."""
        self.in_flight -= 1
        self.last = time.monotonic()

    def reset(self) -> None:
        """Start again; calls still waiting stay in flight."""
        self.calls = self.refused = 0
        self.peak_in_flight = self.in_flight
        self.first = self.last = 0.0

    def public(self) -> dict[str, float]:
        """What GET /stats shows."""
        span = max(0.0, self.last - self.first)
        counts = {name: getattr(self, name) for name in ("calls", "refused", "in_flight", "peak_in_flight")}
        return {**counts, "span_s": round(span, 4)}


@dataclass
class Shared:
    """What all connections share: the reply, the latency, the counts, and the answers that wait for their time.

    The latency is the same for all, so answers fall due in the order they were queued and one timer is enough.
    """

    reply: Reply
    latency: float
    loop: asyncio.AbstractEventLoop
    keep: IO[bytes] | None = None
    stats: Stats = field(default_factory=Stats)
    waiting: "deque[tuple[float, Connection, bytes, bool]]" = field(default_factory=deque)

    def later(self, connection: "Connection", data: bytes, is_call: bool) -> None:
        """Send `data` on `connection` once the latency has passed."""
        due = self.loop.time() + self.latency
        if not self.waiting:
            self.loop.call_at(due, self._send_due)
        self.waiting.append((due, connection, data, is_call))

    def _send_due(self) -> None:
        now = self.loop.time()
        while self.waiting and self.waiting[0][0] <= now:
            _, connection, data, is_call = self.waiting.popleft()
            if is_call:
                self.stats.closed()
            connection.sent_later(data)
        if self.waiting:
            self.loop.call_at(self.waiting[0][0], self._send_due)


class Connection(asyncio.Protocol):
    """One client connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._buffer = b""
        self._pending = 0
        self._close_after = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while not self._close_after:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            head = buffer[:end].lower()
            stop = end + 4 + _content_length(head)
            if len(buffer) < stop:
                break
            self._close_after = b"connection: close" in head
            self._handle(head, buffer[end + 4 : stop])
            buffer = buffer[stop:]
        self._buffer = buffer

    def sent_later(self, data: bytes) -> None:
        """Send an answer that had to wait."""
        self._pending -= 1
        self._write(data)

    def _handle(self, head: bytes, body: bytes) -> None:
        if b"\r\ntransfer-encoding:" in head:
            self._close_after = True
            self._now(411, _error("send a Content-Length"))
        elif head.startswith(b"post /v1/chat/completions "):
            self._handle_chat(body)
        elif head.startswith(b"get /v1/models "):
            self._now(200, _MODELS)
        elif head.startswith(b"get /stats "):
            self._now(200, self._shared.stats.public())
        elif head.startswith(b"post /reset "):
            self._shared.stats.reset()
            self._now(200, {})
        else:
            self._now(404, _error("no such page"))

    def _handle_chat(self, body: bytes) -> None:
        shared = self._shared
        now = time.monotonic()
        try:
            request = orjson.loads(body)
            messages = request["messages"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            messages = None
        if not messages:
            shared.stats.refused += 1
            self._now(400, _error("'messages' must be a list that is not empty"))
            return
        shared.stats.opened(now)
        if shared.keep:
            shared.keep.write(body + b"\n")
        try:
            status, answer = 200, _completion(request, shared.reply(request))
        except Exception as error:
            status, answer = 500, _error(f"{type(error).__name__}: {error}")
        self._pending += 1
        shared.later(self, _response(status, answer), is_call=True)

    def _now(self, status: int, answer: dict[str, Any]) -> None:
        """Answer at once, unless earlier requests on this connection still wait: then after them."""
        data = _response(status, answer)
        if self._pending:
            self._pending += 1
            self._shared.later(self, data, is_call=False)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._close_after and not self._pending:
            self._transport.close()


def _content_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end >= 0 else len(head)])


def _response(status: int, answer: dict[str, Any]) -> bytes:
    body = orjson.dumps(answer)
    return b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        _REASONS[status],
        len(body),
        body,
    )


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def _characters(content: Any) -> int:
    if isinstance(content, list):
        return sum(len(part.get("text", "")) for part in content)
    return len(content or "")


def _completion(request: dict[str, Any], text: str) -> dict[str, Any]:
    prompt_tokens = sum(_characters(message.get("content")) for message in request["messages"]) // 4
    completion_tokens = len(text) // 4
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-fixed",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model", "fixed"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _announce(port: int) -> None:
    print(f"listening on http://127.0.0.1:{port}/v1", flush=True)


async def serve(
    reply: Reply,
    *,
    port: int,
    latency: float,
    keep: IO[bytes] | None = None,
    ready: Callable[[int], None] = _announce,
) -> None:
    """Serve until cancelled; port 0 takes a free one, and `ready` is told the port that was bound."""
    loop = asyncio.get_running_loop()
    shared = Shared(reply, latency, loop, keep)
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", port, backlog=4096)
    ready(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


def _load_reply(name: str | None) -> Reply:
    if name is None:
        return constant_reply
    sys.path += [str(Path.cwd()), str(Path.cwd() / "src")]  # after PYTHONPATH, which may name another codeclm
    module, _, function = name.partition(":")
    reply: Reply = getattr(importlib.import_module(module), function)
    return reply


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible chat server with a fixed latency.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--cpu", type=int, help="the core to stay on")
    parser.add_argument("--reply", metavar="MODULE:FUNCTION", help="makes the answer from the request's body")
    parser.add_argument("--keep", metavar="FILE", type=Path, help="write the bodies of calls here, a line each")
    args = parser.parse_args()
    if args.cpu is not None:
        os.sched_setaffinity(0, {args.cpu})
    with contextlib.ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        keep = stack.enter_context(args.keep.open("wb", buffering=0)) if args.keep else None
        asyncio.run(serve(_load_reply(args.reply), port=args.port, latency=args.latency, keep=keep))


if __name__ == "__main__":
    main()
