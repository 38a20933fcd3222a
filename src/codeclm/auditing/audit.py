"""An audit of a run directory: what its examples are about, how varied, how hard, and what is wrong with any of them.

It reads the run's files and makes no call. ``audit.json`` has the figures, ``audit-findings.jsonl`` every finding; with
``drop``, ``examples.audited.jsonl`` has the examples without those found, byte for byte. ``examples.jsonl`` is never
changed; what people edited or dropped is audited, and written, as they left it. The same files give the same bytes:
samples are drawn by the instructions' digests, not by chance or order. What the models were asked besides
(codeclm.measuring) is given to it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import orjson

from codeclm import __version__, run_directory
from codeclm.auditing.against import named
from codeclm.auditing.checks import CHECKS, INSTALL, Checked, Given, run_checks, writing
from codeclm.auditing.complexity import Complexity, Level
from codeclm.auditing.diversity import Diversity, Lengths, MissingNumpy, diversity, drawn_sample, vendi
from codeclm.auditing.embeddings import Embeddings
from codeclm.auditing.fidelity import Fidelity, Likeness, Names, fidelity, likeness, seed_entries
from codeclm.auditing.findings import Example, examples_in
from codeclm.auditing.pool_file import mixed_entries, pool_rows
from codeclm.auditing.swap import SWAPS, Swapping
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.edits import Applied, Edit, edited_lines, edited_rows, read_edits
from codeclm.errors import CodecLMError, ConfigError, RunDirectoryError
from codeclm.generate import read_inputs
from codeclm.measuring import Measured
from codeclm.records import Metadata, Outcome, Seed

AUDIT: Final = "audit.json"
AUDITED: Final = "examples.audited.jsonl"


@dataclass(frozen=True, slots=True)
class Asked:
    """What an audit was asked for: checks whose findings are dropped, and test sets to hold the examples against.

    ``overrides`` are laid over the config that the run was made by, each ``a.b=value``.
    """

    drop: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asking:
    """What the models said of a sample of the examples (codeclm.measuring), and of the seeds; empty where not asked.

    ``swapping`` is what one of them made of instructions that speak of another group (swap.py); ``embeddings`` how a
    sample of the examples lies to the seeds by another's vectors (embeddings.py).
    """

    sample: Sequence[Outcome] = ()
    measured: Sequence[Measured] = ()
    seeds: Sequence[Metadata] = ()
    swapping: Swapping | None = None
    embeddings: Embeddings | None = None


@dataclass(frozen=True, slots=True)
class MeasuredFidelity:
    """Use cases and skills as the models find them in a sample's instructions, against those of the seeds."""

    examples: int
    unmeasured: int
    use_cases: Likeness
    skills: Likeness


@dataclass(frozen=True, slots=True)
class Dropped:
    """What ``drop`` left out: the checks, how many examples, and how many are in the file."""

    checks: tuple[str, ...]
    left_out: int
    kept: int


@dataclass(frozen=True, slots=True)
class Audit:
    """All that an audit found. docs/audit.md says what each figure is. ``not_done`` is by name, with the reason."""

    examples: int
    fidelity: Fidelity
    measured: MeasuredFidelity | None
    diversity: Diversity
    complexity: tuple[Level, ...]
    checks: dict[str, Checked]
    not_done: tuple[tuple[str, str], ...] = ()
    dropped: Dropped | None = None
    swapping: Swapping | None = None
    embeddings: Embeddings | None = None
    repeated_ids: int = 0
    use_cases: dict[str, tuple[int, int]] = field(default_factory=dict)
    edits: Applied = field(default_factory=Applied)


def audit(folder: Path, asked: Asked | None = None, asking: Asking | None = None) -> Audit:
    """Audit the run in ``folder`` and write what is found there.

    Raises ConfigError for an unknown check, InputError for a test set that can't be read, RunDirectoryError where there
    are no examples or a run is at work, and OutputError where there is no room.
    """
    asked, asking = asked or Asked(), asking or Asking()
    check_asked(folder, asked)
    with run_directory.alone(folder):
        edits = read_edits(folder)
        made = _made(folder, asked, asking, edits)
        _write(folder, made)
        if made.swapping:
            run_directory.write(folder / SWAPS, made.swapping.rows())
        if asked.drop:
            made = replace(made, dropped=_drop(folder, made, asked.drop, edits))
            _write(folder, made)
    return made


