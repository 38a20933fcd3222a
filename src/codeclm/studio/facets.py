"""How many outcomes each further choice would leave, so that nobody chooses what is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from codeclm.records import Status
from codeclm.studio.filters import Filter


@dataclass(frozen=True, slots=True)
class Kind:
    """What outcomes may have in common: all that can be chosen, at once. ``cause`` is empty where nothing failed."""

    number: int
    status: Status
    use_case: str
    skills: tuple[str, ...]
    iterations: int
    cause: str


@dataclass(frozen=True, slots=True)
class Facets:
    """How many outcomes there are of each value, under all the other choices of a filter."""

    statuses: Counter[str] = field(default_factory=Counter)
    use_cases: Counter[str] = field(default_factory=Counter)
    skills: Counter[str] = field(default_factory=Counter)
    iterations: Counter[int] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)


def fits(kind: Kind, filter: Filter) -> bool:
    """Whether outcomes of this kind are those that were chosen, whatever their gaps and texts."""
    return all(_met(kind, filter))


def count_facets(filter: Filter, counted: Iterable[tuple[Kind, int]]) -> Facets:
    """The counts under a filter, of kinds and how many outcomes of each there are under the rest of it."""
    facets = Facets()
    for kind, outcomes in counted:
        missed = [place for place, met in enumerate(_met(kind, filter)) if not met]

        def open_to(place: int, missed: list[int] = missed) -> bool:
            return not missed or missed == [place]

        if open_to(0):
            facets.statuses[kind.status] += outcomes
        if open_to(1):
            facets.use_cases[kind.use_case] += outcomes
        if open_to(2):
            facets.skills.update(dict.fromkeys(kind.skills, outcomes))
        if open_to(3):
            facets.iterations[kind.iterations] += outcomes
        if open_to(4) and kind.cause:
            facets.causes[kind.cause] += outcomes
    return facets


def _met(kind: Kind, filter: Filter) -> tuple[bool, ...]:
    return (
        filter.status in ("", kind.status),
        filter.use_case in ("", kind.use_case),
        not filter.skill or filter.skill in kind.skills,
        filter.iterations in (None, kind.iterations),
        filter.cause in ("", kind.cause),
    )
