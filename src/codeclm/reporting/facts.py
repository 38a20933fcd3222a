"""What a report tells of a run: plain figures and a few of its outcomes, read from the files of its directory.

:func:`read_facts` is a pure function of these files: no clock, no environment, no model. It reads each once, one row at
a time. What a file lacks stays empty: a directory with an examples.jsonl alone has facts too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

import orjson

from codeclm import run_directory
from codeclm.auditing.complexity import demands
from codeclm.auditing.fidelity import seed_entries
from codeclm.auditing.pool_file import pool_rows
from codeclm.dataset.outcomes import outcome_from_row
from codeclm.edits import Applied, apply, read_edits
from codeclm.errors import InputError, RunDirectoryError
from codeclm.records import Outcome
from codeclm.reporting.json_files import (
    AuditFound,
    EvaluationFound,
    Manifest,
    read_audit,
    read_evaluations,
    read_manifest,
)
from codeclm.reporting.sendable import sendable
from codeclm.reporting.tally import SHOWN, At, FailureShown, Moments, Names, Row, Tally, clipped_name
from codeclm.text_measures import words

STATUSES: Final = ("kept", "discarded", "failed", "duplicate", "surplus")
TOP: Final = 50
"""Names of use cases and skills that are told apart."""
WEAK: Final = 20
"""Skills that the target's weakness is told of."""
ENOUGH: Final = 5
"""Instructions that a mean is told of, where any skill has so many."""

_Z: Final = 1.959963984540054  # the standard normal's quantile of 0.975


@dataclass(frozen=True, slots=True)
class Named:
    """A use case or skill, by how many examples and seeds have it (a seed once for each of its skills)."""

    name: str
    examples: int
    seeds: int


@dataclass(frozen=True, slots=True)
class Shares:
    """Names of use cases or skills: how many different ones, how often any was counted, and the :data:`TOP` of them.

    First are those with the largest share among the examples or among the seeds.
    """

    distinct: int
    examples: int
    seeds: int
    top: tuple[Named, ...]


@dataclass(frozen=True, slots=True)
class Weakness:
    """A skill as the target fares in it: the mean gap of basic instructions, in points, and its 95 % interval.

    The interval is Student's, of ``count`` instructions taken to be independent; None of fewer than two.
    """

    skill: str
    count: int
    gap: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Level:
    """Instructions of one iteration: how many were measured, their mean number of words and of demands."""

    iteration: int
    instructions: int
    words: float
    demands: float


