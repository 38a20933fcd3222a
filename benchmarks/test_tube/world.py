"""The world: instructions about lists of things with order, each a use case's opening, a list, and steps to take.

    Duty roster for the week: friday monday sunday. Turn the order around, then drop the last.

An answer takes the steps one by one, each under the skill's word in the notation, and ends with the result:

    reverse : sunday monday friday ; trim : sunday monday

Everything can be read back exactly (:func:`read`), so a right answer can be computed and any answer be checked. Steps
may be of any skills; in the notation the same exercise is ``run reverse trim on friday monday sunday``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.test_tube.skills import BY_PHRASING, SKILLS, Skill

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "numbers": tuple(map(str, range(1, 13))),
    "letters": tuple("abcdefghijkl"),
    "months": (
        *("january", "february", "march", "april", "may", "june"),
        *("july", "august", "september", "october", "november", "december"),
    ),
    "weekdays": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "planets": ("mercury", "venus", "earth", "mars", "jupiter", "saturn", "uranus", "neptune"),
    "colours": ("red", "orange", "yellow", "green", "blue", "indigo", "violet"),
}
"""Items in order, by their kind."""

MOST_STEPS: Final = 5
LONGEST: Final = 6
"""Items that a list of an instruction has at most."""

JOINERS: Final = (", then ", ", and then ", ", after that ")


@dataclass(frozen=True, slots=True)
class UseCase:
    """What lists are about: a name, the kind of their items, and how requests open."""

    name: str
    kind: str
    openings: tuple[str, ...]


def _use_case(name: str, kind: str, openings: str) -> UseCase:
    return UseCase(name, kind, tuple(each.strip() for each in openings.split("|")))


USE_CASES: Final[Sequence[UseCase]] = (
    _use_case("number drills", "numbers", "Practice figures | These numbers are on the board | Exercise for today"),
    _use_case("stock counts", "numbers", "Boxes on the shelves | We counted the stock | Inventory of the store"),
    _use_case("spelling games", "letters", "Letters on the table | Your tiles | The word game goes on with"),
    _use_case("seat codes", "letters", "Rows that are booked | Seat rows | The theatre sold rows"),
    _use_case("travel calendars", "months", "Trips are planned for | Months of travel | The tour stops in"),
    _use_case("birthday lists", "months", "Birthdays fall in | Our team was born in | Party months"),
    _use_case("duty rosters", "weekdays", "Duty roster for the week | Shifts are on | I work on"),
    _use_case("meal plans", "weekdays", "We cook on | Days with a hot meal | The kitchen opens on"),
    _use_case("stargazing notes", "planets", "Seen through the telescope | Planets of the night | My star diary says"),
    _use_case("colour palettes", "colours", "Colours of the palette | Paint in the box | The designer chose"),
)
BY_NAME: Final = {each.name: each for each in USE_CASES}
_BY_OPENING: Final = {opening: each for each in USE_CASES for opening in each.openings}


@dataclass(frozen=True, slots=True)
class Task:
    """An instruction's meaning and wording: ``items`` are ranks; ``phrasings`` and ``joiners`` say how it is put."""

    opening: str
    items: tuple[int, ...]
    phrasings: tuple[str, ...]
    joiners: tuple[str, ...]

    @property
    def use_case(self) -> UseCase:
        """The use case whose opening it has."""
        return _BY_OPENING[self.opening]

    @property
    def skills(self) -> tuple[Skill, ...]:
        """The skill of each step."""
        return tuple(BY_PHRASING[phrasing] for phrasing in self.phrasings)

    @property
    def text(self) -> str:
        """The instruction."""
        first, *others = self.phrasings
        steps = first + "".join(joiner + phrasing for joiner, phrasing in zip(self.joiners, others, strict=True))
        return f"{self.opening}: {self.words(self.items)}. {steps[0].upper()}{steps[1:]}."

    def words(self, ranks: Sequence[int]) -> str:
        """Ranks as the items they stand for."""
        names = KINDS[self.use_case.kind]
        return " ".join(names[rank] for rank in ranks)

    def results(self) -> list[str]:
        """What each step comes to."""
        items, found = self.items, []
        for skill in self.skills:
            items = skill.apply(items, len(KINDS[self.use_case.kind]))
            found.append(self.words(items))
        return found

    def answer(self) -> str:
        """The right answer."""
        steps = zip(self.skills, self.results(), strict=True)
        return " ; ".join(f"{skill.operation} : {result}" for skill, result in steps)

    def notation(self) -> str:
        """The same exercise in the notation."""
        return f"run {' '.join(skill.operation for skill in self.skills)} on {self.words(self.items)}"


def task(use_case: UseCase, skills: Sequence[Skill], length: int, draws: random.Random) -> Task:
    """A new instruction of a use case that takes these skills, in this order, with a list of ``length`` items."""
    count = len(KINDS[use_case.kind])
    return Task(
        draws.choice(use_case.openings),
        tuple(draws.sample(range(count), min(length, count))),
        tuple(draws.choice(skill.phrasings) for skill in skills),
        tuple(draws.choice(JOINERS) for _ in skills[1:]),
    )


def with_step(old: Task, skill: Skill, draws: random.Random) -> Task:
    """The instruction with one more step at its end."""
    return replace(
        old,
        phrasings=(*old.phrasings, draws.choice(skill.phrasings)),
        joiners=(*old.joiners, draws.choice(JOINERS)),
    )


def with_first_step(old: Task, skill: Skill, draws: random.Random) -> Task:
    """The instruction with one more step before its others."""
    return replace(
        old,
        phrasings=(draws.choice(skill.phrasings), *old.phrasings),
        joiners=(draws.choice(JOINERS), *old.joiners),
    )


def with_item(old: Task, draws: random.Random) -> Task:
    """The instruction with one more item in its list, where one is left that it lacks."""
    left = [rank for rank in range(len(KINDS[old.use_case.kind])) if rank not in old.items]
    return replace(old, items=(*old.items, draws.choice(left))) if left else old


def read(text: str) -> Task | None:
    """The task that an instruction of this world is; None for any other text."""
    match = re.fullmatch(r"(.+?): (.+?)\. (.+)\.", text.strip())
    if match is None or match[1] not in _BY_OPENING:
        return None
    ranks = {name: rank for rank, name in enumerate(KINDS[_BY_OPENING[match[1]].kind])}
    words = match[2].split()
    pieces = re.split("(" + "|".join(map(re.escape, JOINERS)) + ")", match[3][0].lower() + match[3][1:])
    if not all(word in ranks for word in words) or not all(phrasing in BY_PHRASING for phrasing in pieces[::2]):
        return None
    return Task(match[1], tuple(ranks[word] for word in words), tuple(pieces[::2]), tuple(pieces[1::2]))


def credit(instruction: Task, answer: str) -> float:
    """How right an answer is: 1 where its last step has the right result, else half the share of steps right so far."""
    steps = [step.partition(":")[2].split() for step in answer.lower().split(";")]
    wanted = [result.split() for result in instruction.results()]
    if steps[-1] == wanted[-1]:
        return 1.0
    right = 0
    for given, expected in zip(steps, wanted, strict=False):
        if given != expected:
            break
        right += 1
    return right / len(wanted) / 2


OPERATIONS: Final = tuple(skill.operation for skill in SKILLS)
