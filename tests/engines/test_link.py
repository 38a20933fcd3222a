"""A link: questions in both directions, what is raised, what is given up, and what happens when an end is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from codeclm.engines.link import Link
from codeclm.errors import RateLimited, WorkerLost


class Unsendable:
    """What no pickle holds."""

    def __reduce__(self) -> Any:
        raise TypeError("never")


class Odd(Exception):
    """An error that is not made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class ForEver:
    """A handler that answers nothing, and tells when it began and when it was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, question: Any) -> Any:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


Handler = Callable[[Any], Awaitable[Any]]


async def echo(question: Any) -> Any:
    return question


@asynccontextmanager
async def linked(here: Handler = echo, there: Handler = echo) -> AsyncIterator[tuple[Link, Link]]:
    """Two ends whose batches are carried to and fro."""
    ends = Link(here), Link(there)

    async def carry(from_: Link, to: Link) -> None:
        while True:
            if await from_.filled(10):
                to.received(from_.taken())

    carriers = [asyncio.create_task(carry(*ends)), asyncio.create_task(carry(*reversed(ends)))]
    try:
        yield ends
    finally:
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)


async def test_both_ends_ask_and_are_answered() -> None:
    async def double(question: Any) -> Any:
        return 2 * question

    async with linked(there=double) as (here, there):
        answers = await asyncio.gather(*(here.ask(number) for number in range(50)), there.ask("a"))
    assert answers == [*range(0, 100, 2), "a"]
    assert here.asked == 0


async def test_a_question_may_be_answered_by_asking_back() -> None:
    ends: list[Link] = []

    async def ask_back(question: Any) -> Any:
        return 1 + await ends[1].ask(question)

    async with linked(there=ask_back) as pair:
        ends += pair
        assert await pair[0].ask(4) == 5


async def test_questions_that_wait_together_cross_in_one_batch() -> None:
    here, there = Link(echo), Link(echo)
    asked = [asyncio.create_task(here.ask(number)) for number in range(3)]
    await asyncio.sleep(0)
    batch = here.taken()
    assert here.taken() == b""
    there.received(batch)
    assert await there.filled(10)
    here.received(there.taken())
    assert await asyncio.gather(*asked) == [0, 1, 2]


async def test_what_a_handler_raises_is_raised_where_it_was_asked_with_its_fields() -> None:
    async def refuse(question: Any) -> Any:
        raise RateLimited("slow down", retry_after=2.0)

    async with linked(there=refuse) as (here, _):
        with pytest.raises(RateLimited, match="slow down") as raised:
            await here.ask("x")
    assert raised.value.retry_after == 2.0


@pytest.mark.parametrize("error", [Odd(1, 2), ValueError(Unsendable())])
async def test_an_error_that_can_not_cross_is_told_in_words(error: Exception) -> None:
    async def fail(question: Any) -> Any:
        raise error

    async with linked(there=fail) as (here, _):
        with pytest.raises(RuntimeError, match=type(error).__name__):
            await here.ask("x")


async def test_a_value_that_can_not_cross_keeps_no_other_from_it() -> None:
    async def some(question: Any) -> Any:
        return Unsendable() if question == "odd" else question

    async with linked(there=some) as (here, _):
        asked = [here.ask("odd"), here.ask("even"), here.ask(Unsendable())]
        odd, even, unsent = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(odd, TypeError)
    assert even == "even"
    assert isinstance(unsent, TypeError)
    assert "can't be sent" in str(odd)
    assert "can't be sent" in str(unsent)


async def test_who_gives_up_has_the_handler_cancelled() -> None:
    handler = ForEver()
    async with linked(there=handler) as (here, _):
        asking = asyncio.create_task(here.ask("x"))
        await handler.begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(handler.ended.wait(), 10)
        assert here.asked == 0


async def test_closing_raises_in_who_asked_and_who_will_ask_and_ends_what_is_answered() -> None:
    handler = ForEver()
    async with linked(here=handler) as (here, there):
        asked = [asyncio.create_task(here.ask(number)) for number in range(2)]
        there_asked = asyncio.create_task(there.ask("x"))
        await handler.begun.wait()
        here.close(lambda: WorkerLost("gone"))
        raised = await asyncio.gather(*asked, here.ask(3), return_exceptions=True)
        await asyncio.wait_for(handler.ended.wait(), 10)
        there_asked.cancel()
    assert [str(error) for error in raised] == ["gone"] * 3
    assert len(set(map(id, raised))) == 3  # each its own, with its own traceback


async def test_an_answer_to_a_question_given_up_and_a_cancellation_of_one_answered_do_nothing() -> None:
    here, there = Link(echo), Link(echo)
    asking = asyncio.create_task(here.ask("x"))
    await asyncio.sleep(0)
    there.received(here.taken())
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await there.filled(10)
    here.received(there.taken())
    there.received(here.taken())
    assert not await there.filled(0)


async def test_a_handler_that_is_cancelled_by_another_than_who_asked_is_told() -> None:
    async def cancelled(question: Any) -> Any:
        raise asyncio.CancelledError

    async with linked(there=cancelled) as (here, _):
        with pytest.raises(RuntimeError, match="cancelled there"):
            await asyncio.wait_for(here.ask("x"), 10)


async def test_a_question_that_can_not_cross_and_is_given_up_keeps_no_other_from_it() -> None:
    here = Link(echo)
    asking = [asyncio.create_task(here.ask(question)) for question in (Unsendable(), "x")]
    await asyncio.sleep(0)
    asking[0].cancel()
    assert here.taken()
    asking[1].cancel()
    await asyncio.gather(*asking, return_exceptions=True)
