"""Seeds and hand-written metadata, read from a user's file.

A row is an instruction where it is a string, or holds one in the field the user names or else in ``messages``,
``instruction`` (with its ``input``), ``prompt`` or ``conversations``, looked for in this order. Texts are taken as they
are, edge white space and control characters included. A file is read whole or refused whole, with every bad row named.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from codeclm.dataset.rows import BadRow, convert_rows, describe, describe_fields
from codeclm.records import Metadata, Seed

_FIELDS = ("messages", "instruction", "prompt", "conversations")
_SEEDS_EXPECTED = (
    "Expected in each row: `instruction` (with an optional `input`), `messages`, `prompt` or `conversations`. "
    "If the instruction is in another field, name the field with `seeds_field`."
)
_METADATA_EXPECTED = (
    "Expected in each row: `use_case`, a text, and `skills`, a list of texts or one text separated by commas."
)


@dataclass(frozen=True, slots=True)
class Seeds:
    """The seeds of a file in its order, and how many rows were exact duplicates of an earlier one."""

    seeds: tuple[Seed, ...]
    duplicates: int


def read_seeds(path: Path, *, field: str | None = None) -> Seeds:
    """The instructions in ``path``; ``field`` names the one that holds them, which is then taken alone.

    A seed's id is the row's own ``id`` or ``question_id`` where no other seed has it, else ``file name:line``.
    """
    expected = _SEEDS_EXPECTED if field is None else f"`seeds_field` names {field!r}: name a field every row has."
    rows = convert_rows(path, lambda row: (instruction_of(row, field), own_id(row)), expected=expected)
    first: dict[str, tuple[int, str]] = {}
    for number, (instruction, its_id) in rows:
        first.setdefault(instruction, (number, its_id))
    times = Counter(its_id for _, its_id in first.values())
    by_line = f"{path.name}:"
    seeds = (
        # An own id in the form of a line's id gives way, so that the two kinds can't meet.
        Seed(its_id if times[its_id] == 1 and its_id and not its_id.startswith(by_line) else f"{by_line}{number}", text)
        for text, (number, its_id) in first.items()
    )
    return Seeds(tuple(seeds), duplicates=len(rows) - len(first))


def read_metadata(path: Path, *, max_skills: int) -> tuple[Metadata, ...]:
    """The rows of ``use_case`` and ``skills`` in ``path``, equal ones once, with at most ``max_skills`` skills each."""
    rows = convert_rows(path, lambda row: metadata_of(row, max_skills), expected=_METADATA_EXPECTED, plain_text=False)
    return tuple(dict.fromkeys(metadata for _, metadata in rows))


def instruction_of(row: object, field: str | None = None) -> str:
    """The instruction in a row, with its input; ``field`` names the one that holds it. Raises BadRow."""
    if isinstance(row, str):
        return _not_empty(row, "the row")
    if not isinstance(row, dict):
        raise BadRow(f"found {describe(row)}, expected an object or a string")
    names = _FIELDS if field is None else (field,)
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        wanted = "no instruction" if field is None else f"no `{field}`"
        raise BadRow(f"{wanted}; the fields with a value are: {describe_fields(_filled(row))}")
    text = _not_empty(_text_of(row[name], name), f"`{name}`")
    return text + _input(row) if name == "instruction" and field is None else text


def _text_of(value: object, name: str) -> str:
    """A text, or the first user message of a conversation."""
    if isinstance(value, str) and name not in ("messages", "conversations"):
        return value
    if not isinstance(value, list):
        raise BadRow(f"`{name}` is {describe(value)}, expected a text or a list of messages")
    for message in value:
        if not isinstance(message, dict):
            raise BadRow(f"`{name}` holds {describe(message)}, expected messages with `role` and `content`")
        if message.get("role", message.get("from")) in ("user", "human"):
            text = message.get("content", message.get("value"))
            if isinstance(text, list):  # the parts that chat APIs also take
                text = "".join(
                    part["text"] for part in text if isinstance(part, dict) and isinstance(part.get("text"), str)
                )
            if not isinstance(text, str):
                raise BadRow(f"the first user message in `{name}` is {describe(text)}, expected a text")
            return text
    raise BadRow(f"`{name}` has no user message among its {len(value)}")


def _input(row: dict[str, object]) -> str:
    """What the instruction is to be applied to, set off by a blank line; Self-Instruct keeps it in its instances."""
    given = row.get("input")
    instances = row.get("instances")
    if given in (None, "") and isinstance(instances, list) and instances and isinstance(instances[0], dict):
        given = instances[0].get("input")
    if given is None:
        return ""
    if not isinstance(given, str):
        raise BadRow(f"`input` is {describe(given)}, expected a text")
    return f"\n\n{given}" if given.strip() else ""


def _not_empty(text: str, name: str) -> str:
    if not text.strip():
        raise BadRow(f"{name} is empty")
    return text


def own_id(row: object) -> str:
    """The row's own id; empty where it has none."""
    if not isinstance(row, dict):
        return ""
    found = next((row[name] for name in ("id", "question_id") if row.get(name) is not None), "")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def metadata_of(row: object, max_skills: int) -> Metadata:
    """The metadata in a row of ``use_case`` and ``skills``, at most ``max_skills`` of these. Raises BadRow."""
    if not isinstance(row, dict):
        raise BadRow(f"found {describe(row)}, expected an object")
    for name in ("use_case", "skills"):
        if row.get(name) is None:
            raise BadRow(f"no `{name}`; the fields with a value are: {describe_fields(_filled(row))}")
    use_case, skills = row["use_case"], row["skills"]
    if not isinstance(use_case, str):
        raise BadRow(f"`use_case` is {describe(use_case)}, expected a text")
    listed = re.split("[,;]", skills) if isinstance(skills, str) else skills
    if not isinstance(listed, list) or not all(isinstance(skill, str) for skill in listed):
        raise BadRow(f"`skills` is {describe(skills)}, expected a list of texts")
    unique = tuple(dict.fromkeys(skill.strip() for skill in listed if skill.strip()))
    if not unique:
        raise BadRow("`skills` is empty")
    if len(unique) > max_skills:
        raise BadRow(f"{len(unique)} skills, at most {max_skills} are used: name fewer or raise `method.max_skills`")
    return Metadata(_not_empty(use_case, "`use_case`").strip(), unique)


def _filled(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value is not None}
