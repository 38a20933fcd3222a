"""Texts in the cells of a table that a spreadsheet may open.

Contract. A cell that a spreadsheet would run as a formula gets an apostrophe in front, and loses it when it is read:
``from_cell(as_cell(text)) == text`` for every text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence

_DANGEROUS = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def as_cell(text: str) -> str:
    """The text as a spreadsheet shows it and runs nothing."""
    return "'" + text if _DANGEROUS.match(text) else text


def from_cell(cell: str) -> str:
    """The text that :func:`as_cell` made the cell from."""
    return cell[1:] if cell[:1] == "'" and _DANGEROUS.match(cell) else cell


def csv_table(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    """The rows as CSV (RFC 4180) with a byte order mark, by which spreadsheets know UTF-8. No cell is a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([as_cell(row[column]) for column in columns] for row in rows)
    return out.getvalue().encode("utf-8-sig", "surrogatepass")