def _write(folder: Path, made: Audit) -> None:
    content = orjson.dumps(as_values(made), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    run_directory.write(folder / AUDIT, content)


def check_asked(folder: Path, asked: Asked) -> None:
    """Raise ConfigError or RunDirectoryError where this can't be asked of this folder."""
    unknown = [name for name in asked.drop if name not in CHECKS]
    if unknown:
        raise ConfigError(f"--drop {unknown[0]:.60}: no such check; expected of {', '.join(CHECKS)}.")
    if not (folder / run_directory.EXAMPLES).exists():
        raise RunDirectoryError(f"{folder}: there is no {run_directory.EXAMPLES} to audit. Is it the run_dir of a run?")


def config_of(folder: Path, overrides: Sequence[str] = ()) -> RunConfig | None:
    """The config the directory was made by, with its run_dir and journal where they are now; None where it has none.

    ``overrides``, each ``a.b=value``, are laid over it. Raises ConfigError.
    """
    if not (folder / run_directory.CONFIG).exists():
        return None
    found = load(folder / run_directory.CONFIG, overrides)
    return found.model_copy(update={"run_dir": folder, "journal": run_directory.journal_of(folder)})


def as_values(made: Audit) -> dict[str, Any]:
    """The audit as plain values, as ``audit.json`` has them."""
    return {
        "codeclm": __version__,
        "examples": made.examples,
        "fidelity": asdict(made.fidelity) | {"embeddings": made.embeddings and asdict(made.embeddings)},
        "measured": made.measured and asdict(made.measured),
        "diversity": asdict(made.diversity),
        "complexity": [asdict(level) for level in made.complexity],
        "checks": {name: _check_values(checked, made.examples) for name, checked in made.checks.items()},
        "bias": {
            "mentions": [asdict(group) for group in made.checks["bias"].mentions],
            "swap": made.swapping and made.swapping.as_values(),
        },
        "findings": [asdict(finding) for checked in made.checks.values() for finding in checked.listed],
        "not_done": [{"what": name, "reason": reason} for name, reason in made.not_done],
        "dropped": made.dropped and asdict(made.dropped),
        "edits": made.edits.as_values() if made.edits.edits else None,
    }


def _check_values(checked: Checked, examples: int) -> dict[str, Any]:
    if checked.not_done:
        return {"findings": None, "examples": None, "share": None, "not_done": checked.not_done}
    return {
        "findings": checked.findings,
        "examples": len(checked.ids),
        "share": round(len(checked.ids) / examples, 6) if examples else 0.0,
        "by_where": checked.by_where,
        "by_detail": checked.by_detail,
    }


@dataclass(slots=True)
class _Tally:
    """What one pass over the examples counts."""

    names: Names = field(default_factory=Names)
    lengths: Lengths = field(default_factory=Lengths)
    complexity: Complexity = field(default_factory=Complexity)
    examples: int = 0
    ids: set[str] = field(default_factory=set)
    entry: str = ""

    def noting(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows, each one's entry noted for the example that is made of it next."""
        for row in rows:
            entry = row.get("entry") if isinstance(row, dict) else None
            self.entry = entry if isinstance(entry, str) else ""
            yield row

    def counted(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples, each counted."""
        for example in examples:
            self.examples += 1
            self.ids.add(example.id)
            self.names.add_example(example, self.entry)
            self.lengths.add(example)
            self.complexity.add(example)
            yield example


def _made(folder: Path, asked: Asked, asking: Asking, edits: Mapping[str, Edit]) -> Audit:
    against, left_out = named(asked.against or _test_sets(folder, asked))
    reason = "its licence allows no commercial use; name a file of your own copy with --against"
    not_done = [(f"contamination by {name}", reason) for name in left_out]
    config, seeds = _seeds(folder, asked, not_done)
    tally, applied = _Tally(), Applied()
    rows = tally.noting(edited_rows(folder, edits, applied))
    seed = config.seed if config else 0
    sample = drawn_sample(tally.counted(examples_in(rows)), seed)
    swapped = asking.swapping.findings if asking.swapping else None
    checks = run_checks(folder, tally.examples, Given(seeds, against, swapped, edits))
    score = None
    try:
        score = vendi([example.instruction for example in sample])
    except MissingNumpy as missing:
        not_done.append(("vendi", f"{missing}: {INSTALL}"))
    if asking.embeddings and asking.embeddings.not_done:
        not_done.append(("embeddings", asking.embeddings.not_done))
    not_done += [(name, checked.not_done) for name, checked in checks.items() if checked.not_done]
    not_done += [("tone of mentions", checked.no_tone) for checked in checks.values() if checked.no_tone]
    entries = _entries(folder)
    return Audit(
        examples=tally.examples,
        fidelity=fidelity(tally.names, entries),
        measured=_measured(asking),
        diversity=diversity(tally.lengths, sample, score),
        complexity=tally.complexity.levels(_difficulties(asking)),
        checks=checks,
        not_done=tuple(not_done),
        swapping=asking.swapping,
        embeddings=asking.embeddings,
        repeated_ids=tally.examples - len(tally.ids),
        use_cases=_both(tally.names, entries),
        edits=applied,
    )


def _seeds(folder: Path, asked: Asked, not_done: list[tuple[str, str]]) -> tuple[RunConfig | None, tuple[Seed, ...]]:
    """The run's config and seeds, where they are still to be had."""
    try:
        config = config_of(folder, asked.overrides)
        return config, read_inputs(config).seeds if config else ()
    except CodecLMError as error:
        not_done.append(("seeds", f"no example is held against the seeds themselves: {error}"))
        return None, ()


def _test_sets(folder: Path, asked: Asked) -> tuple[str, ...]:
    """The test sets that the run itself was to keep clear of, those that are still there."""
    with suppress(CodecLMError):
        if config := config_of(folder, asked.overrides):
            return tuple(str(path) for path in config.test_sets if path.is_file())
    return ()


def _entries(folder: Path) -> list[dict[str, Any]]:
    return seed_entries(pool_rows(folder), mixed_entries(folder) or 0)


def _both(examples: Names, entries: Iterable[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Each use case with how many examples and how many seeds have it."""
    of_seeds = Names()
    for row in entries:
        of_seeds.add(row["use_case"], (), max(1, len(row["seed_ids"])))
    names = examples.use_cases.keys() | of_seeds.use_cases.keys()
    return {name: (examples.use_cases[name], of_seeds.use_cases[name]) for name in sorted(names)}


def _measured(asking: Asking) -> MeasuredFidelity | None:
    if not asking.measured:
        return None
    found, target = Names(), Names()
    for metadata in (measured.metadata for measured in asking.measured):
        if metadata:
            found.add(metadata.use_case, metadata.skills)
    for metadata in asking.seeds:
        target.add(metadata.use_case, metadata.skills)
    return MeasuredFidelity(
        examples=len(asking.measured),
        unmeasured=sum(measured.metadata is None or measured.difficulty is None for measured in asking.measured),
        use_cases=likeness(found.use_cases, target.use_cases),
        skills=likeness(found.skills, target.skills),
    )


def _difficulties(asking: Asking) -> dict[int, float]:
    ratings: dict[int, list[float]] = defaultdict(list)
    for outcome, measured in zip(asking.sample, asking.measured, strict=False):
        if measured.difficulty is not None:
            ratings[len(outcome.iterations)].append(measured.difficulty)
    return {number: round(fmean(of_it), 6) for number, of_it in ratings.items()}


def _drop(folder: Path, made: Audit, checks: Sequence[str], edits: Mapping[str, Edit]) -> Dropped:
    """Write the examples that none of the checks found anything in, as they stand or as people edited them."""
    for name in checks:
        if reason := made.checks[name].not_done:
            raise ConfigError(f"--drop {name}: this check was not made, so nothing is left out by it: {reason}")
    if made.repeated_ids:
        raise RunDirectoryError(
            f"{folder / run_directory.EXAMPLES}: {made.repeated_ids:,} examples have the id of one before them, so "
            "that findings can't be told apart and nothing is left out. Run the config again to have the file anew, or "
            "give each row an id of its own."
        )
    found = frozenset[str]().union(*(made.checks[name].ids for name in checks))
    target = folder / AUDITED
    partial = target.with_name(f"{target.name}.partial")
    kept = 0
    try:
        with writing(partial) as write:
            for line in edited_lines(folder, edits):
                if orjson.loads(line)["id"] not in found:
                    write(line)
                    kept += 1
        os.replace(partial, target)
    except OSError as error:
        raise run_directory.unwritable(target, error) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return Dropped(tuple(checks), made.examples - kept, kept)
