"""A damaged journal: refused before a call is paid for twice, saved as far as it can be read, never a crash."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.running import SimulatorProcess, codeclm, manifest, same_bytes, simulator_process, write_config

from codeclm import recover as recover_module
from codeclm import run_directory, sqlite_pages
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping, load
from codeclm.errors import JournalError, RunDirectoryError
from codeclm.journal import CallTotal, Journal, as_row, endpoint_key, recorded_totals
from codeclm.journal_check import open_journal
from codeclm.ledger import Ledger
from codeclm.records import Completion, Usage
from codeclm.recover import recover

WAL = "journal.sqlite-wal"


class Files:
    """A journal's bytes, its calls (key, reply), and what a manifest says of them."""

    def __init__(self, database: bytes, log: bytes, calls: dict[bytes, bytes], manifest: bytes) -> None:
        self.database = database
        self.log = log
        self.calls = calls
        self.manifest = manifest

    def write(self, folder: Path, database: bytes | None = None, log: bytes | None = None) -> None:
        """A run directory of these files, some of them damaged."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "journal.sqlite").write_bytes(self.database if database is None else database)
        log = self.log if log is None else log
        if log:
            (folder / WAL).write_bytes(log)
        (folder / "manifest.json").write_bytes(self.manifest)


def files_of(folder: Path, *, killed: bool, calls: int = 60, checkpoint: int = 25) -> Files:
    """A journal with replies of many lengths; ``killed`` leaves the last of them in the log, as a kill does."""

    async def fill(journal: Journal) -> None:
        rng = random.Random(3)
        for number in range(calls):
            reply = rng.randbytes(rng.choice([10, 300, 1500, 2500, 9000])).hex()
            completion = Completion(reply, usage=Usage(number, 7), latency=float(number))
            filed = journal.put(number.to_bytes(16), completion, stage=f"stage {number % 3}", model="m")
            await asyncio.shield(filed)
            if number == checkpoint:
                journal.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    folder.mkdir()
    path = folder / "journal.sqlite"
    with Journal(path) as journal:
        asyncio.run(fill(journal))
        journal.remember(b"e" * 20, {"seed": True})
        totals = [as_row(total) for total in journal.totals()]
        found: dict[bytes, bytes] = dict(journal.rows("SELECT key, reply FROM calls"))
        if killed:
            database, log = path.read_bytes(), (folder / WAL).read_bytes()
            assert log
    if not killed:
        database, log = path.read_bytes(), b""
    return Files(database, log, found, json.dumps({"state": "running", "calls": totals}).encode())


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files_of(tmp_path_factory.mktemp("recover") / "closed", killed=False)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return files_of(tmp_path_factory.mktemp("recover") / "killed", killed=True)


def config_of(folder: Path) -> RunConfig:
    """A config whose run is in ``folder``."""
    models = {name: {"model": name, "base_url": "http://127.0.0.1:1/v1"} for name in ("strong", "target")}
    return from_mapping({"seeds": "seeds.jsonl", "run_dir": str(folder), "models": models}, folder=folder)


def begin(folder: Path) -> None:
    """Open the journal as a run does."""
    with open_journal(config_of(folder)):
        pass


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a run directory without the locks."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


def replies_in(path: Path) -> dict[bytes, bytes]:
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT key, reply FROM calls"))


def opens(folder: Path, calls: Iterable[bytes] = ()) -> bool:
    """Whether a run may begin and replay ``calls``; if not, the message names the remedy."""
    try:
        with open_journal(config_of(folder)) as journal:
            return None not in map(journal.get, calls)
    except JournalError as error:
        said = str(error)
    assert f"`codeclm recover {folder}`" in said
    return False


def check_recovered(files: Files, folder: Path, readable: bytes) -> int:
    """Recover ``folder`` and hold it against what was there; the number of calls saved."""
    recovered = recover(folder)
    there = replies_in(folder / "journal.sqlite")
    assert there.items() <= files.calls.items()
    # Every reply that can be seen whole in the damaged bytes is saved (longer ones lie scattered over pages).
    assert {key for key, reply in files.calls.items() if reply in readable} <= there.keys()
    saved, lost = (sum(total.calls for total in totals) for totals in (recovered.saved, recovered.lost))
    assert saved == len(there)
    assert saved + lost == len(files.calls)
    assert opens(folder, there)
    assert recover(folder).lost == ()  # settled: from now on the manifest counts what there is
    return saved


# Reading pages


@settings(max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 30_000), max_size=30),
    page=st.sampled_from([512, 1024, 4096, 65536]),
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text() | st.none(), min_size=1),
)
def test_every_row_of_a_whole_file_is_read_as_sqlite_reads_it(
    sizes: list[int], page: int, numbers: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "pages.sqlite"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA page_size = {page}")
        db.execute("CREATE TABLE t (number, content)")
        given_rows = [(numbers[n % len(numbers)], os.urandom(size)) for n, size in enumerate(sizes)]
        db.executemany("INSERT INTO t VALUES (?, ?)", given_rows)
    with closing(sqlite3.connect(path)) as db:
        expected = list(db.execute("SELECT number, content FROM t"))
    found = [row for row in sqlite_pages.rows(path.read_bytes()) if len(row) == 2]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@given(database=st.binary(max_size=3000), log=st.binary(max_size=3000), leaf=st.booleans())
def test_no_bytes_are_too_bad_to_be_looked_at(database: bytes, log: bytes, leaf: bool) -> None:
    list(sqlite_pages.rows(database, log))
    list(sqlite_pages.rows(b"\x0d\0\0" + database, b"7\x7f\x06\x82" + log))
    if leaf:
        list(sqlite_pages.rows(b"SQLite format 3\0\x02\0" + bytes(82) + b"\x0d\0\0\0\x20" + database, log))


@given(data=st.data())
def test_no_journal_is_damaged_too_badly_to_be_looked_at(data: st.DataObject, killed: Files) -> None:
    database, log = bytearray(killed.database), bytearray(killed.log)
    for content in (database, log):
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=20)):
            content[at] ^= data.draw(st.integers(1, 255))
    found = {row[0]: row[-1] for row in sqlite_pages.rows(bytes(database), bytes(log)) if recover_module._table(row)}
    assert {key: reply for key, reply in found.items() if key in killed.calls} != {}


# Cut off anywhere


@settings(max_examples=50)
@given(share=st.floats(0, 1))
def test_cut_off_anywhere_it_is_refused_and_what_can_be_read_is_saved(
    share: float, closed: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "cut"
    cut = closed.database[: round(share * len(closed.database))]
    closed.write(folder, cut)
    assert opens(folder, closed.calls) == (cut == closed.database)
    closed.write(folder, cut)
    check_recovered(closed, folder, cut)


@settings(max_examples=50)
@given(database=st.floats(0, 1), log=st.floats(0, 1), which=st.sampled_from(["database", "log", "both"]))
def test_cut_off_with_a_log_it_is_refused_and_what_can_be_read_is_saved(
    database: float, log: float, which: str, killed: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "cut-with-log"
    left = killed.database[: round(database * len(killed.database))] if which != "log" else killed.database
    left_log = killed.log[: round(log * len(killed.log))] if which != "database" else killed.log
    killed.write(folder, left, left_log)
    before = contents(folder)
    if opens(folder, killed.calls):
        assert replies_in(folder / "journal.sqlite") == killed.calls
    elif not left:
        assert contents(folder) == before
    killed.write(folder, left, left_log)
    check_recovered(killed, folder, left + left_log)


@settings(max_examples=50)
@given(data=st.data())
def test_torn_pages_lose_only_their_own_calls(
    data: st.DataObject, closed: Files, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "torn"
    torn = bytearray(closed.database)
    for number in data.draw(st.sets(st.integers(0, len(torn) // 4096 - 1), min_size=1, max_size=8)):
        torn[number * 4096 : (number + 1) * 4096] = data.draw(st.sampled_from([bytes(4096), b"\xff" * 4096]))
    closed.write(folder, bytes(torn))
    if opens(folder, closed.calls):
        assert replies_in(folder / "journal.sqlite") == closed.calls
    closed.write(folder, bytes(torn))
    check_recovered(closed, folder, bytes(torn))


@pytest.mark.parametrize("number", range(1, 8))
def test_a_kill_while_it_recovers_loses_nothing(
    number: int, killed: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    killed.write(folder, killed.database[:100_000])
    killed.write(tmp_path / "other", killed.database[:100_000])
    expected = recover(tmp_path / "other")
    left = number
    replace, copyfile = os.replace, shutil.copyfile

    class Killed(BaseException):
        pass

    def dying(original: Any) -> Any:
        def step(*args: Any) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed
            original(*args)

        return step

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying(replace))
        patch.setattr(shutil, "copyfile", dying(copyfile))
        try:
            recover(folder)
        except Killed:
            assert not opens(folder) or not recover(folder).lost
    again = recover(folder)
    assert again.saved == expected.saved
    assert replies_in(folder / "journal.sqlite").keys() == replies_in(tmp_path / "other" / "journal.sqlite").keys()
    assert opens(folder)


# Empty, missing, foreign


@pytest.mark.parametrize("content", [None, b""])
def test_a_journal_that_is_gone_is_not_paid_for_again_in_silence(
    content: bytes | None, killed: Files, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    killed.write(folder, b"")
    if content is None:
        (folder / "journal.sqlite").unlink()
    with pytest.raises(JournalError, match=r"the journal is (empty|missing), though manifest.json counts 60 calls"):
        begin(folder)
    assert recorded_totals(folder / "journal.sqlite") == []
    assert (folder / WAL).read_bytes() == killed.log
    assert check_recovered(killed, folder, killed.log) > 20


def test_a_log_without_its_journal_is_refused_even_without_a_manifest(killed: Files, tmp_path: Path) -> None:
    killed.write(tmp_path / "run", b"")
    (tmp_path / "run" / "manifest.json").unlink()
    with pytest.raises(JournalError, match="is empty, and has left a log"):
        begin(tmp_path / "run")
    recovered = recover(tmp_path / "run")
    assert not recovered.counted
    assert sum(total.calls for total in recovered.saved) > 20


def test_fewer_calls_than_the_manifest_counts_are_told(closed: Files, tmp_path: Path) -> None:
    closed.write(tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as db, db:
        db.execute("DELETE FROM calls WHERE rowid > 40")
    with pytest.raises(JournalError, match=r"holds 40 calls, though manifest.json counts 60"):
        begin(tmp_path / "run")


def test_a_whole_journal_is_left_as_it_is(killed: Files, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    killed.write(folder)
    recovered = recover(folder)
    assert recovered.damaged is None
    assert recovered.lost == ()
    assert sum(total.calls for total in recovered.saved) == 60
    assert (folder / "journal.sqlite").read_bytes() == killed.database
    assert (folder / WAL).read_bytes() == killed.log
    assert not list(folder.glob("*.damaged*"))
    assert not list(folder.glob(".recover-*"))


def test_a_second_damage_keeps_both_damaged_files(closed: Files, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    closed.write(folder, closed.database[:100_000])
    first = recover(folder)
    os.truncate(folder / "journal.sqlite", 20_000)
    second = recover(folder)
    assert first.damaged == folder / "journal.sqlite.damaged"
    assert second.damaged == folder / "journal.sqlite.damaged.2"
    assert second.saved == first.saved  # the first damaged file still has them
    assert second.lost == ()


def test_a_folder_that_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(RunDirectoryError, match="no run here"):
            recover(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_where_a_run_is_at_work_is_refused(closed: Files, tmp_path: Path) -> None:
    closed.write(tmp_path / "run")
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(RunDirectoryError, match="another run is at work"):
        recover(tmp_path / "run")


def test_without_room_nothing_is_changed(closed: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    closed.write(folder, closed.database[:100_000])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JournalError, match=r"No space left on device.*Make room"):
            recover(folder)
    assert (folder / "journal.sqlite").read_bytes() == closed.database[:100_000]
    assert sorted(contents(folder)) == ["journal.sqlite", "manifest.json"]


# What else the journal holds


def test_recovering_knows_every_table_of_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        tables = dict(journal.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        columns = {table: len(journal.rows(f"PRAGMA table_info({table})")) for table in tables}
    assert {table: len(shape) for table, shape in recover_module._SHAPES.items()} == columns


def damaged_run(folder: Path) -> Path:
    """A run directory with spending, faults and batches in its journal, whose last third is then cut off."""
    config = write_config(folder, "http://127.0.0.1:1/v1")
    run = folder / "run"
    run.mkdir()
    loaded = load(config)
    run_directory.write_config(run, loaded)
    strong, target = (endpoint_key(model) for model in (loaded.models.strong, loaded.models.target))

    async def fill(journal: Journal) -> None:
        for number in range(60):
            completion = Completion(os.urandom(1000).hex(), usage=Usage(10, 5))
            model = "strong" if number % 2 else "target"
            await asyncio.shield(journal.put(number.to_bytes(16), completion, stage="judge", model=model))

    with Journal(run / "journal.sqlite") as journal:
        spending = "INSERT INTO spending VALUES (?,?,?,?,?,?,?,?,?,?,?)"
        journal.execute(
            (spending, (strong, "strong", 50, 400, 300, 70, 60, 50, 40, 3, 2)),
            ("INSERT INTO faults VALUES (?,?,?)", ("strong", "server", 4)),
            ("INSERT INTO batches VALUES (?,?,?,?,?,?)", ("open", strong, "strong", "file-1", "batch-1", 1.0)),
            ("INSERT INTO batch_calls VALUES (?,?,?,?,?)", (b"b" * 16, "open", "judge", 9, 8)),
            ("INSERT INTO batches VALUES (?,?,?,?,?,?)", ("read", strong, "strong", "file-2", "batch-2", 2.0)),
            ("INSERT INTO batch_calls VALUES (?,?,?,?,?)", (bytes(16), "read", "judge", 9, 8)),
        )
        asyncio.run(fill(journal))
        totals = [as_row(total) for total in journal.totals()]
    run_directory.write_manifest(run, {"state": "killed", "calls": totals})
    path = run / "journal.sqlite"
    os.truncate(path, path.stat().st_size * 2 // 3)
    assert target not in path.read_bytes()
    return run


def test_what_was_spent_is_kept_and_never_less_than_what_the_manifest_counted(tmp_path: Path) -> None:
    run = damaged_run(tmp_path)
    models = load(tmp_path / "config.yaml").models
    recovered = recover(run)
    assert 0 < sum(total.calls for total in recovered.lost) < 60
    with open_journal(config_of(run)) as journal:
        ledger = Ledger(journal)
    strong, target = (ledger.accounts[endpoint_key(model)] for model in (models.strong, models.target))
    assert (strong.requests, strong.charged, strong.excess) == (50, Usage(400, 300), Usage(3, 2))
    assert strong.unknown == Usage(120, 100)
    assert (target.requests, target.charged) == (30, Usage(300, 150))  # had no row; 30 calls were counted
    assert ledger.faults == {("strong", "server"): 4}


def test_batches_under_way_are_kept_and_those_that_were_read_are_not(tmp_path: Path) -> None:
    run = damaged_run(tmp_path)
    recover(run)
    with open_journal(config_of(run)) as journal:
        assert journal.rows("SELECT token, id, input_file FROM batches") == [("open", "batch-1", "file-1")]
        assert journal.rows("SELECT * FROM batch_calls") == [(b"b" * 16, "open", "judge", 9, 8)]


def test_the_newest_of_several_versions_counts(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    (tmp_path / "manifest.json").write_text('{"state": "killed", "calls": []}')
    with Journal(path) as journal:
        spending = "INSERT OR REPLACE INTO spending VALUES (?,?,?,?,?,?,?,?,?,?,?)"
        for number in range(1, 30):
            journal.execute(
                (spending, (b"e" * 16, "m", number, number, number, 0, 0, 100 - number, 100 - number, 0, 0)),
                ("INSERT OR REPLACE INTO faults VALUES (?,?,?)", ("m", "rate", number)),
            )
        database, log = path.read_bytes(), (tmp_path / WAL).read_bytes()
    path.write_bytes(database[:5000])
    (tmp_path / WAL).write_bytes(log)
    recover(tmp_path)
    with Journal(path) as journal:
        assert journal.rows("SELECT * FROM spending") == [(b"e" * 16, "m", 29, 29, 29, 0, 0, 71, 71, 0, 0)]
        assert journal.rows("SELECT * FROM faults") == [("m", "rate", 29)]


# A whole run


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process() as running:
        yield running


@pytest.fixture(scope="module")
def finished(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    done = codeclm("run", write_config(folder, simulator.base_url, size=10))
    assert done.status == 0, done
    return folder


@pytest.mark.parametrize("share", [0.31, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.77))])
def test_a_run_whose_journal_was_cut_off_pays_again_for_nothing_but_what_was_lost(
    share: float, simulator: SimulatorProcess, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    config, run = tmp_path / "config.yaml", tmp_path / "run"
    path = run / "journal.sqlite"
    os.truncate(path, round(share * path.stat().st_size))
    simulator.reset()
    refused = codeclm("run", config)
    assert refused.status == 1
    assert f"codeclm recover {run}" in refused.error
    assert "Traceback" not in refused.err
    shown = codeclm("status", run)
    assert shown.status == 0
    assert "can be read" in " ".join(shown.out.split())
    told = codeclm("recover", run)
    assert told.status == 0, told
    assert "journal.sqlite.damaged" in told.out
    assert "calls lost" in told.out
    recorded = sum(total.calls for total in recorded_totals(path))
    lost = sum(row["calls"] for row in manifest(finished / "run")["calls"]) - recorded
    assert f"Lost: {lost:,} of {lost + recorded:,} calls" in told.out
    assert simulator.stats()["calls"] == 0
    done = codeclm("run", config)
    assert done.status == 0, done
    assert 0 < simulator.stats()["calls"] <= lost
    assert same_bytes([run, finished / "run"])
    assert codeclm("recover", run, "--json").status == 0


def test_a_journal_that_was_deleted_is_told_as_such(
    simulator: SimulatorProcess, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (tmp_path / "run" / "journal.sqlite").unlink()
    simulator.reset()
    refused = codeclm("run", tmp_path / "config.yaml")
    assert refused.status == 1
    assert "the journal is missing" in refused.error
    assert simulator.stats()["calls"] == 0
    event = json.loads(codeclm("recover", tmp_path / "run", "--json").out)
    assert event["saved"] == []
    assert event["lost"] == manifest(finished / "run")["calls"]
    assert [CallTotal(**row) for row in event["lost"]]
    assert codeclm("run", tmp_path / "config.yaml").status == 0
    assert same_bytes([tmp_path / "run", finished / "run"])
