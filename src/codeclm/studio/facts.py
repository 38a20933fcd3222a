"""What the studio's index and lists tell of an outcome: its figures, and the text it is found by.

Pure functions of an outcome. The lists show what stands here; the outcome itself stays in the run's own file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from codeclm.dataset.outcomes import last_text
from codeclm.edits import digest_of
from codeclm.records import Iteration, Outcome, Side, Status
from codeclm.text_measures import words

HIGHEST_GAP: Final = 9.0
"""Scores are 1 to 10, so no gap is wider."""

_PLACE: Final = re.compile(r"(?:(seed|mix)-)?([0-9]{1,15})(?:\.([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Band:
    """The thresholds at which an instruction passes at this iteration: from ``least``, and below ``below``."""

    iteration: int
    least: float
    below: float


@dataclass(frozen=True, slots=True)
class Facts:
    """The figures of one outcome.

    ``gap`` is that of its last iteration, None where nothing was compared. ``widest`` is the widest gap, either way, of
    an iteration whose better answer is whole: by its gaps alone the instruction passes at every threshold below it.
    ``kept_answer`` is whose answer is the example's, ``cause`` the stage and cause of a failure, ``words`` how many the
    instruction has as it last was, and ``digest`` that of an example's texts, by which edits know it.
    """

    id: str
    status: Status
    use_case: str
    skills: tuple[str, ...]
    iterations: int
    gap: float | None
    widest: float | None
    bands: tuple[Band, ...]
    kept_answer: Side | None
    cause: str
    words: int
    digest: str


def facts_of(outcome: Outcome) -> Facts:
    """The figures of an outcome."""
    bands = tuple(_bands(outcome.iterations))
    failure, kept = outcome.failure, outcome.status == "kept"
    return Facts(
        id=outcome.id,
        status=outcome.status,
        use_case=outcome.entry.metadata.use_case,
        skills=tuple(dict.fromkeys(outcome.entry.metadata.skills)),
        iterations=len(outcome.iterations),
        gap=outcome.final.gap if outcome.iterations else None,
        widest=bands[-1].below if bands else None,
        bands=bands,
        kept_answer=outcome.final.chosen if kept else None,
        cause=f"{failure.stage}: {failure.cause}" if failure else "",
        words=len(words(last_text(outcome))),
        digest=digest_of(outcome) if kept else "",
    )


def searchable(outcome: Outcome) -> str:
    """All that an outcome is found by: its texts, its metadata, its reasons and its names."""
    return "\n".join(dict.fromkeys(text for text in _texts(outcome) if text))


def place_of(id: str) -> tuple[int, int, int]:
    """Where an outcome stands in slot order: what failed before the slots first, and an unknown id last."""
    found = _PLACE.fullmatch(id)
    if found is None:
        return 3, 0, 0
    kind, number, part = found.groups()
    return {"seed": 0, "mix": 1}.get(kind, 2), int(number), int(part or 0)


def _bands(iterations: tuple[Iteration, ...]) -> Iterator[Band]:
    """One band for each iteration whose gap is wider than all before it: no other is ever the first to pass."""
    widest = 0.0
    for number, iteration in enumerate(iterations, start=1):
        if iteration.comparison is None and iteration.passes:
            return  # whatever the threshold, it ends here
        width = abs(iteration.gap or 0.0)
        if width > widest and iteration.decided(widest).passes:
            yield Band(number, widest, width)
            widest = width


def _texts(outcome: Outcome) -> Iterator[str]:
    metadata, failure = outcome.entry.metadata, outcome.failure
    yield from (outcome.id, outcome.entry.id, metadata.use_case, *metadata.skills, *outcome.entry.seed_ids)
    yield from (outcome.reason, outcome.basic)
    for number, iteration in enumerate(outcome.iterations, start=1):
        text = iteration.instruction.text
        following = outcome.iterations[number].instruction.text if number < len(outcome.iterations) else ""
        if not following.startswith(text.rstrip()):  # the next one holds its words
            yield text
        yield from (iteration.instruction.action, iteration.reason)
        for answer in (iteration.strong, iteration.target):
            if answer:
                yield from (answer.model, answer.text)
    if failure:
        yield from (failure.stage, failure.cause, failure.message, failure.raw)
