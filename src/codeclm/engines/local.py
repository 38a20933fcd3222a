"""The local engine: this process, asynchronously, a bounded window of items at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def map_ordered(
    work: Callable[[int], Awaitable[T]], *, goal: Callable[[], int], window: Callable[[], int]
) -> AsyncGenerator[T]:
    """Yield ``work(0)``, ``work(1)``, … in order, with at most ``window()`` items begun and not yet yielded.

    No item is begun that is not below ``goal()``; the generator ends when that many were yielded. Both are asked again
    after each item. The first error of any item is raised at once. Whoever stops early closes the generator, which
    cancels what is under way.
    """
    under_way: deque[asyncio.Task[T]] = deque()
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(task: asyncio.Task[T]) -> None:
        if not task.cancelled() and task.exception() and not failed.done():
            failed.set_result(None)

    async def begin(number: int) -> T:
        return await work(number)

    begun = yielded = 0
    try:
        while yielded < goal():
            while begun < min(goal(), yielded + window()):
                task = asyncio.create_task(begin(begun))
                task.add_done_callback(note)
                under_way.append(task)
                begun += 1
            if not under_way[0].done():
                await asyncio.wait((under_way[0], failed), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                raise next(error for task in under_way if task.done() and (error := task.exception()))
            yield under_way.popleft().result()
            yielded += 1
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
