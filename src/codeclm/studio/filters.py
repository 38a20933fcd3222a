"""Which outcomes a list has, and in which order: what a person chose, as it stands in an address.

An address is data: a value that makes no sense is left out and told, and never fails a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from codeclm.records import Status
from codeclm.studio.search_terms import LONGEST

Touched = Literal["", "edited", "dropped"]
"""What a person did to an example; edits of other words than it has now don't count."""

Sort = Literal["slot", "gap", "gap-up", "widest", "longest", "shortest", "iterations", "use-case"]

SORTS: Final[dict[Sort, tuple[str, str]]] = {
    "slot": ("order of slots", "row"),
    "gap": ("gap, highest first", "gap DESC NULLS LAST, row"),
    "gap-up": ("gap, lowest first", "gap NULLS LAST, row"),
    "widest": ("widest gap", "widest DESC NULLS LAST, row"),
    "longest": ("longest instruction", "words DESC, row"),
    "shortest": ("shortest instruction", "words, row"),
    "iterations": ("most iterations", "(SELECT iterations FROM kinds WHERE number = kind) DESC, row"),
    "use-case": (
        "use case",
        "(SELECT name FROM kinds JOIN names ON names.number = use_case WHERE kinds.number = kind), row",
    ),
}
"""What each order is called, and how SQLite puts it; a gap is that of the last iteration."""

_LONGEST_NAME: Final = 1000
_MOST_ITERATIONS: Final = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which outcomes; an empty field leaves all.

    ``wider_than`` and ``up_to`` are about the widest gap: those with more than the one and at most the other, which is
    what a threshold goes by. ``text`` is what a person typed to look for.
    """

    status: Status | Literal[""] = ""
    use_case: str = ""
    skill: str = ""
    iterations: int | None = None
    cause: str = ""
    edited: Touched = ""
    wider_than: float | None = None
    up_to: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A list as an address asks for it; ``page`` counts from 1. ``wrong`` names what made no sense."""

    filter: Filter
    sort: Sort = "slot"
    page: int = 1
    wrong: tuple[str, ...] = ()


def asked_of(query: Mapping[str, str]) -> Asked:
    """The list that an address asks for by ``status``, ``use_case``, ``skill``, ``iteration``, ``cause``, ``edited``,
    ``min_gap``, ``max_gap``, ``q``, ``sort`` and ``page``.
    """
    wrong: list[str] = []

    def one_of(name: str, known: tuple[str, ...]) -> str:
        value = query.get(name, "")
        if value and value not in known:
            wrong.append(name)
            return ""
        return value

    def number(name: str, highest: float) -> float | None:
        text = query.get(name, "").strip().replace(",", ".")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not 0 <= value <= highest:
            wrong.append(name)
            return None
        return value

    iterations, page = number("iteration", _MOST_ITERATIONS), number("page", 10**9)
    filter = Filter(
        status=cast(Status, one_of("status", get_args(Status))),
        use_case=query.get("use_case", "")[:_LONGEST_NAME],
        skill=query.get("skill", "")[:_LONGEST_NAME],
        iterations=None if iterations is None else int(iterations),
        cause=query.get("cause", "")[:_LONGEST_NAME],
        edited=cast(Touched, one_of("edited", get_args(Touched))),
        wider_than=number("min_gap", 9),
        up_to=number("max_gap", 9),
        text=query.get("q", "").strip()[:LONGEST],
    )
    sort = cast(Sort, one_of("sort", tuple(SORTS)) or "slot")
    return Asked(filter, sort, max(1, int(page or 1)), tuple(wrong))


def query_of(filter: Filter, sort: Sort = "slot", page: int = 1) -> dict[str, str]:
    """The list as an address has it, without what is as usual. :func:`asked_of` gives the same list again."""
    values = {
        "status": filter.status,
        "use_case": filter.use_case,
        "skill": filter.skill,
        "iteration": "" if filter.iterations is None else str(filter.iterations),
        "cause": filter.cause,
        "edited": filter.edited,
        "min_gap": "" if filter.wider_than is None else f"{filter.wider_than:.6g}",
        "max_gap": "" if filter.up_to is None else f"{filter.up_to:.6g}",
        "q": filter.text,
        "sort": "" if sort == "slot" else sort,
        "page": "" if page == 1 else str(page),
    }
    return {name: value for name, value in values.items() if value}
