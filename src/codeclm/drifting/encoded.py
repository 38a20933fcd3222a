"""An instruction with what the strong model read it as: what traffic and seeds are compared by. Case does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from codeclm.records import Metadata

Kind = Literal["use_cases", "skills"]

KINDS: Final[tuple[Kind, ...]] = ("use_cases", "skills")


@dataclass(frozen=True, slots=True)
class Encoded:
    """One instruction with the names it has, in lower case: one use case, and its skills once each.

    ``instruction`` is empty where it stands for a row of metadata written by hand.
    """

    id: str
    instruction: str
    use_case: str
    skills: tuple[str, ...]

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Its names of one kind."""
        return (self.use_case,) if kind == "use_cases" else self.skills


def encoded(id: str, instruction: str, metadata: Metadata) -> Encoded:
    """An instruction with its metadata."""
    skills = dict.fromkeys(skill.casefold() for skill in metadata.skills)
    return Encoded(id, instruction, metadata.use_case.casefold(), tuple(skills))
