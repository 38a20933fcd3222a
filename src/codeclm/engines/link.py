"""Two processes that ask each other: questions, answers and cancellations, gathered into batches.

Contract. A link has two ends, one in each process. :meth:`Link.ask` puts a question to the other end, where the handler
it was made with answers it; any number may be under way in both directions. What waits to be sent is taken as one
batch of bytes (:meth:`Link.taken`) and handed to the other end (:meth:`Link.received`) by whatever carries it. Batches
are handed over in the order they were taken. What a handler raises is raised where it was asked; whoever gives up a
question has the handler of it cancelled. Values cross as pickles, so both ends must trust each other.

How batches travel, and what becomes of a question when the other process dies, is the carrier's business
(:meth:`Link.close`).
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Literal

from codeclm.engines.records_pickled import dumps

_Message = tuple[Literal["question", "answer", "error", "cancel"], int, Any]


class Link:
    """One end. ``answer`` is awaited with each question of the other end, in a task of its own."""

    def __init__(self, answer: Callable[[Any], Awaitable[Any]]) -> None:
        self._answer = answer
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: dict[int, asyncio.Task[None]] = {}
        self._out: list[_Message] = []
        self._filled = asyncio.Event()
        self._closed: Callable[[], Exception] | None = None

    async def ask(self, question: Any) -> Any:
        """The other end's answer. Raises what it raised, or the reason that the link was closed for."""
        if self._closed:
            raise self._closed()
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        self._put(("question", number, question))
        try:
            return await answered
        except asyncio.CancelledError:
            self._put(("cancel", number, None))
            raise
        finally:
            del self._asked[number]

    @property
    def asked(self) -> int:
        """How many questions of this end are not answered yet."""
        return len(self._asked)

    async def filled(self, seconds: float) -> bool:
        """Wait until there is something to send, at most so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._filled.wait(), seconds)
        return bool(self._out)

    def taken(self) -> bytes:
        """All that waits to be sent, as one batch; empty where nothing does."""
        messages, self._out = self._out, []
        self._filled.clear()
        if not messages:
            return b""
        try:
            return dumps(messages)
        except Exception:  # whatever a value's own pickling raises: one that can't cross must not keep the others
            return dumps([message for message in map(self._that_crosses, messages) if message])

    def received(self, batch: bytes) -> None:
        """Take in a batch of the other end: begin to answer its questions, and hand its answers to who asked."""
        if not batch or self._closed:
            return
        for kind, number, value in pickle.loads(batch):  # noqa: S301 (from our own process at the other end)
            if kind == "question":
                task = asyncio.create_task(self._reply(number, value))
                self._answering[number] = task
                task.add_done_callback(partial(self._answered, number))
            elif kind == "cancel":
                if number in self._answering:
                    self._answering[number].cancel()
            elif (answered := self._asked.get(number)) and not answered.done():
                if kind == "answer":
                    answered.set_result(value)
                else:
                    answered.set_exception(value)

    def close(self, reason: Callable[[], Exception]) -> None:
        """Raise ``reason()`` in everyone who asked or will ask, and cancel what is being answered."""
        self._closed = reason
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(reason())
        for task in self._answering.values():
            task.cancel()

    def _answered(self, number: int, _: asyncio.Task[None]) -> None:
        del self._answering[number]

    def _put(self, message: _Message) -> None:
        if not self._closed:
            self._out.append(message)
            self._filled.set()

    async def _reply(self, number: int, question: Any) -> None:
        try:
            self._put(("answer", number, await self._answer(question)))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not task or task.cancelling():
                raise
            # It was not cancelled from the other end, where somebody waits.
            self._put(("error", number, RuntimeError("CancelledError: what was asked for was cancelled there")))
        except Exception as error:
            self._put(("error", number, error if _crosses(error) else RuntimeError(f"{type(error).__name__}: {error}")))

    def _that_crosses(self, message: _Message) -> _Message | None:
        """The message, or what says that its value can't be pickled to whoever waits for it."""
        kind, number, value = message
        if _crosses(value):
            return message
        problem = TypeError(f"a {type(value).__name__} can't be sent to another process: {value!r:.200}")
        if kind != "question":
            return "error", number, problem
        if (asked := self._asked.get(number)) and not asked.done():
            asked.set_exception(problem)
        return None


def _crosses(value: Any) -> bool:
    """Whether a value comes out of a pickle as it went in."""
    try:
        return isinstance(pickle.loads(dumps(value)), type(value))  # noqa: S301 (just made here)
    except Exception:  # whatever its own pickling raises
        return False
