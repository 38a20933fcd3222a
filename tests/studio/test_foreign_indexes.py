"""Indexes and journals that somebody else put into a run directory: they are not believed, and not waited for."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.studio.indexed_runs import indexed
from tests.studio.outcome_runs import KEPT, outcomes_run
from tests.studio.served import studio

from codeclm.errors import RunDirectoryError
from codeclm.journal_file import APPLICATION_ID, STEPS
from codeclm.studio.filters import Filter
from codeclm.studio.index import Index, IndexBroken, open_index
from codeclm.studio.index_keeping import NAME as INDEX
from codeclm.studio.indexing import signature_of

KEPT_ID = KEPT[0].id
WITHIN = 10.0  # seconds: no page takes one


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW extra AS SELECT 1",
        "CREATE TRIGGER extra AFTER INSERT ON names BEGIN SELECT 1; END",
        "DROP TABLE names; CREATE VIEW names AS SELECT 0 AS number, '' AS name",
        "ALTER TABLE outcomes ADD COLUMN extra AS (zeroblob(1000000000))",
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 99",
        "UPDATE built_of SET size = 1",
    ],
)
def test_an_index_that_is_not_ours_is_not_believed(tmp_path: Path, statement: str) -> None:
    run = outcomes_run(tmp_path / "one")
    indexed(run).close()
    with closing(sqlite3.connect(run / INDEX)) as db:
        db.executescript(statement)
    assert open_index(run / INDEX, run, signature_of(run)) is None


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE outcomes SET length = {2**45}",
        f"UPDATE outcomes SET start = {2**62}, length = {2**62}",
        "UPDATE outcomes SET start = -5",
        "UPDATE outcomes SET length = 'long'",
        "UPDATE outcomes SET file = 77",
        "UPDATE outcomes SET kind = 99",
        f"UPDATE outcomes SET row = row + {2**40}",
    ],
)
def test_an_index_with_wrong_places_is_told_as_broken(tmp_path: Path, statement: str) -> None:
    run = outcomes_run(tmp_path / "one")
    indexed(run).close()
    with closing(sqlite3.connect(run / INDEX)) as db:
        db.executescript(statement)
    index = open_index(run / INDEX, run, signature_of(run))
    with pytest.raises((IndexBroken, RunDirectoryError)):
        all_of(index)


def all_of(index: Index | None) -> None:
    """Read all that an index tells, if it was believed."""
    if index is None:
        raise IndexBroken("not believed")
    index.page(Filter(), "slot", offset=0, limit=10)
    index.facets(Filter())


def test_an_unfinished_index_is_not_written_through_a_link(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    mine = tmp_path / "mine.sqlite"
    (run / f"{INDEX}.{os.getpid()}.unfinished").symlink_to(mine)
    indexed(run).close()
    assert not mine.exists()


def journal_with(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA application_id = {APPLICATION_ID}; {';'.join(STEPS)}; PRAGMA user_version = 3;")
        db.executescript(statement)


async def test_a_journal_that_computes_without_end_is_not_asked(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS key FROM n"
    journal_with(run / "journal.sqlite", f"DROP TABLE calls; CREATE VIEW calls AS {endless}")
    async with studio(tmp_path) as browser, asyncio.timeout(WITHIN):
        page = await browser.get(f"/runs/one/outcomes/{KEPT_ID}/calls")
    assert "views or triggers" in page.text


async def test_seeds_that_never_end_are_not_read(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one", seeds="/dev/zero")
    journal_with(run / "journal.sqlite", "")
    async with studio(tmp_path) as browser, asyncio.timeout(WITHIN):
        page = await browser.get(f"/runs/one/outcomes/{KEPT_ID}/calls")
    assert "is no plain file" in page.text
