"""A table of seeds and their metadata, for a person to correct: CSV for a spreadsheet, or JSON Lines.

A row has the seed's ``id`` and ``instruction``, its ``use_case`` and ``skills``, and ``corrected``, which is left for
the person: the rows marked there are what encode is then taught by (encode_examples.py). Skills are read as those of
``metadata:`` files are: a list, or one text separated by commas. Metadata is empty where a seed could not be encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codeclm.dataset.cells import csv_table
from codeclm.dataset.outcomes import row_line, writable
from codeclm.errors import InputError
from codeclm.records import Metadata, Seed

COLUMNS: Final = ("id", "instruction", "use_case", "skills", "corrected")

_SEPARATORS: Final = re.compile(r"\s*[,;]+\s*")


@dataclass(frozen=True, slots=True)
class EncodedSeed:
    """A seed with its metadata; None where it could not be encoded, with the ``cause``."""

    seed: Seed
    metadata: Metadata | None
    cause: str = ""


def check_name(path: Path) -> None:
    """Raise InputError unless the name's end tells which of the two formats is meant."""
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise InputError(f"{path}: the table's name ends in .csv, for a spreadsheet, or in .jsonl. Name it so.")


def as_table(rows: Iterable[EncodedSeed], path: Path) -> bytes:
    """The rows in the format that the path's name tells. No cell of it is a formula.

    In CSV a comma or semicolon within a skill becomes a space: it would part the skill in two.
    """
    check_name(path)
    if path.suffix.lower() == ".jsonl":
        return b"".join(row_line(writable(_row(row))) for row in rows)
    return csv_table(COLUMNS, [writable(_cells(row)) for row in rows])


def _row(row: EncodedSeed) -> dict[str, object]:
    metadata = row.metadata or Metadata("", ())
    texts = {"id": row.seed.id, "instruction": row.seed.instruction, "use_case": metadata.use_case}
    return {**texts, "skills": list(metadata.skills), "corrected": False}


def _cells(row: EncodedSeed) -> dict[str, str]:
    metadata = row.metadata or Metadata("", ())
    skills = ", ".join(_SEPARATORS.sub(" ", skill).strip() for skill in metadata.skills)
    return {
        "id": row.seed.id,
        "instruction": row.seed.instruction,
        "use_case": metadata.use_case,
        "skills": skills,
        "corrected": "",
    }
