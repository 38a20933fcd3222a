"""Every error codeclm raises on purpose: a flat tree named by the boundary crossed.

Two branches matter to callers:

- :class:`CallFailed`: one model call did not give a usable reply. ``fatal`` tells whether waiting could mend it;
  a failure that is not fatal becomes a ``failed`` outcome and the run goes on.
- everything else stops the run (or refuses to begin it), with a message that says what happened, where, and what to do.

All of them survive pickling, so they cross process boundaries with their fields intact.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuthFailed",
    "BudgetReached",
    "CallFailed",
    "CannotConnect",
    "CodecLMError",
    "ConfigError",
    "ContentFiltered",
    "EmptyReply",
    "EndpointDown",
    "EngineFailed",
    "Expired",
    "InputError",
    "JournalError",
    "MalformedBody",
    "OutputError",
    "PartFailed",
    "QuotaExhausted",
    "RateLimited",
    "Refused",
    "RejectedRequest",
    "RunDirectoryError",
    "RunFailed",
    "ServeFailed",
    "ServerFailed",
    "Stopped",
    "TimedOut",
    "Truncated",
    "UnknownModel",
    "Unparseable",
    "WorkerLost",
]


class CodecLMError(Exception):
    """Base of every error raised on purpose. ``str(error)`` is one paragraph: what, where, and the remedy."""


class ConfigError(CodecLMError):
    """The configuration is wrong: an unknown key, a bad value, a missing environment variable."""


class InputError(CodecLMError):
    """A file the user gave (seeds, metadata) is missing, empty or has a bad line."""


class RunDirectoryError(CodecLMError):
    """The run directory can't be used: it belongs to another config, or another run holds it."""


class JournalError(CodecLMError):
    """The journal can't be read or written: torn, foreign, newer than this version, or the disk is full."""


class OutputError(CodecLMError):
    """A file could not be written: no room on the disk, or no permission."""


class PartFailed(CodecLMError):
    """A part of the user's own did what no part may: it raised something, or returned what is not owed."""


class RunFailed(CodecLMError):
    """The run ended without what was asked for, for example because nothing passes the filter any more."""


class ServeFailed(CodecLMError):
    """A server that the run starts itself did not start, or died again and again; the message ends with its log."""


class EngineFailed(CodecLMError):
    """The cluster that an engine needs can't be reached or used, or its workers die again and again."""


class Stopped(CodecLMError):
    """The run was asked to stop: no new call is begun, calls in flight end and are recorded."""


class BudgetReached(CodecLMError):
    """No further call fits the budget: what was spent and what the next one may cost at most are more than it.

    ``key`` is the limit in the configuration.
    """

    def __init__(self, message: str, key: str = "budget") -> None:
        super().__init__(message, key)
        self.key = key

    def __str__(self) -> str:
        return str(self.args[0])


class EndpointDown(CodecLMError):
    """An endpoint that worked has been out of order for longer than its ``give_up_after``."""


class CallFailed(CodecLMError):
    """One model call failed.

    ``cause`` is the word used in ``failures.jsonl``; ``fatal`` says that waiting will not mend it and the run must end;
    ``retriable`` that the same request may succeed when sent again, at most ``most_retries`` times; ``free`` that the
    server refused it before doing any work that somebody pays for; ``raw`` is whatever text came back, ``retry_after``
    the seconds the server asked us to wait, ``attempts`` how often it was tried in all.
    """

    cause: ClassVar[str] = "failed"
    fatal: bool = False
    free: bool = False
    retriable: ClassVar[bool] = False
    most_retries: ClassVar[int] = 1000

    def __init__(self, message: str, *, raw: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.raw = raw
        self.retry_after = retry_after
        self.attempts = 1

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message), self.__dict__


def _rebuild(kind: type[CallFailed], message: str) -> CallFailed:
    return kind(message)


class CannotConnect(CallFailed):
    """Nothing listens at the address, or the connection broke, again and again."""

    cause = "connection"
    fatal = True
    retriable = True


class TimedOut(CallFailed):
    """No complete reply within the endpoint's ``timeout``."""

    cause = "timeout"
    retriable = True
    most_retries = 3  # each one was probably worked on, and billed


class AuthFailed(CallFailed):
    """401 or 403: the key is missing, wrong, or not allowed to use the model."""

    cause = "auth"
    free = True
    fatal = True


class UnknownModel(CallFailed):
    """404: the endpoint does not serve a model of that name (or the URL is not an API)."""

    cause = "unknown_model"
    free = True
    fatal = True


class RateLimited(CallFailed):
    """429: too many requests or tokens; ``retry_after`` when the server said how long."""

    cause = "rate"
    free = True
    retriable = True


class QuotaExhausted(CallFailed):
    """429 that waiting does not mend: the account has no credit left."""

    cause = "quota"
    free = True
    fatal = True


class ServerFailed(CallFailed):
    """5xx: the server or something before it failed."""

    cause = "server"
    free = True
    retriable = True


class MalformedBody(CallFailed):
    """A 200 whose body is not a completion, or no embedding: torn JSON, an HTML page, missing fields."""

    cause = "malformed"
    retriable = True


class Expired(CallFailed):
    """A batch ended without an answer to this request: its time was over, it was cancelled, or the line is missing."""

    cause = "expired"
    free = True
    retriable = True


class RejectedRequest(CallFailed):
    """Another 4xx: this request is not acceptable to the server, for example because the prompt is too long."""

    cause = "rejected"
    free = True


class WorkerLost(CallFailed):
    """The worker that sent the call is gone, and nobody knows what became of it. It says nothing of the endpoint."""

    cause = "worker"
    retriable = True


class EmptyReply(CallFailed):
    """The model answered with no text at all."""

    cause = "empty"


class Refused(CallFailed):
    """The model declined through the API's own refusal field."""

    cause = "refused"


class ContentFiltered(CallFailed):
    """The provider's content filter withheld or cut the answer."""

    cause = "content_filter"


class Truncated(CallFailed):
    """The reply was cut off by the token limit and what is there can't be used."""

    cause = "truncated"


class Unparseable(CallFailed):
    """A reply that is not in the form asked for. Never guessed at."""

    cause = "unparseable"
