"""A blind comparison set drawn from a run's own outcomes: the target's answers against the strong model's.

Contract. Only outcomes that were compared by the run's judge are drawn, each with the answers of its last iteration;
what the judge made of it, by the paper's rule, and the models' names are in the set's key alone. The draw goes by a
digest of seed and id: the same run, size and seed give the same set. No model is asked.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from codeclm import run_directory
from codeclm.config_files import load
from codeclm.config_models import ModelConfig
from codeclm.dataset.outcomes import outcome_from_row
from codeclm.errors import InputError, OutputError
from codeclm.evaluating.human import Shown, write_set
from codeclm.evaluating.verdicts import Compared, Rule, result
from codeclm.records import Outcome

FOLDER: Final = "people"
"""The folder of a run directory that its sets are written to."""

MOST: Final = 1_000
"""Items of a set at most."""

_RULE: Final[Rule] = "strict"
_FILES: Final = (run_directory.EXAMPLES, run_directory.DISCARDED)
_NAMES: Final = 1_000


def draw_set(run_dir: Path, items: int, seed: int) -> tuple[Path, str]:
    """Write a set of at most so many items, and give its folder and the name of its files.

    The very same set is not written twice. Raises InputError where nothing was compared, OutputError.
    """
    if not 1 <= items <= MOST:
        raise InputError(f"A set has 1 to {MOST:,} items.")
    drawn = heapq.nsmallest(items, _compared(run_dir), key=lambda row: _place(seed, row["id"]))
    if not drawn:
        raise InputError("No two answers were compared in this run yet, so there is nothing for people to compare.")
    shown = [_shown(outcome_from_row(row)) for row in drawn]
    config = load(run_dir / run_directory.CONFIG)
    target, strong = _name(config.models.target, "target"), _name(config.models.strong, "strong")
    folder = run_dir / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't make it ({error.strerror}).") from None
    for number in range(1, _NAMES):
        path = folder / f"set-{number}.csv"
        try:
            write_set(path, shown, candidate=target, reference=strong, rule=_RULE)
        except InputError:  # another set has the name
            continue
        return folder, path.stem
    raise InputError(f"{folder}: there are {_NAMES - 1} sets already. Move some away.")


def _compared(run_dir: Path) -> Iterator[dict[str, Any]]:
    """The rows whose last iteration has scores. There may be many: only those that are drawn are looked at closely."""
    for name in _FILES:
        for row in run_directory.read_rows(run_dir / name):
            history = row.get("history") if isinstance(row, dict) else None
            last = history[-1] if isinstance(history, list) and history else None
            if isinstance(last, dict) and last.get("strong_first") and isinstance(row.get("id"), str):
                yield row


def _place(seed: int, id: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{id}".encode("utf-8", "replace"), digest_size=16).digest()


def _shown(outcome: Outcome) -> Shown:
    """The outcome as people are to see it: the candidate is the target model, as in an evaluation."""
    final = outcome.final
    if not (final.comparison and final.strong and final.target):
        raise ValueError(f"outcome {outcome.id} was not compared")
    compared = Compared(
        outcome.id,
        candidate_first=final.comparison.target_first[::-1],
        reference_first=final.comparison.strong_first[::-1],
    )
    judged = result(compared, _RULE)
    return Shown(
        outcome.id,
        final.instruction.text,
        final.target.text,
        final.strong.text,
        outcome.entry.metadata.use_case,
        judged,
    )


def _name(model: ModelConfig, role: str) -> str:
    """The model's name with its role: both may be served under one name."""
    return f"{model.model} ({role})"
