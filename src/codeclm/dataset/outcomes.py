"""Outcomes as JSON rows and back: the run directory's examples, preferences, discarded and failures files.

A row is a plain dict with a fixed key order, and :func:`row_line` writes it byte for byte the same each time.
:func:`outcome_from_row` is the exact inverse of ``example_row``, ``discarded_row`` and ``failure_row``; what a row
derives (``gap``, ``scores``, ``kept_answer``, ``messages``) is computed again rather than read. Lone surrogates, which
models do produce and UTF-8 can't hold, become U+FFFD in a row; everything else in a text is kept as it is.
"""

from __future__ import annotations

import re
from types import UnionType
from typing import Any, Final, get_args

import orjson

from codeclm.errors import InputError
from codeclm.records import (
    Answer,
    Comparison,
    Entry,
    Failure,
    Instruction,
    Iteration,
    Metadata,
    Outcome,
    Side,
    Status,
)

Row = dict[str, Any]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_DROPPED: Final[dict[str, Status]] = {"discarded": "discarded", "duplicate": "duplicate", "surplus": "surplus"}


def last_text(outcome: Outcome) -> str:
    """The instruction as it last was; empty where decoding failed."""
    return outcome.final.instruction.text if outcome.iterations else outcome.basic


def row_line(row: Row) -> bytes:
    """The row as one line of JSONL."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def example_row(outcome: Outcome) -> Row:
    """A kept outcome as it stands in ``examples.jsonl``: ``messages`` to train on first, then where they come from."""
    final = _decided(outcome)
    row: Row = {
        "messages": [_user(final.instruction.text), _assistant(final.kept.text)],
        "id": outcome.id,
        **_origin(outcome),
        "iteration": len(outcome.iterations),
        "kept_answer": final.chosen,
        "gap": final.gap,
        "scores": _all_scores(final.comparison) if final.comparison else None,
        "history": _history(outcome),
    }
    return {key: writable(value) for key, value in row.items()}


def preference_row(outcome: Outcome) -> Row | None:
    """A kept outcome as a preference pair: the kept answer chosen, the other rejected; None where there is no other.

    Nor is there a pair where the answer kept is not the one that scored higher.
    """
    final = _decided(outcome)
    chosen, rejected = final.strong, final.target
    if final.chosen == "target":
        chosen, rejected = rejected, chosen
    gap = (final.gap or 0.0) * (1 if final.chosen == "strong" else -1)
    if chosen is None or rejected is None or gap <= 0:
        return None
    row = {
        "prompt": [_user(final.instruction.text)],
        "chosen": [_assistant(chosen.text)],
        "rejected": [_assistant(rejected.text)],
        "id": outcome.id,
        "gap": final.gap,
    }
    return {key: writable(value) for key, value in row.items()}


def discarded_row(outcome: Outcome) -> Row:
    """A discarded, duplicate or surplus outcome, with the reason."""
    if outcome.status not in _DROPPED:
        raise ValueError(f"outcome {outcome.id} is {outcome.status}, not one of {', '.join(_DROPPED)}")
    row = {
        "id": outcome.id,
        "status": outcome.status,
        "reason": outcome.reason,
        "instruction": last_text(outcome),
        "basic": outcome.basic,
        **_origin(outcome),
        "history": _history(outcome),
    }
    return {key: writable(value) for key, value in row.items()}


def failure_row(outcome: Outcome) -> Row:
    """A failed outcome: what failed, why, and how far it had come."""
    failure = outcome.failure
    if failure is None:
        raise ValueError(f"outcome {outcome.id} is {outcome.status} and holds no failure")
    row = {
        "id": outcome.id,
        "stage": failure.stage,
        "cause": failure.cause,
        "message": failure.message,
        "attempts": failure.attempts,
        "raw": failure.raw,
        "instruction": last_text(outcome),
        **_origin(outcome),
        "history": _history(outcome),
    }
    return {key: writable(value) for key, value in row.items()}


def outcome_from_row(row: object) -> Outcome:
    """The outcome an example, discarded or failure row was written from."""
    try:
        if not isinstance(row, dict):
            raise _Malformed(f"found {type(row).__name__}, expected an object")
        return _outcome(row)
    except _Malformed as problem:
        of = f" (id {row['id']!r:.60})" if isinstance(row, dict) and "id" in row else ""
        raise InputError(
            f"not a row of examples.jsonl, discarded.jsonl or failures.jsonl{of}: {problem}. "
            "Run the run's config again: it writes the file anew, and no recorded call is made twice."
        ) from None


class _Malformed(ValueError):
    """What is wrong with a row, and where in it."""


def _user(text: str) -> Row:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Row:
    return {"role": "assistant", "content": text}


def _pair(scores: tuple[float, float]) -> list[float]:
    return [float(score) for score in scores]  # 8 and 8.0 are the same score, so the same bytes


def _all_scores(comparison: Comparison) -> Row:
    return {
        "strong": comparison.strong,
        "target": comparison.target,
        "strong_first": _pair(comparison.strong_first),
        "target_first": _pair(comparison.target_first),
    }


def _answer(side: Side, answer: Answer | None) -> Row:
    return {f"{side}_answer": answer and answer.text, f"{side}_truncated": answer and answer.truncated}


def _decided(outcome: Outcome) -> Iteration:
    if outcome.status != "kept":
        raise ValueError(f"outcome {outcome.id} is {outcome.status}, not kept")
    return outcome.final


def _origin(outcome: Outcome) -> Row:
    metadata = outcome.entry.metadata
    return {
        "use_case": metadata.use_case,
        "skills": list(metadata.skills),
        "seed_ids": list(outcome.entry.seed_ids),
        "entry": outcome.entry.id,
    }


def _history(outcome: Outcome) -> list[Row]:
    return [
        {
            "instruction": iteration.instruction.text,
            "action": iteration.instruction.action,
            **_answer("strong", iteration.strong),
            "strong_model": iteration.strong.model if iteration.strong else None,
            **_answer("target", iteration.target),
            "strong_first": _pair(iteration.comparison.strong_first) if iteration.comparison else None,
            "target_first": _pair(iteration.comparison.target_first) if iteration.comparison else None,
            "gap": iteration.gap,
            "chosen": iteration.chosen,
            "reason": iteration.reason,
            "measures": [{"name": name, "value": float(value)} for name, value in iteration.measures],
        }
        for iteration in outcome.iterations
    ]


def writable(value: Any) -> Any:
    """A value as a row can hold it: in its texts U+FFFD for every lone surrogate."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [writable(item) for item in value]
    if isinstance(value, dict):
        return {key: writable(item) for key, item in value.items()}
    return value


