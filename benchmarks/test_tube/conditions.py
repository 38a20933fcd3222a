"""The conditions of the experiment by their names: which there are results of, and what each is a point of.

A condition is a method (``codeclm``), a method at another number of pairs (``codeclm@30``), with another setting
(``codeclm:share=0.2``), a part of codeclm broken on purpose (``flipped``), or ``start``, which is not trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.test_tube.intervals import Estimate, Marks, difference, share
from benchmarks.test_tube.results import Result
from codeclm.methods import METHODS

START: Final = "start"
CODECLM: Final = "codeclm"
NOISY: Final = "codeclm:noisy-judge"
BREAKS: Final[Mapping[str, str]] = {
    "flipped": "codeclm keeps what its filter turns away",
    "no-metadata": "codeclm decodes from metadata of the whole world, drawn at random",
    "shuffled": "codeclm's pairs with their answers shuffled",
}
"""What is broken in each condition that is."""
ABLATION: Final = ("self-instruct", "metadata-only", "metadata+rubrics", CODECLM)
"""The paper's Table 3: each adds one part of codeclm to the one before."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting that a method was run with several values of: its name in conditions, and the method's own value."""

    name: str
    method: str
    own: float
    about: str


SETTINGS: Final[Mapping[str, Setting]] = {
    one.name: one
    for one in (
        Setting("share", CODECLM, 1.0, "share of the metadata"),
        Setting("threshold", CODECLM, 3.0, "threshold"),
        Setting("iterations", "metadata+rubrics", 4.0, "iterations"),
    )
}

ByCondition = Mapping[str, Mapping[int, Result]]
"""Results by condition, then by seed."""
Measure = Callable[[Result], str]
"""Which marks of a result are meant."""


def by_condition(results: Iterable[Result]) -> ByCondition:
    """The results by condition and seed, both in order. Raises ValueError for two of one condition at one seed."""
    found: dict[str, dict[int, Result]] = {}
    for result in sorted(results, key=lambda one: (one.condition, one.seed)):
        of_seeds = found.setdefault(result.condition, {})
        if result.seed in of_seeds:
            raise ValueError(f"{result.condition} has two results of seed {result.seed}; expected one")
        of_seeds[result.seed] = result
    return found


def methods(found: ByCondition) -> list[str]:
    """The methods there are results of, in the order of the table of methods."""
    return [name for name in METHODS if name in found]


def sizes(found: ByCondition, method: str) -> list[tuple[float, str]]:
    """The numbers of pairs that a method has results at, and their conditions; the least first."""
    points = [(float(name.partition("@")[2]), name) for name in found if name.startswith(f"{method}@")]
    if method in found:
        points.append((float(max(result.pairs for result in found[method].values())), method))
    return sorted(points)


def settings(found: ByCondition, setting: Setting) -> list[tuple[float, str]]:
    """The values of a setting that its method has results at, its own too, and their conditions; the least first."""
    prefix = f"{setting.method}:{setting.name}="
    points = [(float(name.removeprefix(prefix)), name) for name in found if name.startswith(prefix)]
    return sorted([*points, *([(setting.own, setting.method)] if setting.method in found else [])])


def user_recovered(result: Result) -> str:
    """The user's task, by CRR."""
    return result.user.recovered


def user_right(result: Result) -> str:
    """The user's task, by accuracy."""
    return result.user.right


def world_recovered(result: Result) -> str:
    """All the world, by CRR."""
    return result.world.recovered


def world_right(result: Result) -> str:
    """All the world, by accuracy."""
    return result.world.right


def measured(found: ByCondition, condition: str, measure: Measure = user_recovered) -> Estimate | None:
    """A condition's share by a measure; None where it has no result."""
    return share(_marks(found, condition, measure))


def compared(found: ByCondition, better: str, worse: str) -> Estimate | None:
    """The difference of two conditions' CRR on the user's task; None where there is no seed of both."""
    return difference(_marks(found, better, user_recovered), _marks(found, worse, user_recovered))


def still_right(found: ByCondition, condition: str) -> Estimate | None:
    """Of the world's items that the start checkpoint had right, the share that are still right.

    None for the start itself, and where no seed has a result of both. Raises ValueError where they were not asked the
    same.
    """
    starts = found.get(START, {}) if condition != START else {}
    return share(
        {
            seed: "".join(
                now for before, now in zip(starts[seed].world.right, result.world.right, strict=True) if before == "1"
            )
            for seed, result in found.get(condition, {}).items()
            if seed in starts
        }
    )


def all_seeds(found: ByCondition) -> Sequence[int]:
    """Every seed that any condition has a result of."""
    return sorted({seed for of_seeds in found.values() for seed in of_seeds})


def _marks(found: ByCondition, condition: str, measure: Measure) -> Marks:
    return {seed: measure(result) for seed, result in found.get(condition, {}).items()}
