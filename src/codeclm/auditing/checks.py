"""The checks of an audit, run one beside the other, and what they find put on record.

Each check reads the examples for itself, one at a time, in a process of its own where there are many, so that two cores
are used and no check's memory adds to another's. Findings go to ``audit-findings.jsonl``, check by check in the order
of :data:`CHECKS`, whichever ended first. A check whose package is not installed is not done, and says so.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Final

import orjson

from codeclm import run_directory
from codeclm.auditing.findings import Example, Finding, examples_in
from codeclm.auditing.mentions import Mentioned, Mentions
from codeclm.edits import Edit, edited_rows
from codeclm.records import Seed

CHECKS: Final = ("duplicates", "contamination", "personal", "secrets", "refusals", "bias", "toxicity", "swap")

FINDINGS: Final = "audit-findings.jsonl"

INSTALL: Final = "pip install 'codeclm[audit]'"

LISTED: Final = 100
"""Findings of each check that ``audit.json`` has as well."""

_DETAILS = 20  # the most frequent ones that are counted by name

_PROCESSES_FROM = 5_000  # examples; for fewer, starting processes takes longer than the checks


@dataclass(frozen=True, slots=True)
class Given:
    """What checks need besides the examples: the run's seeds, and the names or files of test sets.

    ``swapped`` is what a model's answers to swapped instructions gave (swap.py); None where no model was asked.
    ``edits`` are those of people, read once: all checks see the same texts.
    """

    seeds: tuple[Seed, ...] = ()
    against: tuple[str, ...] = ()
    swapped: tuple[Finding, ...] | None = None
    edits: Mapping[str, Edit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check came to: its findings counted, in all and by place and kind, and the examples that have one.

    ``by_detail`` has the most frequent details. ``not_done`` says why a check was not made, and is empty where it was.
    ``mentions`` are counted in the pass of the check ``bias``, and ``no_tone`` says why their tones are not told.
    """

    check: str
    findings: int = 0
    by_where: dict[str, int] = field(default_factory=dict)
    by_detail: dict[str, int] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    listed: tuple[Finding, ...] = ()
    not_done: str = ""
    mentions: tuple[Mentioned, ...] = ()
    no_tone: str = ""


def run_checks(folder: Path, count: int, given: Given, names: Sequence[str] = CHECKS) -> dict[str, Checked]:
    """Make the checks on the ``count`` examples in ``folder`` and write their findings there. Raises OutputError."""
    parts = {name: folder / f".{FINDINGS}.{name}.partial" for name in names}
    try:
        if count < _PROCESSES_FROM:
            made = [_check(name, folder, given, parts[name]) for name in names]
        else:
            made = _beside_each_other(folder, given, parts)
        put_together(folder / FINDINGS, [parts[name] for name in names])
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return dict(zip(names, made, strict=True))


def _beside_each_other(folder: Path, given: Given, parts: dict[str, Path]) -> list[Checked]:
    # Spawned, so that no thread or lock of this process is copied half-way.
    context = multiprocessing.get_context("spawn")
    workers = min(len(parts), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        started = [pool.submit(_check, name, folder, given, part) for name, part in parts.items()]
        return [one.result() for one in started]


def end_with_parent() -> None:
    """Have this process end when the one that started it is gone: a kill tells no worker, and they would work on."""
    if parent := multiprocessing.parent_process():

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _check(name: str, folder: Path, given: Given, part: Path) -> Checked:
    if name == "contamination" and not given.against:
        return Checked(name, not_done="no test set is named; --against takes a file or the name of a benchmark")
    if name == "swap" and given.swapped is None:
        return Checked(name, not_done="no model is named; --swap takes target, strong or the name of a candidate")
    mentions = Mentions() if name == "bias" else None
    try:
        find = _find_of(name, given, mentions)
        examples = examples_in(edited_rows(folder, given.edits))
        with writing(part) as write:
            checked = _noted(name, find(examples), write)
        if mentions is None:
            return checked
        no_tone = f"{mentions.missing} is not installed: {INSTALL}" if mentions.missing else ""
        return replace(checked, mentions=mentions.figures(), no_tone=no_tone)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("codeclm"):
            raise
        return Checked(name, not_done=f"{missing.name} is not installed: {INSTALL}")


def _find_of(name: str, given: Given, mentions: Mentions | None) -> Callable[[Iterable[Example]], Iterator[Finding]]:
    """The check's function; those that need something besides the examples have it with them."""
    if name == "swap":
        return lambda examples: iter(given.swapped or ())
    module = import_module(f"codeclm.auditing.{name}")
    find: Callable[..., Iterator[Finding]] = module.find
    match name:
        case "duplicates":
            return lambda examples: find(examples, given.seeds)
        case "contamination":
            return lambda examples: find(examples, given.against)
        case "bias":
            return lambda examples: find(examples, mentions)
    return find


def _noted(name: str, findings: Iterable[Finding], write: Callable[[bytes], object]) -> Checked:
    """Write every finding and count them."""
    where: Counter[str] = Counter()
    details: Counter[str] = Counter()
    ids: set[str] = set()
    listed: list[Finding] = []
    for finding in findings:
        write(orjson.dumps(asdict(finding), option=orjson.OPT_APPEND_NEWLINE))
        where[finding.where] += 1
        details[finding.detail] += 1
        ids.add(finding.id)
        if len(listed) < LISTED:
            listed.append(finding)
    by_detail = dict(sorted(details.items(), key=lambda item: (-item[1], item[0]))[:_DETAILS])
    return Checked(name, where.total(), dict(sorted(where.items())), by_detail, frozenset(ids), tuple(listed))


@contextmanager
def writing(path: Path) -> Iterator[Callable[[bytes], object]]:
    """A file being written, line by line. Raises OutputError where there is no room."""
    try:
        with path.open("wb") as file:
            yield file.write
    except OSError as error:
        raise run_directory.unwritable(path, error) from None


def put_together(path: Path, parts: Iterable[Path]) -> None:
    """Move what the parts hold, one after another, to ``path`` at once. Parts that are not there are left out."""
    whole = path.with_name(f"{path.name}.partial")
    try:
        with whole.open("wb") as file:
            for part in parts:
                if part.exists():
                    with part.open("rb") as written:
                        shutil.copyfileobj(written, file)
        os.replace(whole, path)
    except OSError as error:
        with suppress(OSError):
            whole.unlink()
        raise run_directory.unwritable(path, error) from None
