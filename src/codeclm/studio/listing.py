"""Outcomes as the browser lists them, and the lines of a run's files, read by their places.

A line in the list is made from the outcome itself and not from the index, so it is the same before there is an index.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import orjson

from codeclm.dataset.outcomes import last_text, outcome_from_row
from codeclm.edits import Edit, fits, texts_after
from codeclm.errors import InputError, RunDirectoryError
from codeclm.records import Outcome
from codeclm.studio.facts import Facts, facts_of
from codeclm.studio.filters import Touched
from codeclm.studio.indexing import FILES, in_slot_order, lines_of


@dataclass(frozen=True, slots=True)
class Listed:
    """One outcome in a list: its figures, the instruction as it is now, and what a person did to it."""

    facts: Facts
    instruction: str
    touched: Touched = ""


def listed(line: bytes, edits: Mapping[str, Edit]) -> Listed:
    """The line of a run's file as it is listed. Raises RunDirectoryError where it is no outcome any more."""
    try:
        outcome = outcome_from_row(orjson.loads(line))
    except (InputError, ValueError):
        raise _changed() from None
    return _as_listed(outcome, edits)


def _as_listed(outcome: Outcome, edits: Mapping[str, Edit]) -> Listed:
    text = last_text(outcome)
    edit = edits.get(outcome.id)
    if edit is None or not fits(outcome, edit):
        return Listed(facts_of(outcome), text)
    if edit.action == "drop":
        return Listed(facts_of(outcome), text, "dropped")
    return Listed(facts_of(outcome), texts_after(text, "", edit)[0], "edited")


def first_listed(run_dir: Path, edits: Mapping[str, Edit], count: int) -> list[Listed]:
    """The first outcomes of a run in slot order, read without an index; lines that are none are passed over."""
    with ExitStack() as stack:
        files = []
        for number, name in enumerate(FILES):
            with suppress(FileNotFoundError):
                files.append(lines_of(number, stack.enter_context((run_dir / name).open("rb"))))
        outcomes = (line.outcome for line in heapq.merge(*files, key=in_slot_order) if line.outcome)
        return [_as_listed(outcome, edits) for outcome in islice(outcomes, count)]


def rows_at(run_dir: Path, places: Sequence[tuple[int, int, int]]) -> Iterator[bytes]:
    """The lines at places (file, start, length) of a run's files, in the order of ``places``.

    Raises RunDirectoryError where the files are not those that the places were taken from.
    """
    with ExitStack() as stack:
        opened = {}
        for number, start, length in places:
            try:
                if number not in opened:
                    opened[number] = stack.enter_context((run_dir / FILES[number]).open("rb"))
                file = opened[number]
                size = os.fstat(file.fileno()).st_size
                if start < 0 or not 0 < length <= size - start:
                    raise _changed()
                file.seek(start)
                line = file.read(length)
            except (OSError, LookupError, ValueError):
                raise _changed() from None
            if len(line) != length:
                raise _changed()
            yield line


def _changed() -> RunDirectoryError:
    return RunDirectoryError("The run's files have changed just now. Load the page again.")
