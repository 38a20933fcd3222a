"""One OpenAI-compatible endpoint over HTTP: one request, one completion or one typed error, no retry.

Chat completions by default; ``api: completions`` reaches a base model through an instruction template. Thinking is
split from the answer whichever way the server sends it. How likely a given text is, is asked at the same server's
completions (echoed.py); ``api: embeddings`` gives vectors (embedding.py). Texts are valid Unicode afterwards. Keys and
secret headers are taken from the environment when the client is made and are cut out of every error message.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Literal

import aiohttp
import orjson

from codeclm.clients import echoed, embedding, environment
from codeclm.clients.secrets import Secrets, in_url
from codeclm.clients.served import OwnServer
from codeclm.config_models import ModelConfig
from codeclm.errors import (
    AuthFailed,
    CallFailed,
    CannotConnect,
    ContentFiltered,
    MalformedBody,
    QuotaExhausted,
    RateLimited,
    RejectedRequest,
    ServerFailed,
    TimedOut,
    UnknownModel,
)
from codeclm.prompts.templates import BUILT_IN
from codeclm.records import Completion, FinishReason, ReplyForm, Request, Usage

ResponseFormat = Literal["none", "json_schema", "json_object"]
Read = Callable[[bytes, float], Completion]

PATHS = {"chat": "chat/completions", "completions": "completions", "embeddings": "embeddings"}
"""Where calls of each ``api`` go, below base_url."""

_FINISH: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("content_filter", "safety"), "content_filter"),
}
# How models open and close their thinking.
_THINKING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
)
_LONE_CLOSING = re.compile(r"(?:\A|\n)[ \t]*</think>[ \t]*\n")
_TEMPLATE_TOKENS = 256  # what chat templates add to the messages, a default system message included
_RAW = 2000  # characters kept of what a server said
_MOST_TOKENS = 2**53
_RETRY_AFTER_HEADERS = ("retry-after", "llm_provider-retry-after")


@dataclass(frozen=True, slots=True)
class Traits:
    """How an endpoint wants to be spoken to, as learnt at its first call."""

    tokens_field: str = "max_tokens"
    temperature: bool = True
    seed: bool = True
    response_format: ResponseFormat = "none"


class HttpClient:
    """The innermost client. ``base_url`` is where the endpoint is reached now, which its config may name otherwise."""

    def __init__(
        self, config: ModelConfig, session: aiohttp.ClientSession, *, base_url: str, name: str, traits: Traits
    ) -> None:
        self.templates = BUILT_IN
        self.config = config
        self.traits = traits
        self.name = name
        self._session = session
        self.base_url = base_url
        self.url = f"{base_url}/{PATHS[config.api]}"
        self._timeout = aiohttp.ClientTimeout(total=config.timeout)
        self._pausing = aiohttp.ClientTimeout(total=None, sock_connect=config.timeout, sock_read=config.timeout)
        self._proxy = environment.proxy(base_url)
        self._headers, secrets = environment.headers(config, name)
        self._secrets = Secrets({*secrets, *in_url(self._proxy)})
        self.server: OwnServer | None = None
        """Where a server of the run's own is reached, which may call the model by another name."""
        self.told: Callable[[Mapping[str, str]], None] | None = None
        """Called with the headers of every reply, good or bad, before it is read."""

    @property
    def form(self) -> ReplyForm:
        """``json`` where a response format is known to be kept to."""
        return "text" if self.traits.response_format == "none" else "json"

    @property
    def max_tokens(self) -> int:
        """The configured limit of one reply."""
        return self.config.max_tokens

    @property
    def model(self) -> str:
        """What the endpoint calls the model."""
        return self.server.called if self.server else self.config.model

    async def again(self, failed: Request, anew: Request) -> bool:
        """Never: there is no record here of what was asked before."""
        return False

    def opening(self, instruction: str) -> str:
        """As the config has it."""
        return self.config.opening(instruction)

    async def complete(self, request: Request) -> Completion:
        """Send the request once. Raises the CallFailed that fits what went wrong."""
        url, read = self.url, self._read
        if request.continuation:
            url, read = f"{self.base_url}/completions", partial(self._likelihood, request)
        data = orjson.dumps(self.body(request), option=orjson.OPT_NON_STR_KEYS)
        started = time.perf_counter()
        with self._reaching():
            async with self._session.post(
                url,
                data=data,
                headers=self._headers,
                timeout=self._timeout,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                content = await response.read()
                status, headers = response.status, response.headers
        return self.reply(status, headers, content, time.perf_counter() - started, read)

    @asynccontextmanager
    async def exchange(
        self, method: str, path: str, data: aiohttp.FormData | bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response of the same server to another request, to ``path`` below base_url. Raises as for a completion.

        It may be as long as it likes, with no pause longer than ``timeout``.
        """
        headers = dict(self._headers)
        if isinstance(data, aiohttp.FormData):
            del headers["Content-Type"]  # it has its own, with the boundary between its parts
        with self._reaching():
            async with self._session.request(
                method,
                self.base_url + path,
                data=data,
                headers=headers,
                timeout=self._pausing,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                if not response.ok:
                    text = (await response.read()).decode("utf-8", "replace")
                    raise self._error(response.status, response.headers, text)
                yield response

    def reply(
        self, status: int, headers: Mapping[str, str], content: bytes, latency: float, read: Read | None = None
    ) -> Completion:
        """What a reply to a request says, as ``read``. Raises the CallFailed that fits one that is no completion."""
        if self.told:
            self.told(headers)
        if status != 200:
            raise self._error(status, headers, content.decode("utf-8", "replace"))
        return (read or self._read)(content, latency)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn what may go wrong with a connection into our errors."""
        try:
            yield
        except TimeoutError:
            raise TimedOut(f"{self.where}: no reply within {self.config.timeout:g} s. Raise `timeout`?") from None
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            failed = CannotConnect(
                f"{self.where}: the connection failed ({self.clean(str(error) or type(error).__name__)}). "
                "Is the server running, and is base_url right?"
            )
            failed.free = isinstance(error, aiohttp.ClientConnectorError)  # refused, so nothing was sent
            raise failed from None

    def most(self, request: Request) -> Usage:
        """The most tokens a request may be charged: no tokenizer makes more tokens of a text than it has bytes."""
        texts, schema = [message.content for message in request.messages], 0
        if request.continuation:
            return Usage(sum(map(_bytes, texts)) + _bytes(request.continuation) + _TEMPLATE_TOKENS, 1)
        if self.config.api == "embeddings":
            return Usage(sum(map(_bytes, texts)) + _TEMPLATE_TOKENS, 0)
        if self.config.api == "completions":
            texts.append(self.config.template)
        if request.schema:
            schema = len(orjson.dumps(request.schema.schema))
        return Usage(sum(map(_bytes, texts)) + schema + _TEMPLATE_TOKENS, self.config.max_tokens)

    def body(self, request: Request) -> dict[str, Any]:
        """The request's JSON body, as this endpoint wants it."""
        config, traits = self.config, self.traits
        if request.continuation:
            return echoed.body(self.model, _said_before(request), request.continuation, config.extra_body)
        if config.api == "embeddings":
            return embedding.body(self.model, _said_before(request), config.extra_body)
        body: dict[str, Any] = {"model": self.model, traits.tokens_field: config.max_tokens}
        if config.api == "chat":
            body["messages"] = [{"role": message.role, "content": message.content} for message in request.messages]
        else:
            body["prompt"] = self.opening("\n\n".join(message.content for message in request.messages))
            if config.stop:
                body["stop"] = list(config.stop)
        if traits.temperature:
            body["temperature"] = request.temperature
        if traits.seed:
            body["seed"] = request.sample
        if request.schema and traits.response_format == "json_schema":
            named = {"name": request.schema.name, "schema": request.schema.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        elif request.schema and traits.response_format == "json_object":
            body["response_format"] = {"type": "json_object", "schema": request.schema.schema}
        return body | config.extra_body

    def _read(self, content: bytes, latency: float) -> Completion:
        try:
            reply = _loads(content)
            if self.config.api == "embeddings":
                return embedding.completion(reply, latency)
            choice = reply["choices"][0]
            message = choice["message"] if self.config.api == "chat" else {"content": choice["text"]}
            text, thinking = _text(message.get("content")), _text(message.get("reasoning_content"))
            thinking = thinking or _text(message.get("reasoning"))
            if not thinking:
                text, thinking = split_reasoning(text)
            cut = self._secrets.cut_from_reply
            usage = reply.get("usage")
            usage = usage if isinstance(usage, dict) else {}
            return Completion(
                text=cut(text),
                finish_reason=_FINISH[(choice.get("finish_reason") or "stop").lower()],
                usage=Usage(_tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))),
                reasoning=cut(thinking),
                refusal=cut(_text(message.get("refusal"))),
                latency=latency,
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raw = self.clean(content.decode("utf-8", "replace"))
            what = "an embedding" if self.config.api == "embeddings" else "a chat completion"
            why = f" ({error})" if isinstance(error, embedding.NotAnEmbedding) else ""
            raise MalformedBody(f"{self.where}: the reply is not {what}{why}: {raw[:200]!r}", raw=raw) from None

    def _likelihood(self, request: Request, content: bytes, latency: float) -> Completion:
        """How likely the request's continuation is, as the completion that records it."""
        raw = self.clean(content.decode("utf-8", "replace"))
        try:
            return echoed.completion(_loads(content), _said_before(request), request.continuation, latency)
        except echoed.NotEchoed as error:
            failed = RejectedRequest(f"{self.where}: no log-probabilities of a given text: {error}.", raw=raw)
            failed.free = False  # it was worked on
            raise failed from None
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            raise MalformedBody(f"{self.where}: the reply is not a completion: {raw[:200]!r}", raw=raw) from None

    def _error(self, status: int, headers: Mapping[str, str], text: str) -> CallFailed:
        raw = self.clean(text)
        said = f"{self.where}: HTTP {status}: {_said(raw)}"
        if status == 403 and re.search("moderation|flagged", raw):
            return ContentFiltered(said, raw=raw)
        if status in (401, 403):
            variable = self.config.api_key_env
            hint = f"Check the key in {variable}" if variable else f"Set models.{self.name}.api_key_env"
            return AuthFailed(f"{said} {hint}.", raw=raw)
        if status == 402 or "credit balance is too low" in raw:
            return QuotaExhausted(f"{said} Add credit to the account and run again.", raw=raw)
        if status == 404:
            hint = f"Is `{self.config.model}` served there, and does base_url end in the API's version (…/v1)?"
            return UnknownModel(f"{said} {hint}", raw=raw)
        if status == 429:
            if "insufficient_quota" in raw:
                return QuotaExhausted(f"{said} Add credit to the account and run again.", raw=raw)
            return RateLimited(said, raw=raw, retry_after=retry_after(headers))
        if status == 408:
            return TimedOut(said, raw=raw)
        # llama-cpp-python answers 500 to a response format it does not know, or logprobs; waiting mends nothing there.
        if status > 500 or (status == 500 and "response_format" not in raw and "logprobs" not in raw):
            return ServerFailed(said, raw=raw, retry_after=retry_after(headers))
        return RejectedRequest(said, raw=raw)

    @property
    def where(self) -> str:
        """The endpoint, for messages."""
        return f"models.{self.name} ({self.config.model} at {self.url})"

    def without_secrets(self, content: bytes) -> bytes:
        """A body that is no completion, without our secrets."""
        return self._secrets.cut_from_reply(content.decode("utf-8", "replace")).encode()

    def clean(self, text: str) -> str:
        """The first of what a server said, without our secrets, however they are escaped in it."""
        if self._secrets:
            with suppress(ValueError, RecursionError):
                text = json.dumps(json.loads(text), ensure_ascii=False)
            text = self._secrets.cut_from_error(text)
        return _text(text[:_RAW])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asked us to wait, in any of the ways they say it; None when it did not."""
    milliseconds = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    for name in _RETRY_AFTER_HEADERS:
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value)
        if value:
            try:
                return max(0.0, parsedate_to_datetime(value).timestamp() - _now(headers))
            except (ValueError, TypeError, OverflowError, OSError):
                continue
    return None


def _now(headers: Mapping[str, str]) -> float:
    """The time by the clock of whoever sent these headers, which need not agree with ours."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return time.time()


def split_reasoning(text: str) -> tuple[str, str]:
    """An answer and the thinking that was written before it.

    Thinking is a leading block in tags; one that never ends leaves no answer. Some chat templates open the block
    themselves, so text before a ``</think>`` that has a line to itself is thinking too, where none was opened.
    """
    stripped = text.lstrip()
    for opening, closing in _THINKING:
        if stripped.startswith(opening):
            thinking, _, answer = stripped.removeprefix(opening).partition(closing)
            return answer.strip(), thinking.strip()
    if "</think>" in text and "<think>" not in text and (lone := _LONE_CLOSING.search(text)):
        return text[lone.end() :].strip(), text[: lone.start()].strip()
    return text, ""


def _said_before(request: Request) -> str:
    """What a continuation goes on from, as it is."""
    return "".join(message.content for message in request.messages)


def _loads(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content)  # accepts a lone surrogate, which _text then replaces


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _tokens(value: Any) -> int:
    """A count of tokens; 0 for anything that can't be one."""
    return int(value) if isinstance(value, int | float) and 0 <= value <= _MOST_TOKENS else 0


def _text(value: Any) -> str:
    """A message's text as valid Unicode; some servers send a list of parts."""
    if isinstance(value, list):
        value = "".join(part.get("text", "") for part in value if isinstance(part, dict))
    text = value if isinstance(value, str) else ""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _said(raw: str) -> str:
    """The human part of an error body."""
    try:
        error = json.loads(raw)
        error = error.get("error", error)
        message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        message = raw
    said = re.sub(r"\s+", " ", _text(str(message or "no explanation"))).strip()
    return (said if len(said) <= 300 else said[:299] + "…").rstrip(".") + "."
