"""Repeatable choices: the same key always gives the same ones, on every machine and in every process.

Stands where a random generator would stand, but takes nothing from a global state, an order of calls or Python's hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_SIZE = 32
_UNIT = 1 << 32


class Draws:
    """An endless stream of choices that depends on ``key`` alone."""

    __slots__ = ("_left", "_pool")

    def __init__(self, *key: object) -> None:
        text = "\x1f".join(map(str, key))
        self._pool = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest())
        self._left = _SIZE // 4

    def unit(self) -> float:
        """The next number, at least 0 and below 1."""
        return self._next() / _UNIT

    def pick(self, choices: Sequence[T]) -> T:
        """One of ``choices``, which must not be empty."""
        return choices[self._next() % len(choices)]

    def some(self, choices: Sequence[T], count: int) -> list[T]:
        """``count`` different ones of ``choices`` in drawn order, or all of them when there are fewer."""
        left = list(choices)
        return [left.pop(self._next() % len(left)) for _ in range(min(count, len(left)))]

    def _next(self) -> int:
        if not self._left:
            digest = hashlib.blake2b(self._pool.to_bytes(_SIZE), digest_size=_SIZE).digest()
            self._pool, self._left = int.from_bytes(digest), _SIZE // 4
        self._left -= 1
        return (self._pool >> (32 * self._left)) & (_UNIT - 1)