def _outcome(row: Row) -> Outcome:
    iterations = tuple(_iteration(item, index) for index, item in enumerate(_get(row, "history", list)))
    metadata = Metadata(_get(row, "use_case", str), _texts(row, "skills"))
    entry = Entry(_get(row, "entry", str), metadata, _texts(row, "seed_ids"))
    outcome_id = _get(row, "id", str)
    if "messages" in row:
        if not iterations:
            raise _Malformed("`history` is empty")
        return Outcome(outcome_id, "kept", entry, iterations[0].instruction.text, iterations)
    if "status" in row:
        status = _DROPPED.get(_get(row, "status", str))
        if status is None:
            raise _Malformed(f"`status` is {row['status']!r:.60}, expected one of {', '.join(_DROPPED)}")
        basic, reason = _get(row, "basic", str), _get(row, "reason", str)
        return Outcome(outcome_id, status, entry, basic, iterations, reason=reason)
    failure = Failure(
        _get(row, "stage", str),
        _get(row, "cause", str),
        _get(row, "message", str),
        _get(row, "attempts", int),
        _get(row, "raw", str),
    )
    basic = iterations[0].instruction.text if iterations else _get(row, "instruction", str)
    return Outcome(outcome_id, "failed", entry, basic, iterations, failure)


def _iteration(item: object, index: int) -> Iteration:
    at = f"history[{index}]."
    if not isinstance(item, dict):
        raise _Malformed(f"`history[{index}]` is {type(item).__name__}, expected an object")
    instruction = Instruction(_get(item, "instruction", str, at), _get(item, "action", str, at))
    chosen = _get(item, "chosen", str, at)
    if chosen not in get_args(Side):
        raise _Malformed(f"`{at}chosen` is {chosen!r:.60}, expected {' or '.join(get_args(Side))}")
    compared = _get(item, "strong_first", list | None, at) is not None
    return Iteration(
        instruction,
        strong=_read_answer(item, "strong", at),
        target=_read_answer(item, "target", at),
        comparison=Comparison(_scores(item, "strong_first", at), _scores(item, "target_first", at))
        if compared
        else None,
        chosen=chosen,
        reason=_get(item, "reason", str, at),
        measures=tuple(_measure(measure, at) for measure in _get(item, "measures", list, at)),
    )


def _read_answer(item: Row, side: Side, at: str) -> Answer | None:
    text = _get(item, f"{side}_answer", str | None, at)
    if text is None:
        return None
    model = _get(item, "strong_model", str | None, at) if side == "strong" else ""
    return Answer(text, _get(item, f"{side}_truncated", bool, at), model or "")


def _measure(item: object, at: str) -> tuple[str, float]:
    if not isinstance(item, dict):
        raise _Malformed(f"`{at}measures` holds {type(item).__name__}, expected objects")
    value = _get(item, "value", int | float, f"{at}measures.")
    return _get(item, "name", str, f"{at}measures."), float(value)


def _get(row: Row, key: str, kind: type[Any] | UnionType, at: str = "") -> Any:
    if key not in row:
        raise _Malformed(f"`{at}{key}` is missing")
    value = row[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _Malformed(f"`{at}{key}` is {type(value).__name__}, expected {getattr(kind, '__name__', kind)}")
    return value


def _texts(row: Row, key: str) -> tuple[str, ...]:
    texts = _get(row, key, list)
    if not all(isinstance(text, str) for text in texts):
        raise _Malformed(f"`{key}` holds something that is not a text")
    return tuple(texts)


def _scores(item: Row, key: str, at: str) -> tuple[float, float]:
    scores = _get(item, key, list, at)
    if len(scores) != 2 or not all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores):
        raise _Malformed(f"`{at}{key}` is not a pair of scores")
    return float(scores[0]), float(scores[1])
