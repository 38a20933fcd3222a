"""What a training learns from: a run directory's examples.jsonl or preferences.jsonl, with people's edits laid over.

Owns the refusal of files that nothing can be learnt from. TRL is given the columns it trains on and no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from codeclm import run_directory
from codeclm.config_training import Objective
from codeclm.dataset.rows import BadRow, convert_rows, describe
from codeclm.edits import Applied, Edit, digest, read_edits, texts_after
from codeclm.errors import InputError

FILES: Final[Mapping[Objective, str]] = {"sft": run_directory.EXAMPLES, "dpo": run_directory.PREFERENCES}

_COLUMNS: Final[Mapping[Objective, tuple[str, ...]]] = {"sft": ("messages",), "dpo": ("prompt", "chosen", "rejected")}
_ANSWERED = {"messages", "chosen", "rejected"}
_EXPECTED = "Run the run's config again: it writes the file anew, and no recorded call is made twice."

Row = dict[str, list[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The rows of a file, each of TRL's columns with its messages.

    ``sha256`` is the file's; where people's edits changed what is learnt, that of the file's and the rows learnt.
    ``edits`` says how these were applied.
    """

    path: Path
    sha256: str
    objective: Objective
    rows: list[Row]
    edits: Applied = field(default_factory=Applied)


def read_data(run_dir: Path, objective: Objective) -> TrainingData:
    """The rows to train on. Raises InputError where there are none, or one that has no answer to learn."""
    path = run_dir / FILES[objective]
    if not path.exists():
        raise InputError(f"{path}: there is no such file. {_where_it_comes_from(run_dir)}")
    if not path.stat().st_size:
        raise InputError(f"{path}: has no rows. {_EMPTY[objective]}")
    columns = _COLUMNS[objective]
    edits = read_edits(run_dir)
    applied = Applied(len(edits))

    def converted(row: object) -> Row | None:
        found = _row(row, columns)
        name = row.get("id") if isinstance(row, dict) else None
        edit = edits.get(name) if isinstance(name, str) else None
        return _edited(found, edit, applied) if edit else found

    rows = convert_rows(path, converted, expected=_EXPECTED, plain_text=False)
    learnt = [row for _, row in rows if row]
    if not learnt:
        raise InputError(f"{path}: people dropped or edited away every row, so there is nothing to train on.")
    sha256 = run_directory.sha256(path)
    if applied.edited or applied.dropped:
        sha256 = _of_rows(sha256, learnt)
    return TrainingData(path, sha256, objective, learnt, applied)


_EMPTY: Final[Mapping[Objective, str]] = {
    "sft": "`codeclm status` says why no instruction passed; there is nothing to train on yet.",
    "dpo": "A method that compares no answers leaves no pairs (docs/methods.md). Train with "
    "--set training.objective=sft, or on a run of another method.",
}


def _where_it_comes_from(run_dir: Path) -> str:
    if not run_dir.is_dir():
        return "Name the run directory of a run that has examples."
    return "A run writes it: `codeclm run CONFIG` with this run_dir."


def _row(row: object, columns: tuple[str, ...]) -> Row:
    if not isinstance(row, dict):
        raise BadRow(f"found {describe(row)}, expected an object")
    return {column: _messages(row, column) for column in columns}


def _edited(row: Row, edit: Edit, applied: Applied) -> Row | None:
    """A row with an edit laid over it; None where it is not learnt: dropped, or a pair of another instruction.

    What the edit was not made of stays as it is.
    """
    prompt, *more = row.get("prompt") or row["messages"][:1]
    chosen, *further = row.get("chosen") or row["messages"][1:] or [{"role": "", "content": ""}]
    ours = (prompt["role"], chosen["role"]) == ("user", "assistant") and not (more or further)
    if not ours or digest(prompt["content"], chosen["content"]) != edit.of:
        return row
    instruction, answer = texts_after(prompt["content"], chosen["content"], edit)
    if edit.action == "drop":
        applied.dropped_ids.add(edit.id)
        return None
    applied.edited_ids.add(edit.id)
    if "rejected" in row and instruction != prompt["content"]:
        return None
    asked, kept = {**prompt, "content": instruction}, {**chosen, "content": answer}
    if "messages" in row:
        return {"messages": [asked, kept]}
    return {"prompt": [asked], "chosen": [kept], "rejected": row["rejected"]}


def _of_rows(sha256: str, rows: list[Row]) -> str:
    found = hashlib.sha256(sha256.encode())
    for row in rows:
        found.update(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    return found.hexdigest()


def _messages(row: dict[str, Any], column: str) -> list[dict[str, str]]:
    messages = row.get(column)
    if not isinstance(messages, list) or not messages:
        raise BadRow(f"`{column}` is {describe(messages)}, expected a list of messages")
    for message in messages:
        fields = [message.get(name) for name in ("role", "content")] if isinstance(message, dict) else []
        if not fields or not all(isinstance(value, str) for value in fields):
            raise BadRow(f"`{column}` holds {describe(message)}, expected a role and a content, both texts")
    if column in _ANSWERED and not any(m["role"] == "assistant" and m["content"].strip() for m in messages):
        raise BadRow(f"`{column}` has no assistant turn, so there is nothing to learn")
    return [{"role": message["role"], "content": message["content"]} for message in messages]
