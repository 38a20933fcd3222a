"""One pass over a run's outcomes: everything that is counted, and where the rows to be shown are.

Rows are counted as they stand, without making records of them, and texts are let go of at once: 100,000 outcomes take a
few seconds, and memory grows with the different names only. Names are clipped and compared without case.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from codeclm.dataset.outcomes import outcome_from_row
from codeclm.edits import Applied, Edit, apply
from codeclm.reporting.drawn import Lowest, place
from codeclm.reporting.sendable import sendable

Row = Mapping[str, Any]

MEASURED: Final = 1_000
"""Outcomes whose instructions are measured by their words."""
SHOWN: Final = 10
"""Examples that are shown."""
CAUSES: Final = 20
"""Causes of failures that are told apart; the others are one."""
OTHER: Final = "other"

_NAME = 90  # characters of a use case or skill
_WIDEST = 9
_LOWEST_BIN, _HIGHEST_BIN = -18, 17  # half a point each, from -9 to 9
_READABLE = 1_500  # characters of an instruction
_MOST_READABLE = 10  # iterations
_CLIP = 1_000
_REPLIED: Final = frozenset({"unparseable", "truncated", "empty", "refused", "content_filter"})


@dataclass(slots=True)
class Names:
    """How often each name comes. Case does not count; it is shown as it first came."""

    counts: Counter[str] = field(default_factory=Counter)
    spelled: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, times: int = 1) -> str:
        """Count a name; gives what it is counted under."""
        key = _key(name)
        if key not in self.spelled:
            self.spelled[key] = name
        self.counts[key] += times
        return key


@lru_cache(maxsize=4_096)
def clipped_name(name: str) -> str:
    """A name on one line, or its beginning."""
    line = " ".join(name.split()) or "(blank)"
    return sys.intern(line if len(line) <= _NAME else f"{line[:_NAME].rstrip()}…")


def _key(name: str) -> str:
    """What a name is compared by; one object for each, since there may be as many names as outcomes."""
    return sys.intern(name.casefold())


@dataclass(slots=True)
class Moments:
    """How many numbers, their sum and the sum of their squares."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def mean(self) -> float:
        """Their mean; there is at least one."""
        return self.total / self.count

    @property
    def deviation(self) -> float | None:
        """Their standard deviation as of a sample; None of fewer than two."""
        if self.count < 2:
            return None
        return math.sqrt(max(0.0, self.squares - self.total * self.total / self.count) / (self.count - 1))


@dataclass(frozen=True, slots=True)
class At:
    """Where a row is in its file, in bytes."""

    begin: int
    length: int


@dataclass(frozen=True, slots=True)
class FailureShown:
    """One failure of a cause, its texts clipped."""

    id: str
    stage: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class _Rank:
    """How well an example tells of a way: readable first, then iterations, then the gap; the first of equals."""

    readable: bool
    iterations: int
    gap: float

    def beats(self, other: _Rank | None) -> bool:
        """Whether it is better."""
        mine = (self.readable, self.iterations, self.gap)
        return other is None or mine > (other.readable, other.iterations, other.gap)


class Tally:
    """What a pass counts. ``edits`` say which examples a person dropped: these are counted, and not shown."""

    def __init__(self, edits: Mapping[str, Edit]) -> None:
        self._edits = edits
        self.statuses: Counter[str] = Counter()
        self.kept_by_iteration: Counter[int] = Counter()
        self.kept_target = 0
        self.gap_sizes = Moments()
        self.gaps: Counter[tuple[int, bool]] = Counter()
        self.use_cases, self.skills = Names(), Names()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.weak: dict[str, Moments] = defaultdict(Moments)
        self.weak_spelled: dict[str, str] = {}
        self.instructions: Lowest[tuple[str, ...]] = Lowest(MEASURED)
        self.by_use_case: dict[str, Lowest[At]] = {}
        self.best: tuple[_Rank, At] | None = None
        self.causes: Counter[str] = Counter()
        self.failures: dict[str, FailureShown] = {}
        self.failed_instructions = 0
        self.applied = Applied(len(edits))

    def example(self, row: Row, at: At) -> None:
        """Count a row of examples.jsonl."""
        history = row["history"]
        self.statuses["kept"] += 1
        self.kept_by_iteration[len(history)] += 1
        self.kept_target += row["kept_answer"] == "target"
        self._ended(row, history, kept=True)
        use_case = self._about(row)
        if row["id"] in self._edits and self._dropped(row):
            return
        self.by_use_case.setdefault(use_case, Lowest(SHOWN)).offer(place(row["id"]), lambda: at)
        length = max(len(one["instruction"]) for one in history)
        gap = abs(history[-1]["gap"] or 0.0)
        readable = length <= _READABLE and len(history) <= _MOST_READABLE
        rank = _Rank(readable, len(history) if readable else 0, gap)
        if rank.beats(self.best and self.best[0]):
            self.best = (rank, at)

    def discarded(self, row: Row) -> None:
        """Count a row of discarded.jsonl: discarded, duplicate or surplus."""
        if row["status"] not in ("discarded", "duplicate", "surplus"):
            raise ValueError("its status is none of a run's")
        self.statuses[row["status"]] += 1
        self._ended(row, row["history"], kept=False)

    def failure(self, row: Row) -> None:
        """Count a row of failures.jsonl: an instruction, or a seed, pair or slot that came to none."""
        if row["instruction"] and row["entry"]:
            self.statuses["failed"] += 1
            self._ended(row, row["history"], kept=False)
        cause = clipped_name(row["cause"])
        if cause not in self.causes and len(self.causes) >= CAUSES:
            cause = OTHER
        self.causes[cause] += 1
        if cause not in self.failures:
            # Of a call that got no reply, this is what a server or a proxy said.
            raw = row["raw"] if cause in _REPLIED else sendable(_text(row["raw"])[: 2 * _CLIP])
            texts = (row["id"], row["stage"], sendable(_text(row["message"])[: 2 * _CLIP]), raw)
            self.failures[cause] = FailureShown(*(_clipped(text) for text in texts))

    def _about(self, row: Row) -> str:
        use_case = self.use_cases.add(clipped_name(row["use_case"])) if row["use_case"] else ""
        for skill in _listed(row["skills"]):
            key = self.skills.add(clipped_name(skill))
            self.pairs[use_case, key] += 1
        return use_case

    def _ended(self, row: Row, history: list[Row], *, kept: bool) -> None:
        """Count an instruction's way: its gaps, and its texts where it is among those measured."""
        if not history:
            return
        final, first = history[-1]["gap"], history[0]["gap"]
        if final is not None:
            self.gaps[_bin(final), kept] += 1
            if kept:
                self.gap_sizes.add(abs(final))
        if first is not None:
            for skill in _listed(row["skills"]):
                name = clipped_name(skill)
                self.weak_spelled.setdefault(_key(name), name)
                self.weak[_key(name)].add(first)
        self.instructions.offer(place(row["id"]), lambda: tuple(map(_instruction, history)))

    def _dropped(self, row: Row) -> bool:
        """Whether a person dropped the example, noting what was done to it."""
        return not list(apply([outcome_from_row(row)], self._edits, self.applied))


def _instruction(iteration: Row) -> str:
    return _text(iteration["instruction"])[:_CLIP]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("something that should be a text is none")
    return value


def _listed(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("something that should be a list is none")
    return value


def _bin(gap: float) -> int:
    if abs(gap) > _WIDEST:
        raise ValueError("a gap is wider than scores allow")
    return min(max(math.floor(gap * 2), _LOWEST_BIN), _HIGHEST_BIN)


def _clipped(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}…"
