"""The local engine: this process, asynchronously. And how any engine's work is mapped over items, in their order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

AHEAD = 8
"""Windows that may be begun beyond the first item missing, so that one that takes long does not hold up the others."""


@dataclass(frozen=True, slots=True)
class Local(Generic[Item, T]):
    """The engine that does ``work`` here."""

    work: Callable[[Item], Awaitable[T]]

    async def run(self, item: Item) -> T:
        """The item's result."""
        return await self.work(item)


async def map_ordered(
    work: Callable[[int], Awaitable[T]], *, goal: Callable[[], int], window: Callable[[], int]
) -> AsyncGenerator[T]:
    """Yield ``work(0)``, ``work(1)``, … in order, with at most ``window()`` items under way at once.

    No item is begun that is not below ``goal()``; the generator ends when that many were yielded. Both are asked again
    whenever an item ends. Ended items wait for those before them; ``AHEAD`` times the window bounds how many there are
    of both. The first error of any item is raised at once. Whoever stops early closes the generator, which
    cancels what is under way.
    """
    under_way: deque[asyncio.Task[T]] = deque()
    ended = asyncio.Event()
    running, failed = 0, False

    def note(task: asyncio.Task[T]) -> None:
        nonlocal running, failed
        running -= 1
        failed = failed or bool(not task.cancelled() and task.exception())
        ended.set()

    async def begin(number: int) -> T:
        return await work(number)

    begun = yielded = 0
    try:
        while yielded < goal():
            while running < window() and begun < min(goal(), yielded + AHEAD * window()):
                task = asyncio.create_task(begin(begun))
                task.add_done_callback(note)
                under_way.append(task)
                begun += 1
                running += 1
            if not under_way[0].done():
                await ended.wait()
                ended.clear()
            if failed:
                raise next(error for task in under_way if task.done() and (error := task.exception()))
            if under_way[0].done():
                yield under_way.popleft().result()
                yielded += 1
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
