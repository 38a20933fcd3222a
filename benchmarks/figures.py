"""What a benchmark measured, in the one form that the suite prints, files and compares.

A benchmark of the suite is a module of this package with one function::

    def figures(*, quick: bool) -> list[Figure]

It measures, prints nothing, and returns the same names at each call of the same size. ``quick`` asks for a size that
takes seconds, not minutes. It raises :class:`Unavailable` where something it needs is not here, and :class:`Missed`
where what came out may not be (a byte that differs, a lost example). :mod:`benchmarks.suite` names the benchmarks.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]


class Unavailable(Exception):
    """A benchmark can't be made here. The text says what is missing and what to do."""


class Missed(Exception):
    """A benchmark ended and its result is not what it has to be. The text says which."""


@dataclass(frozen=True)
class Figure:
    """One measured number.

    ``name`` tells it from the others of its benchmark, in a few words; ``value`` is in ``unit`` ("ms/call",
    "MB", "" for a plain ratio or a count); ``low`` and ``high`` are the least and the most of the repeats, equal
    where there was one.
    """

    name: str
    value: float
    unit: str
    better: Better
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.name or self.better not in ("lower", "higher"):
            raise ValueError(f"not a figure: {self}")
        if not all(map(math.isfinite, (self.value, self.low, self.high))) or not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: {self.low} <= {self.value} <= {self.high} does not hold")


def figure(name: str, unit: str, repeats: float | Iterable[float], *, better: Better = "lower") -> Figure:
    """The median of the repeats, with the least and the most of them. ValueError where there is none."""
    values = [float(repeats)] if isinstance(repeats, int | float) else [float(value) for value in repeats]
    if not values:
        raise ValueError(f"{name}: nothing was measured")
    return Figure(name, statistics.median(values), unit, better, min(values), max(values))


def to_json(figures: Iterable[Figure]) -> dict[str, dict[str, Any]]:
    """Figures by their names, as the history keeps them. ValueError where two share one."""
    kept: dict[str, dict[str, Any]] = {}
    for one in figures:
        if one.name in kept:
            raise ValueError(f"two figures are named {one.name!r}")
        values = asdict(one)
        kept[values.pop("name")] = values
    return kept


def from_json(kept: dict[str, dict[str, Any]]) -> list[Figure]:
    """The inverse of :func:`to_json`. ValueError where something is not a figure."""
    try:
        return [Figure(name=name, **values) for name, values in kept.items()]
    except (TypeError, AttributeError) as error:
        raise ValueError(f"not figures: {error}") from error
