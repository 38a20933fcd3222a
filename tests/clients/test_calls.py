"""The stop switch, and waiting for the calls under way."""

from __future__ import annotations

import asyncio

import pytest

from codeclm.clients.calls import Calls, StopSwitch
from codeclm.errors import Stopped, TimedOut
from codeclm.records import Completion


async def test_a_switch_stops_once_pressed_and_for_good() -> None:
    stop = StopSwitch()
    stop.check()
    assert not stop.pressed
    stop.press()
    stop.press()
    assert stop.pressed
    with pytest.raises(Stopped):
        stop.check()


async def test_a_sleep_ends_by_itself_or_as_soon_as_the_switch_is_pressed() -> None:
    stop = StopSwitch()
    await stop.sleep(0)
    await stop.sleep(0.001)
    sleeper = asyncio.create_task(stop.sleep(3600))
    await asyncio.sleep(0)
    stop.press()
    with pytest.raises(Stopped):
        await sleeper
    with pytest.raises(Stopped):
        await stop.sleep(3600)


async def test_draining_waits_for_every_call_however_it_ends_and_for_those_begun_meanwhile() -> None:
    calls, gate, ended = Calls(), asyncio.Event(), list[str]()

    async def call(name: str, error: Exception | None = None, then: str = "") -> Completion:
        await gate.wait()
        ended.append(name)
        if then:
            begin(then, call(then))
        if error:
            raise error
        return Completion(name)

    def begin(name: str, work: asyncio._CoroutineLike[Completion]) -> None:
        task = calls.under_way[name.encode()] = asyncio.create_task(work)
        task.add_done_callback(lambda _: calls.under_way.pop(name.encode()))

    begin("one", call("one", TimedOut("late")))
    begin("two", call("two", then="three"))
    draining = asyncio.create_task(calls.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    gate.set()
    await draining
    assert ended == ["one", "two", "three"]
    assert not calls.under_way


async def test_draining_nothing_ends_at_once() -> None:
    await Calls().drain()
