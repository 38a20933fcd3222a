"""Finding many fixed phrases in a text in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Generic, TypeVar

T = TypeVar("T")

_WORD = re.compile(r"[a-z0-9']+")


def words(text: str) -> list[str]:
    """The words of a text in lower case; everything else divides words."""
    return _WORD.findall(text.lower())


class _Node(Generic[T]):
    """A point in the tree of phrases: the words that may follow, and what the phrase that ends here stands for."""

    __slots__ = ("following", "value")

    def __init__(self) -> None:
        self.following: dict[str, _Node[T]] = {}
        self.value: T | None = None


class PhraseIndex(Generic[T]):
    """Phrases and what they stand for. Case and punctuation do not matter; of two that begin alike the longer wins."""

    def __init__(self, phrases: Mapping[str, T]) -> None:
        self._root: _Node[T] = _Node()
        for phrase, value in phrases.items():
            node = self._root
            for word in words(phrase):
                node = node.following.setdefault(word, _Node())
            node.value = value

    def find(self, text: str) -> list[T]:
        """What the phrases in ``text`` stand for, in the order they occur."""
        found: list[T] = []
        tokens = words(text)
        first = self._root.following
        for start, token in enumerate(tokens):
            if token in first and (value := self._longest(tokens, start)) is not None:
                found.append(value)
        return found

    def _longest(self, tokens: list[str], start: int) -> T | None:
        node, value = self._root, None
        for position in range(start, len(tokens)):
            following = node.following.get(tokens[position])
            if following is None:
                break
            node = following
            if node.value is not None:
                value = node.value
        return value
