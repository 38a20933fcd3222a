"""Why an example is there, or an instruction is not: its way from the seeds to the decision, from a run's files alone.

Any id of ``examples.jsonl``, ``discarded.jsonl`` (discarded, duplicate, surplus) or ``failures.jsonl`` can be
explained. No call is made. What the files do not have stays empty: a mixed entry comes from no seed, a method that does
not compare has no scores.
"""

from __future__ import annotations

import difflib
import heapq
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from codeclm import run_directory
from codeclm.auditing.audit import config_of
from codeclm.auditing.pool_file import mixed_entries, pool_rows
from codeclm.dataset.outcomes import outcome_from_row
from codeclm.errors import CodecLMError, InputError, RunDirectoryError
from codeclm.generate import read_inputs
from codeclm.records import Answer, Iteration, Outcome

FILES: Final = (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES)

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """A seed that an instruction goes back to; its text is None where the seeds' file no longer has it.

    ``gave`` is what mixed metadata has from it; empty where all was read from it.
    """

    id: str
    text: str | None
    gave: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """An outcome with what it was made from.

    ``mixed`` says that the metadata was put together from several seeds' rather than read from one or written by hand;
    None where there is no telling. Mixed metadata goes back to the first seed that has its use case, or each skill.
    ``threshold`` is the run's, None where its config is gone or its method compares nothing.
    """

    outcome: Outcome
    file: str
    seeds: tuple[Origin, ...]
    mixed: bool | None
    threshold: float | None


def explain(folder: Path, wanted: str) -> Explained:
    """Everything the run's files tell of the instruction with this id.

    Raises InputError for an id that is in none of them, with the nearest ones, and RunDirectoryError where no run is.
    """
    if not any((folder / name).exists() for name in FILES):
        raise RunDirectoryError(f"{folder}: no run here: there is none of {', '.join(FILES)}. Is it the run_dir?")
    for name in FILES:
        for row in run_directory.rows_with_id(folder / name, wanted):
            return _explained(folder, outcome_from_row(row), name)
    near = _nearest(folder, wanted)
    meant = f" The nearest: {', '.join(near)}." if near else ""
    raise InputError(
        f"{folder}: no instruction has the id {wanted!r:.80}.{meant} Ids are in {', '.join(FILES)}, one in each row."
    )


def as_values(explained: Explained) -> dict[str, Any]:
    """The same as plain values, fit for JSON."""
    outcome = explained.outcome
    failure = outcome.failure
    return {
        "id": outcome.id,
        "status": outcome.status,
        "file": explained.file,
        "reason": decision(explained),
        "seeds": [{"id": seed.id, "instruction": seed.text, "gave": seed.gave} for seed in explained.seeds],
        "mixed": explained.mixed,
        "entry": outcome.entry.id,
        "use_case": outcome.entry.metadata.use_case,
        "skills": list(outcome.entry.metadata.skills),
        "basic": outcome.basic,
        "threshold": explained.threshold,
        "iterations": [_iteration_values(number, one) for number, one in enumerate(outcome.iterations, start=1)],
        "failure": failure
        and {
            "stage": failure.stage,
            "cause": failure.cause,
            "message": failure.message,
            "attempts": failure.attempts,
            "raw": failure.raw,
        },
    }


def decision(explained: Explained) -> str:
    """What became of the instruction, in a sentence."""
    outcome = explained.outcome
    match outcome.status:
        case "kept":
            return f"kept with the {outcome.final.chosen} model's answer: {why(outcome.final, explained.threshold)}"
        case "failed":
            failure = outcome.failure
            return f"failed in {failure.stage} ({failure.cause})" if failure else "failed"
        case _:
            return f"{outcome.status}: {outcome.reason or 'no reason on record'}"


def why(iteration: Iteration, threshold: float | None) -> str:
    """Why an iteration passes, or does not: its reason, or how its gap lies to the threshold."""
    if iteration.reason:
        return iteration.reason
    if iteration.gap is None:
        return "the method compares no answers"
    if threshold is not None and abs(iteration.gap) > threshold:
        return f"gap {iteration.gap:+g}, wider than the threshold {threshold:g}"
    return f"gap {iteration.gap:+g}"


def _iteration_values(number: int, one: Iteration) -> dict[str, Any]:
    scores = one.comparison
    return {
        "iteration": number,
        "action": one.instruction.action,
        "instruction": one.instruction.text,
        "strong": _answer_values(one.strong),
        "target": _answer_values(one.target),
        "strong_first": list(scores.strong_first) if scores else None,
        "target_first": list(scores.target_first) if scores else None,
        "gap": one.gap,
        "chosen": one.chosen,
        "passes": one.passes,
        "reason": one.reason,
        "measures": dict(one.measures),
    }


def _answer_values(answer: Answer | None) -> dict[str, Any] | None:
    return {"text": answer.text, "truncated": answer.truncated, "model": answer.model} if answer else None


def _explained(folder: Path, outcome: Outcome, file: str) -> Explained:
    threshold, texts = None, {}
    try:
        if config := config_of(folder):
            threshold = config.method.threshold if any(one.comparison for one in outcome.iterations) else None
            inputs = read_inputs(config)
            texts = {seed.id: seed.instruction for seed in (*inputs.general, *inputs.seeds)}
    except CodecLMError:
        pass  # the seeds' file may be gone; what the run wrote is still worth reading
    entries = list(pool_rows(folder))
    mixed = _is_mixed(folder, outcome, entries)
    if mixed:
        seeds = [Origin(seed_id, texts.get(seed_id), gave) for seed_id, gave in _mixed_from(outcome, entries)]
    else:
        seeds = [Origin(seed_id, texts.get(seed_id)) for seed_id in outcome.entry.seed_ids]
    return Explained(outcome, file, tuple(seeds), mixed, threshold)


def _mixed_from(outcome: Outcome, entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of mixed metadata, each part with the first seed that has it."""
    metadata = outcome.entry.metadata
    parts = [("use case", metadata.use_case), *(("skill", skill) for skill in metadata.skills)]
    found = []
    for kind, name in parts:
        for row in entries:
            names = [row["use_case"]] if kind == "use case" else row["skills"]
            if row["seed_ids"] and name.casefold() in map(str.casefold, names):
                found.append((row["seed_ids"][0], f"{kind} {name}"))
                break
    return found


def _is_mixed(folder: Path, outcome: Outcome, entries: list[dict[str, Any]]) -> bool | None:
    """Mixed entries come after all those that were read."""
    if outcome.entry.seed_ids:
        return False
    mixed = mixed_entries(folder)
    known = [entry["id"] for entry in entries if entry["id"]]
    if outcome.entry.id not in known or mixed is None:
        return None
    return known.index(outcome.entry.id) >= len(known) - mixed


def _nearest(folder: Path, wanted: str) -> list[str]:
    """The ids most like this one, over all files."""
    ids = (
        row["id"]
        for name in FILES
        for row in run_directory.read_rows(folder / name)
        if isinstance(row, dict) and isinstance(row.get("id"), str)
    )
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(wanted)

    def likeness(one: str) -> float:
        matcher.set_seq1(one)
        return matcher.ratio()

    return heapq.nsmallest(_NEAREST, ids, key=lambda one: (-likeness(one), one))
