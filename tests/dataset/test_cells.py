"""Cells of a table that people open in a spreadsheet: none runs, and each is read back as the text it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.dataset.cells import as_cell, csv_table, from_cell

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "'=1", "''@x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert as_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a = b", "'quoted' first", "1 + 1", "Ünïcode"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert as_cell(text) == text


@given(st.text() | st.lists(st.sampled_from("'=+-@\t\r\nx")).map("".join))
def test_each_cell_is_read_back(text: str) -> None:
    assert from_cell(as_cell(text)) == text


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.sampled_from(FORMULAS)}), max_size=4))
def test_a_table_is_read_back_and_has_no_formula(rows: list[dict[str, str]]) -> None:
    text = csv_table(("a", "b"), rows).decode("utf-8-sig", "surrogatepass")
    header, *cells = csv.reader(io.StringIO(text, newline=""))
    assert header == ["a", "b"]
    assert [dict(zip(header, map(from_cell, row), strict=True)) for row in cells] == rows
    assert not any(cell[:1] in tuple("=+-@\t\r\n") and cell for row in cells for cell in row)
