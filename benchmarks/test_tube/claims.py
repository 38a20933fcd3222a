"""What the test tube is to show, as data, and what each claim comes to on the results.

Every claim is that one condition has a higher CRR on the user's task than another at equal pairs. Intervals are of one
claim each: of twenty claims with nothing in them, one would seem to hold or to fail by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.test_tube.conditions import CODECLM, ByCondition, compared
from benchmarks.test_tube.intervals import Estimate, Holds

Kind = Literal["the paper's order", "the instrument", "a cause"]
PAPER: Final[Kind] = "the paper's order"
INSTRUMENT: Final[Kind] = "the instrument"
CAUSE: Final[Kind] = "a cause"


@dataclass(frozen=True, slots=True)
class Claim:
    """That ``better`` is better than ``worse``; ``about`` says what that would show."""

    better: str
    worse: str
    kind: Kind
    about: str

    @property
    def text(self) -> str:
        """The claim in short."""
        return f"{self.better} > {self.worse}"


CLAIMS: Final = (
    Claim(CODECLM, "metadata+rubrics", PAPER, "the filter helps"),
    Claim("metadata+rubrics", "metadata-only", PAPER, "Self-Rubrics help"),
    Claim("metadata-only", "self-instruct", PAPER, "metadata help"),
    Claim(CODECLM, "random", PAPER, "choosing beats drawing at random"),
    Claim(CODECLM, "metadata+rubrics", INSTRUMENT, "the filter removed is worse"),
    Claim(CODECLM, "metadata-only", INSTRUMENT, "the filter and Self-Rubrics removed are worse"),
    Claim(CODECLM, "flipped", INSTRUMENT, "the filter's sign flipped is worse"),
    Claim(CODECLM, "no-metadata", INSTRUMENT, "metadata ignored is worse"),
    Claim(CODECLM, "shuffled", INSTRUMENT, "answers shuffled is worse"),
    Claim("metadata+rubrics:iterations=2", "metadata-only", CAUSE, "Self-Rubrics help, once"),
    Claim("metadata+rubrics:iterations=2", "metadata+rubrics", CAUSE, "once is better than three times"),
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A claim and what was measured of it."""

    claim: Claim
    difference: Estimate

    @property
    def held(self) -> int:
        """The seeds in which it held."""
        return sum(value > 0 for value in self.difference.by_seed.values())

    @property
    def seeds(self) -> int:
        """The seeds that have both conditions."""
        return len(self.difference.by_seed)

    @property
    def verdict(self) -> Holds:
        """Whether it holds beyond the interval."""
        return self.difference.holds


def check(found: ByCondition, claims: Sequence[Claim] = CLAIMS) -> list[Checked]:
    """Every claim that both conditions have a seed in common for; the others can't be told."""
    differences = [(claim, compared(found, claim.better, claim.worse)) for claim in claims]
    return [Checked(claim, difference) for claim, difference in differences if difference]
