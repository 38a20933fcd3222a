"""Texts the simulated strong model makes: basic instructions, rubrics with their actions, improved instructions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from codeclm.simulator.draws import Draws
from codeclm.simulator.lexicon import Requirement, texts, use_cases
from codeclm.simulator.requirements import all_of, carried, facets


def basics(use_case: str, skills: Sequence[str], count: int, draws: Draws) -> list[str]:
    """``count`` basic instructions, each about something else and with one requirement for each skill."""
    topics = draws.some(texts("topics"), count)
    leads = _leads(use_case)
    return [_basic(draws.pick(leads), topics[index % len(topics)], skills, draws) for index in range(count)]


def rubrics(skills: Sequence[str], count: int, draws: Draws) -> list[tuple[str, str]]:
    """At most ``count`` different rubrics with their actions, spread evenly over the skills."""
    drawn = [draws.some(tuple(facets(skill)), count) for skill in skills]
    turns = [names[turn] for turn in range(count) for names in drawn if turn < len(names)]
    return [
        (f"{draws.pick(texts('rubrics')).format(facet)}.", draws.pick(texts("actions")).format(facet))
        for facet in dict.fromkeys(turns)
    ][:count]


def improved(instruction: str, skills: Sequence[str], action: str, draws: Draws) -> str:
    """The instruction with one more requirement: of the facet that the action speaks of, if one is left."""
    addition = draws.pick(texts("additions")).format(_further(instruction, skills, action, draws))
    return f"{instruction.rstrip()} {addition}"


def _basic(lead: str, topic: str, skills: Sequence[str], draws: Draws) -> str:
    request = f"{lead} {topic} {draws.pick(texts('settings'))}, {draws.pick(texts('audiences'))}."
    clauses = [draws.pick(all_of(skill)).clause for skill in skills]
    ask = draws.pick(texts("asks")).format(_joined(clauses))
    return " ".join((request[0].upper() + request[1:], draws.pick(texts("occasions")), ask))


def _joined(clauses: Sequence[str]) -> str:
    *first, last = clauses
    return f"{', '.join(first)} and {last}" if first else last


@cache
def _leads(use_case: str) -> tuple[str, ...]:
    known = use_cases().get(use_case.lower())
    return known.leads if known else (f"write something of the kind {use_case} about", f"prepare {use_case} about")


def _further(instruction: str, skills: Sequence[str], action: str, draws: Draws) -> str:
    present = set(carried(instruction))
    wanted: list[Requirement] = []
    others: list[Requirement] = []
    for skill in skills:
        for facet, group in facets(skill).items():
            (wanted if facet in action.lower() else others).extend(group)
    for choices in (wanted, others):
        if left := [requirement for requirement in choices if requirement not in present]:
            return draws.pick(left).clause
    return "take particular care"