@dataclass(frozen=True, slots=True)
class Cause:
    """Why things failed, how often, and one of them."""

    cause: str
    count: int
    shown: FailureShown


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report tells. ``gaps`` are (bin of half a point from -18 to 17, kept or not) with their counts.

    ``pairs`` count use case and skill together, by examples and by seeds, of the names at the top. ``weak`` are the
    skills with the widest mean gap first, ``levels`` of a sample of ``measured`` outcomes. ``case`` is one example's
    way, ``sample`` further examples; both with people's edits. ``mean_gap`` is of the examples, whichever side won;
    None where nothing is compared. ``unread`` says which files beside the run's could not be read.
    """

    name: str
    manifest: Manifest | None
    statuses: Mapping[str, int]
    kept_by_iteration: Mapping[int, int]
    kept_target: int
    mean_gap: float | None
    gaps: Mapping[tuple[int, bool], int]
    use_cases: Shares
    skills: Shares
    pairs: Mapping[tuple[str, str], tuple[int, int]]
    weak: tuple[Weakness, ...]
    levels: tuple[Level, ...]
    measured: int
    causes: tuple[Cause, ...]
    case: Outcome | None
    sample: tuple[Outcome, ...]
    edits: Applied
    audit: AuditFound | None
    evaluations: tuple[EvaluationFound, ...]
    unread: tuple[str, ...]

    @property
    def instructions(self) -> int:
        """Basic instructions that came to an end."""
        return sum(self.statuses.values())

    @property
    def compared(self) -> bool:
        """Whether the method compares answers."""
        return bool(self.gaps)


def read_facts(run_dir: Path) -> Facts:
    """The facts of the run in ``run_dir``. Raises RunDirectoryError where there is none, and at a row no run wrote.

    A bad audit or evaluation is no reason to tell nothing: it is named in ``unread``.
    """
    manifest = read_manifest(run_dir)
    if manifest is None and not (run_dir / run_directory.EXAMPLES).exists():
        raise RunDirectoryError(f"{run_dir}: no run here: there is no {run_directory.MANIFEST}. Is it the run_dir?")
    edits = read_edits(run_dir)
    tally = Tally(edits)
    with ExitStack() as files:
        examples = _opened(run_dir / run_directory.EXAMPLES, files)
        _count(run_dir / run_directory.EXAMPLES, examples, tally.example)
        dropped = run_dir / run_directory.DISCARDED
        _count(dropped, _opened(dropped, files), lambda row, _: tally.discarded(row))
        failed = run_dir / run_directory.FAILURES
        _count(failed, _opened(failed, files), lambda row, _: tally.failure(row))

        def shown(at: At) -> Outcome:
            assert examples is not None  # noqa: S101 - the row came from it
            examples.seek(at.begin)
            outcome = outcome_from_row(orjson.loads(examples.read(at.length)))
            return next(apply([outcome], edits, Applied()))

        try:
            case = shown(tally.best[1]) if tally.best else None
            sample = tuple(map(shown, _spread(tally)))
        except InputError as error:
            raise RunDirectoryError(f"{run_dir / run_directory.EXAMPLES}: {error}") from None
    mixed = manifest.counts.get("mixed_entries", 0) if manifest else 0
    seeds = _SeedNames(run_dir, mixed)
    measured = tally.instructions.in_order()
    unread: list[str] = []
    audit = _or_told(lambda: read_audit(run_dir), unread)
    evaluations = _or_told(lambda: tuple(read_evaluations(run_dir)), unread)
    return Facts(
        name=run_dir.resolve().name,
        manifest=manifest,
        statuses={name: tally.statuses[name] for name in STATUSES},
        kept_by_iteration=dict(sorted(tally.kept_by_iteration.items())),
        kept_target=tally.kept_target,
        mean_gap=tally.gap_sizes.mean if tally.gap_sizes.count else None,
        gaps=dict(sorted(tally.gaps.items())),
        use_cases=(use_cases := _shares(tally.use_cases, seeds.use_cases)),
        skills=(skills := _shares(tally.skills, seeds.skills)),
        pairs=_pairs(use_cases, skills, tally.pairs, seeds.pairs),
        weak=_weak(tally),
        levels=_levels(measured),
        measured=len(measured),
        causes=tuple(Cause(name, count, tally.failures[name]) for name, count in _most(tally.causes)),
        case=case,
        sample=sample,
        edits=tally.applied,
        audit=audit,
        evaluations=evaluations or (),
        unread=tuple(unread),
    )


def _opened(path: Path, files: ExitStack) -> BinaryIO | None:
    """The file, which stays the same one though a run replaces it meanwhile; None where there is none."""
    try:
        return files.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunDirectoryError(f"{path}: can't read it ({error.strerror}). Mend its permissions.") from None


def _count(path: Path, file: BinaryIO | None, add: Callable[[Row, At], None]) -> None:
    begin = 0
    for number, line in enumerate(file or (), start=1):
        try:
            add(orjson.loads(line), At(begin, len(line)))
        except (LookupError, TypeError, ValueError, AttributeError, InputError) as error:
            raise RunDirectoryError(
                f"{path}:{number}: not a row that a run wrote ({error!r:.80}). Run the config again: it writes the "
                "file anew, and no recorded call is made twice."
            ) from None
        begin += len(line)


class _SeedNames:
    """Use cases and skills of the seeds, each as often as seeds have it."""

    def __init__(self, run_dir: Path, mixed: int) -> None:
        self.use_cases, self.skills = Names(), Names()
        self.pairs: Counter[tuple[str, str]] = Counter()
        for row in seed_entries(pool_rows(run_dir), mixed):
            times = max(1, len(row["seed_ids"]))
            use_case = self.use_cases.add(clipped_name(row["use_case"]), times) if row["use_case"] else ""
            for skill in row["skills"]:
                self.pairs[use_case, self.skills.add(clipped_name(skill), times)] += times


def _shares(examples: Names, seeds: Names) -> Shares:
    of_examples, of_seeds = examples.counts, seeds.counts
    totals = max(1, of_examples.total()), max(1, of_seeds.total())

    def before(key: str) -> tuple[float, str]:
        return -max(of_examples[key] / totals[0], of_seeds[key] / totals[1]), key

    keys = sorted(of_examples.keys() | of_seeds.keys(), key=before)
    spelled = seeds.spelled | examples.spelled
    top = tuple(Named(spelled[key], of_examples[key], of_seeds[key]) for key in keys[:TOP])
    return Shares(len(keys), of_examples.total(), of_seeds.total(), top)


def _pairs(
    use_cases: Shares, skills: Shares, of_examples: Counter[tuple[str, str]], of_seeds: Counter[tuple[str, str]]
) -> dict[tuple[str, str], tuple[int, int]]:
    found = {}
    for use_case in use_cases.top:
        for skill in skills.top:
            key = (use_case.name.casefold(), skill.name.casefold())
            if of_examples[key] or of_seeds[key]:
                found[use_case.name, skill.name] = (of_examples[key], of_seeds[key])
    return found


def _weak(tally: Tally) -> tuple[Weakness, ...]:
    enough = min(ENOUGH, max((found.count for found in tally.weak.values()), default=0))
    known = [(name, found) for name, found in tally.weak.items() if found.count >= enough]
    known.sort(key=lambda one: (-one[1].mean, one[0]))
    return tuple(
        Weakness(tally.weak_spelled[name], found.count, round(found.mean, 6), _interval(found))
        for name, found in known[:WEAK]
    )


def _interval(found: Moments) -> tuple[float, float] | None:
    if found.deviation is None:
        return None
    half = _student(found.count - 1) * found.deviation / math.sqrt(found.count)
    return round(found.mean - half, 6), round(found.mean + half, 6)


def _student(freedom: int) -> float:
    """Student's quantile of 0.975 by its expansion about the normal's (Abramowitz and Stegun 1964, 26.7.5).

    Within 0.1 % from 6 degrees of freedom on; exact values stand for fewer.
    """
    if freedom <= len(_FEW):
        return _FEW[freedom - 1]
    z, v = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


_FEW: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706)


def _levels(measured: list[tuple[str, ...]]) -> tuple[Level, ...]:
    found = []
    for number in range(max(map(len, measured), default=0)):
        texts = [way[number] for way in measured if len(way) > number]
        lengths, asked = sum(len(words(text)) for text in texts), sum(map(demands, texts))
        found.append(Level(number + 1, len(texts), round(lengths / len(texts), 6), round(asked / len(texts), 6)))
    return tuple(found)


def _most(counted: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))


def _spread(tally: Tally) -> Iterator[At]:
    """Examples by turns from each use case, the most frequent first."""
    frequent = [name for name, _ in _most(tally.use_cases.counts) if name in tally.by_use_case]
    heaps = [tally.by_use_case[name].in_order() for name in (frequent or list(tally.by_use_case))[:SHOWN]]
    turns = (heap[turn] for turn in range(SHOWN) for heap in heaps if turn < len(heap))
    return islice(turns, SHOWN)


_T = TypeVar("_T")


def _or_told(read: Callable[[], _T], unread: list[str]) -> _T | None:
    try:
        return read()
    except RunDirectoryError as error:
        unread.append(sendable(str(error)))
        return None
