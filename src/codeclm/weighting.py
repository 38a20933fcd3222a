"""How often each entry of the pool has its turn: equally, as in the paper, or as often as the seeds ask for its like.

Contract. A weight is a function of the pool's metadata and the seeds behind it. Turns are a fixed sequence: which entry
has the n-th turn hangs on the weights and the run's seed alone, so a larger ``size`` only pays for further turns. After
n turns an entry with the share s of the weights has had n times s of them, up to one and a share s of the pool's size.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Final, Literal

from codeclm.config import MethodConfig
from codeclm.errors import ConfigError
from codeclm.records import Entry

LEAST: Final = 0.1
"""No entry's weight is below so much of the mean weight, so that what is rare stays in the data."""


def check_weights(method: MethodConfig, starts_from: Literal["metadata", "general seeds"]) -> None:
    """Raise ConfigError where entries are to be weighted by metadata that a method does not read."""
    if method.entry_weights == "seeds" and starts_from == "general seeds":
        raise ConfigError(
            f"config: `method.entry_weights: seeds` goes by the use cases and skills of the seeds, and the method "
            f"{method.name} starts from general seeds, of which none are known. Leave it out, or choose another method."
        )


def weights_of(entries: Sequence[Entry], mixed: int, settings: MethodConfig) -> list[float] | None:
    """A weight above 0 for each entry, whose last ``mixed`` were mixed; None where all have equal turns.

    By ``entry_weights: seeds`` it is the share of the seeds with its use case, times the mean share of the seeds with
    each of its skills, raised to 1 / ``weights_temperature``. So a mixed entry weighs as much as its parts are asked
    for. Metadata written by hand counts once a row.
    """
    if settings.entry_weights == "uniform":
        return None
    use_cases: Counter[str] = Counter()
    skills: Counter[str] = Counter()
    for entry in entries[: len(entries) - mixed]:
        count = len(entry.seed_ids) or 1
        use_cases[entry.metadata.use_case.casefold()] += count
        skills.update({skill.casefold(): count for skill in entry.metadata.skills})
    plain = [
        use_cases[entry.metadata.use_case.casefold()]
        * fmean(skills[skill.casefold()] for skill in entry.metadata.skills or ("",))
        for entry in entries
    ]
    highest = max(max(plain), 1.0)
    weights = [(max(each, 1.0) / highest) ** (1 / settings.weights_temperature) for each in plain]
    least = LEAST * fmean(weights)
    return [max(weight, least) for weight in weights]


def weighted_turns(weights: Sequence[float], phases: Sequence[float]) -> Callable[[int], tuple[int, int]]:
    """Of the n-th turn, from 0: the place of its entry, and how many turns that entry had before.

    An entry of weight w has its turns at the times (k + phase) / w, with ``phases`` from 0 to below 1; the turns of all
    are taken in the order of their times, and of equal times the earlier place is first.
    """
    turns = _in_time(weights, phases)
    places, before = array("L"), array("L")

    def turn(number: int) -> tuple[int, int]:
        while len(places) <= number:
            place, count = next(turns)
            places.append(place)
            before.append(count)
        return places[number], before[number]

    return turn


def _in_time(weights: Sequence[float], phases: Sequence[float]) -> Iterator[tuple[int, int]]:
    due = [(phase / weight, place, 0) for place, (weight, phase) in enumerate(zip(weights, phases, strict=True))]
    heapq.heapify(due)
    while True:
        _, place, count = due[0]
        yield place, count
        heapq.heapreplace(due, ((count + 1 + phases[place]) / weights[place], place, count + 1))
