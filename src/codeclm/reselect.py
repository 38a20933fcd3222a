"""Export: a finished run's examples in another format, or selected anew by another threshold.

Everything is read from the run's own files; no model is called. With a lower threshold an instruction may pass at an
earlier iteration than it did. With a higher one fewer pass, since only a run can take an instruction further round.

What people edited or dropped (codeclm.edits) is laid over what was selected, where that is in the words they edited.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from codeclm import run_directory
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.dataset.export import export_row, reselect, write_parquet, write_rows
from codeclm.dataset.outcomes import example_row, outcome_from_row
from codeclm.dataset.seeds import read_seeds
from codeclm.dataset.test_sets import read_test_sets
from codeclm.edits import Applied, apply, read_edits
from codeclm.errors import ConfigError, RunDirectoryError
from codeclm.part_names import is_own, shown
from codeclm.parts import part_name
from codeclm.records import Outcome
from codeclm.selection import Selection

PARQUET = "parquet"

_RUN = "Run with that threshold in a new run_dir with a copy of this journal.sqlite; nothing is paid for twice."


@dataclass(frozen=True, slots=True)
class Exported:
    """The file that was written, how many rows it has, and how people's edits were applied to the examples."""

    path: Path
    rows: int
    edits: Applied


def export_run(
    run_dir: Path, *, format: str = "messages", out: Path | None = None, threshold: float | None = None
) -> Exported:
    """Write the examples of ``run_dir`` to ``out`` in ``format``, as people edited them.

    ``format`` is ``parquet`` or one of :data:`codeclm.dataset.export.FORMATS`. ``threshold`` (0 to 9) selects anew from
    the recorded scores, as the run selects, up to its size. Raises ConfigError, InputError or RunDirectoryError.
    """
    if not (run_dir / run_directory.EXAMPLES).exists():
        raise RunDirectoryError(
            f"{run_dir}: no {run_directory.EXAMPLES} here to export. Is it the run_dir of a run that has made some?"
        )
    if out and (out.suffix == ".parquet") != (format == PARQUET):
        raise ConfigError(
            f"{out}: --format {format} does not go into a file of that name. Did you mean --format parquet?"
            if format != PARQUET
            else f"{out}: Parquet goes into a file named .parquet."
        )
    if out and out.resolve() in {(run_dir / name).resolve() for name in run_directory.OWN_FILES}:
        raise ConfigError(
            f"{out}: is one of the run's own files, which an export must not replace. Choose another --out."
        )
    edits, applied = read_edits(run_dir), Applied()
    selected = _recorded(run_dir) if threshold is None else _selected_anew(run_dir, threshold)
    examples = apply(selected, edits, applied)
    by = "" if threshold is None else f".threshold-{threshold:g}"
    if format == PARQUET:
        path = out or run_dir / f"examples{by}.parquet"
        return Exported(path, write_parquet(path, (example_row(outcome) for outcome in examples)), applied)
    path = out or run_dir / f"examples{by}.{format}.jsonl"
    rows = (row for outcome in examples if (row := export_row(format, outcome)))
    return Exported(path, write_rows(path, rows), applied)


def _recorded(run_dir: Path) -> Iterator[Outcome]:
    return map(outcome_from_row, run_directory.read_rows(run_dir / run_directory.EXAMPLES))


def _discarded(run_dir: Path) -> Iterator[Outcome]:
    return map(outcome_from_row, run_directory.read_rows(run_dir / run_directory.DISCARDED))


def _selected_anew(run_dir: Path, threshold: float) -> Iterator[Outcome]:
    config = load(run_dir / run_directory.CONFIG)
    every = chain(_recorded(run_dir), _discarded(run_dir))  # a run that kept nothing is to be selected from too
    compared = any(iteration.comparison for outcome in every for iteration in outcome.iterations)
    if why_not := why_no_threshold(config, compared=compared):
        raise ConfigError(f"{run_dir}: {why_not}")
    in_slot_order = heapq.merge(_recorded(run_dir), _discarded(run_dir), key=_place)
    test_items = read_test_sets(config.test_sets) if config.test_sets else None
    with Selection(config, use_cases=_use_cases(run_dir), test_items=test_items) as selection:
        if config.seeds:
            selection.know(read_seeds(config.seeds, field=config.seeds_field).seeds)
        for outcome in reselect(in_slot_order, threshold):
            considered = selection.consider(outcome)
            if selection.at_once and considered.status == "kept":
                yield considered
        if not selection.at_once:
            yield from (outcome for outcome in selection.decided() if outcome.status == "kept")


def why_no_threshold(config: RunConfig, *, compared: bool) -> str:
    """Why a run's examples can't be selected anew by another threshold; empty where they can.

    ``compared`` is whether any two answers of it were.
    """
    if not compared:
        return (
            f"`--threshold` selects by the gap between two answers, and the method {config.method.name} "
            "has compared none."
        )
    if is_own(decides := part_name(config.method, "filter") or ""):
        return f"`--threshold` selects by the gap alone, and the filter {shown(decides)} may go by more. {_RUN}"
    if config.method.selection == "random":
        return f"its examples were drawn at random, whatever their gaps. `--threshold` selects by them. {_RUN}"
    return ""


def _place(outcome: Outcome) -> tuple[int, int]:
    slot, _, number = outcome.id.partition(".")
    try:
        return int(slot), int(number or 0)
    except ValueError:
        raise RunDirectoryError(f"the row with id {outcome.id!r:.60} is not one that a run wrote.") from None


def _use_cases(run_dir: Path) -> int:
    """How many there are in the run's pool."""
    pool = run_directory.read_rows(run_dir / run_directory.METADATA)
    return len({row["use_case"].casefold() for row in pool if not row["turned_away"]})
