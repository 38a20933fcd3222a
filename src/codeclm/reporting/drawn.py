"""Which of many rows are shown: those with the lowest digests, so that no chance and no order has a part in it."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def place(name: str) -> int:
    """Where a row stands in the order that rows are drawn in, by a digest of its id."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)


class Lowest(Generic[T]):
    """Of all that it is offered, at most ``most`` of the lowest places."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, int, T]] = []
        self._offered = 0

    def offer(self, at: int, make: Callable[[], T]) -> None:
        """Take what ``make`` gives if it stands low enough."""
        self._offered += 1
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, (-at, -self._offered, make()))
        elif -at > self._heap[0][0]:
            heapq.heapreplace(self._heap, (-at, -self._offered, make()))

    def in_order(self) -> list[T]:
        """What was taken, from the lowest place on."""
        return [kept for _, _, kept in sorted(self._heap, key=lambda one: (-one[0], -one[1]))]
