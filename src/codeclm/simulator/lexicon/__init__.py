"""What the simulated world knows: skills with their requirements, use cases, and pools of text to write with.

The data stands in the text files beside this module, in our own words. A *requirement* is an imperative clause
("give the result of each step") which belongs to a *facet* of a skill ("visible working"). The clauses are the world's
only currency: instructions carry them, answers meet them, the judge counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing an answer has to do. ``clause`` is how it is written, ``facet`` and ``skill`` where it belongs."""

    clause: str
    facet: str
    skill: str


@dataclass(frozen=True, slots=True)
class Skill:
    """A skill of the lexicon: the words that bring it to mind, and its requirements by facet."""

    name: str
    triggers: frozenset[str]
    facets: Mapping[str, tuple[Requirement, ...]]


@dataclass(frozen=True, slots=True)
class UseCase:
    """A use case: the words that bring it to mind, the skills it usually draws on, and how its requests begin."""

    name: str
    triggers: frozenset[str]
    skills: tuple[str, ...]
    leads: tuple[str, ...]


@cache
def skills() -> Mapping[str, Skill]:
    """All skills by name."""
    return {
        name: Skill(
            name,
            frozenset(triggers.split()),
            {facet: tuple(Requirement(clause, facet, name) for clause in texts.split("; ")) for facet, texts in lines},
        )
        for name, triggers, lines in _blocks("skills.txt")
    }


@cache
def use_cases() -> Mapping[str, UseCase]:
    """All use cases by name."""
    found = {}
    for name, triggers, lines in _blocks("use_cases.txt"):
        row = dict(lines)
        drawn = tuple(row["draws on"].split(", "))
        found[name] = UseCase(name, frozenset(triggers.split()), drawn, tuple(row["leads"].split("; ")))
    return found


@cache
def texts(section: str) -> tuple[str, ...]:
    """The lines of one section of texts.txt."""
    head = f"[{section}]\n"
    return tuple(_read("texts.txt").split(head, 1)[1].split("\n[", 1)[0].splitlines())


def _blocks(name: str) -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Blocks divided by blank lines: a head and its lines, each ``key: value``."""
    for block in _read(name).strip().split("\n\n"):
        head, *lines = (line.strip().split(": ", 1) for line in block.splitlines())
        yield head[0], head[1], [(line[0], line[1]) for line in lines]


def _read(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
