"""The journal on a real disk: what is filed comes back, survives kill -9, and anything wrong has a remedy."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm import journal_file
from codeclm.config_models import ModelConfig
from codeclm.errors import JournalError
from codeclm.journal import CallTotal, Journal, call_key, endpoint_key, recorded_totals
from codeclm.records import Completion, FinishReason, Message, Request, Schema, Usage

MakeModel = Callable[..., ModelConfig]

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_tokens = st.integers(0, 2**40)
_finish: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "content_filter"])
_completions = st.builds(
    Completion, _texts, _finish, st.builds(Usage, _tokens, _tokens), _texts, _texts, st.floats(0, 1e6)
)


def _key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _rows(path: Path) -> int:
    """How many calls another connection sees in the file."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM calls").fetchone()[0])


async def _put(journal: Journal, number: int, completion: Completion, stage: str = "s", model: str = "m") -> None:
    await journal.put(_key(number), completion, stage=stage, model=model)


# What is filed comes back


@given(completions=st.lists(_completions, max_size=5), stage=_texts, model=_texts)
def test_what_is_filed_comes_back_exactly(
    completions: list[Completion], stage: str, model: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def file_all(journal: Journal) -> None:
        await asyncio.gather(*(_put(journal, n, one, stage, model) for n, one in enumerate(completions)))

    path = tmp_path_factory.getbasetemp() / "round_trip.sqlite"
    with Journal(path) as journal:
        asyncio.run(file_all(journal))
        assert [journal.get(_key(number)) for number in range(len(completions))] == completions
    with Journal(path) as journal:
        assert [journal.get(_key(number)) for number in range(len(completions))] == completions


def test_a_call_never_made_is_not_there(journal: Journal) -> None:
    assert journal.get(_key(1)) is None


async def test_filing_again_replaces(journal: Journal) -> None:
    await _put(journal, 1, Completion("old"))
    await _put(journal, 1, Completion("new"))
    assert journal.get(_key(1)) == Completion("new")


async def test_what_was_learnt_of_an_endpoint_comes_back(journal: Journal) -> None:
    assert journal.traits(b"e") is None
    journal.remember(b"e", {"seed": True})
    journal.remember(b"e", {"seed": False, "x": "ü"})
    assert journal.traits(b"e") == {"seed": False, "x": "ü"}
    assert journal.traits(b"f") is None


async def test_totals_are_summed_by_stage_and_model_in_order_of_appearance(journal: Journal) -> None:
    assert journal.totals() == []
    for number, (stage, model) in enumerate([("encode", "s"), ("judge", "s"), ("encode", "s"), ("encode", "t")]):
        await _put(journal, number, Completion("x", usage=Usage(10, number), latency=0.5), stage, model)
    assert journal.totals() == [
        CallTotal("encode", "s", 2, 20, 2, 1.0),
        CallTotal("judge", "s", 1, 10, 1, 0.5),
        CallTotal("encode", "t", 1, 10, 3, 0.5),
    ]


# Keys: everything that can change the answer, and nothing else

REQUEST = Request((Message("system", "be kind"), Message("user", "hi")), 0.7, Schema("n", {"type": "object"}), 1, 2)


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, messages=REQUEST.messages[1:]),
        replace(REQUEST, messages=REQUEST.messages[::-1]),
        replace(REQUEST, messages=(Message("user", "be kind"), Message("user", "hi"))),
        replace(REQUEST, messages=(Message("system", "be kindhi"), Message("user", ""))),
        replace(REQUEST, messages=(Message("system", "be kind"), Message("user", "hi "))),
        replace(REQUEST, temperature=0.71),
        replace(REQUEST, schema=None),
        replace(REQUEST, schema=Schema("n", {"type": "array"})),
        replace(REQUEST, sample=2),
        replace(REQUEST, attempt=1),
        replace(REQUEST, sample=2, attempt=1),
    ],
)
def test_what_can_change_the_answer_changes_the_key(changed: Request) -> None:
    assert call_key(b"e", changed) != call_key(b"e", REQUEST)


def test_the_stage_and_the_order_of_a_schemas_keys_do_not() -> None:
    assert call_key(b"e", replace(REQUEST, stage="judge")) == call_key(b"e", REQUEST)
    one, other = Schema("n", {"a": 1, "b": {"c": 2, "d": 3}}), Schema("n", {"b": {"d": 3, "c": 2}, "a": 1})
    assert call_key(b"e", replace(REQUEST, schema=one)) == call_key(b"e", replace(REQUEST, schema=other))


def test_the_endpoint_changes_the_key() -> None:
    assert call_key(b"e", REQUEST) != call_key(b"f", REQUEST)


@given(contents=st.lists(_texts, max_size=4), others=st.lists(_texts, max_size=4))
def test_two_requests_share_a_key_only_if_they_are_equal(contents: list[str], others: list[str]) -> None:
    one, other = (Request(tuple(Message("user", text) for text in texts), 0.0) for texts in (contents, others))
    assert (call_key(b"e", one) == call_key(b"e", other)) == (contents == others)


def test_a_key_is_the_same_in_every_version() -> None:
    assert call_key(bytes(16), REQUEST).hex() == "e081ca3171b7a1f111a75a8c0bae1e34"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"base_url": "http://elsewhere/v1"},
        {"api": "completions"},
        {"max_tokens": 1},
        {"extra_body": {"top_p": 0.5}},
        {"headers": {"X": "y"}},
        {"identity": "http://elsewhere/v1"},
    ],
)
def test_what_goes_with_every_request_changes_the_endpoints_key(model: MakeModel, change: dict[str, Any]) -> None:
    assert endpoint_key(model(**change)) != endpoint_key(model())


@pytest.mark.parametrize(
    "change",
    [
        {"timeout": 1},
        {"max_in_flight": 1},
        {"retries": 0},
        {"api_key_env": "KEY"},
        {"identity": "http://127.0.0.1:1/v1"},
        {"identity": "http://127.0.0.1:1/v1", "base_url": "http://elsewhere/v1"},
        {"template": "{instruction}"},
        {"stop": ("x",)},
    ],
)
def test_how_it_is_reached_does_not(model: MakeModel, change: dict[str, Any]) -> None:
    assert endpoint_key(model(**change)) == endpoint_key(model())


@pytest.mark.parametrize("change", [{"template": "{instruction}"}, {"stop": ("x",)}])
def test_template_and_stop_count_where_they_are_sent(model: MakeModel, change: dict[str, Any]) -> None:
    assert endpoint_key(model(api="completions", **change)) != endpoint_key(model(api="completions"))


def test_an_extra_body_with_numbers_for_keys_has_a_key_too(model: MakeModel) -> None:
    one, other = ({"logit_bias": {token: -100}} for token in (50256, 50257))
    assert endpoint_key(model(extra_body=one)) != endpoint_key(model(extra_body=other))


# Commits


async def test_an_awaited_call_is_in_the_file(journal: Journal) -> None:
    await _put(journal, 1, Completion("x"))
    assert _rows(journal.path) == 1


async def test_calls_filed_in_one_turn_are_committed_together(journal: Journal) -> None:
    statements: list[str] = []
    journal._db.set_trace_callback(statements.append)
    futures = [journal.put(_key(number), Completion("x"), stage="s", model="m") for number in range(50)]
    assert _rows(journal.path) == 0
    await futures[0]
    assert _rows(journal.path) == 50
    assert all(future.done() for future in futures)
    assert statements.count("COMMIT") == 1


async def test_closing_commits_what_is_still_pending(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        committed = journal.put(_key(1), Completion("x"), stage="s", model="m")
    assert _rows(tmp_path / "j") == 1
    await committed


async def test_a_waiter_that_gives_up_takes_nothing_from_the_others(journal: Journal) -> None:
    waiters = [asyncio.create_task(_put(journal, number, Completion("x"))) for number in range(2)]
    await asyncio.sleep(0)
    waiters[0].cancel()
    await waiters[1]
    assert _rows(journal.path) == 2


async def test_a_call_that_cannot_be_filed_fails_alone(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        with pytest.raises(JournalError):
            async with asyncio.timeout(0.2):
                await _put(journal, 1, Completion("x", usage=Usage(2**63, 0)))
        await _put(journal, 2, Completion("y"))
        assert _rows(journal.path) == 1


WRITER = """
import asyncio, sys
from pathlib import Path
from codeclm.journal import Journal
from codeclm.records import Completion

async def write():
    for number in range(10**9):
        for call in range(3 * number, 3 * number + 3):
            committed = journal.put(call.to_bytes(16, "big"), Completion(f"text {call}"), stage="s", model="m")
        await asyncio.shield(committed)
        print(3 * number + 2, flush=True)

with Journal(Path(sys.argv[1])) as journal:
    asyncio.run(write())
"""


def test_every_awaited_call_survives_kill_9(tmp_path: Path) -> None:
    path, last = tmp_path / "journal.sqlite", -1
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            for line in writer.stdout:
                if (last := int(line)) >= 200:
                    writer.kill()
                    break
            # What it managed to say before it died counts as well.
            last = max([last, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        with Journal(path) as journal:
            assert all(journal.get(_key(number)) == Completion(f"text {number}") for number in range(last + 1))
            assert _rows(path) % 3 == 0


# A full disk


@contextmanager
def _full(journal: Journal) -> Iterator[None]:
    """No page more for this file, as on a full disk."""
    limit = journal._db.execute("PRAGMA max_page_count").fetchone()[0]
    journal._db.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size for less
    yield
    journal._db.execute(f"PRAGMA max_page_count = {limit}")


LARGE = Completion(os.urandom(20_000).hex())


async def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        with _full(journal):
            for number in range(2):
                with pytest.raises(JournalError, match=r"j: can't write .*Make room on the disk and run again"):
                    await _put(journal, number, LARGE)
        await _put(journal, 2, LARGE)
        assert _rows(journal.path) == 3
    with Journal(tmp_path / "j") as journal:
        assert [journal.get(_key(number)) for number in range(3)] == [LARGE] * 3


async def test_everyone_who_waits_learns_of_a_full_disk(journal: Journal) -> None:
    with _full(journal):
        results = await asyncio.gather(*(_put(journal, n, LARGE) for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [JournalError] * 3


async def test_closing_writes_what_did_not_fit_before(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal, _full(journal), pytest.raises(JournalError):
        await _put(journal, 1, LARGE)
    assert _rows(tmp_path / "j") == 1


async def test_closing_on_a_full_disk_is_told_and_closes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal._db.execute("PRAGMA max_page_count = 1")
    committed = journal.put(_key(1), LARGE, stage="s", model="m")
    with pytest.raises(JournalError, match="can't write"):
        journal.__exit__()
    with pytest.raises(JournalError, match="closed"):
        journal.get(_key(1))
    with pytest.raises(JournalError):
        await committed


# Files that are no journal


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()


def _garbage(path: Path) -> None:
    path.write_bytes(b"not a database, " * 500)


def _foreign(path: Path) -> None:
    with _database(path) as db:
        db.execute("CREATE TABLE somebody_elses (x)")


def _another_programs(path: Path) -> None:
    with _database(path) as db:
        db.execute("PRAGMA application_id = 7")
        db.execute("PRAGMA user_version = 1")


def _newer(path: Path) -> None:
    with Journal(path):
        pass
    with _database(path) as db:
        db.execute("PRAGMA user_version = 999")


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_garbage, "not a readable journal .*`codeclm recover .*` saves what can be read"),
        (_foreign, "not a codeclm journal. Choose another run_dir"),
        (_another_programs, "not a codeclm journal. Choose another run_dir"),
        (_newer, "written by a newer codeclm .journal version 999, .* Upgrade codeclm"),
        (_folder, "Check that the folder exists"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(JournalError, match=f"journal.sqlite: .*{said}"):
        Journal(path)
    assert before is None or path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"journal.sqlite: .*Check that the folder exists"):
        Journal(tmp_path / "gone" / "journal.sqlite")


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder with a journal that may be read and not written, also where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Journal(folder / "journal.sqlite"):
            pass
        (folder / "journal.sqlite").chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.parametrize("name", ["journal.sqlite", "new.sqlite"])
def test_a_folder_that_may_not_be_written_is_told(read_only_folder: Path, name: str) -> None:
    with pytest.raises(JournalError, match=rf"{name}: .*(readonly|unable to open).*that you may write in it"):
        Journal(read_only_folder / name)


@pytest.mark.parametrize("size", [50, 100, 1000, 4096, 10_000, 50_000])
async def test_a_torn_file_is_told_and_never_a_crash(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        for number in range(200):
            await _put(journal, number, Completion(os.urandom(500).hex()))
    os.truncate(path, size)

    def read_all() -> None:
        with Journal(path) as journal:
            for number in range(200):
                journal.get(_key(number))

    with pytest.raises(JournalError, match="not a readable journal"):
        read_all()


@pytest.mark.parametrize("reply", [b"", b"torn", b"\x78\x01"])
async def test_a_torn_record_is_told_and_not_paid_for_again_in_silence(journal: Journal, reply: bytes) -> None:
    await _put(journal, 1, Completion("x"))
    journal._db.execute("UPDATE calls SET reply = ?", (reply,))
    with pytest.raises(JournalError, match=r"the record of a call is damaged. `codeclm recover "):
        journal.get(_key(1))
    await _put(journal, 1, Completion("y"))
    assert journal.get(_key(1)) == Completion("y")


def test_traits_that_are_torn_are_learnt_again(journal: Journal) -> None:
    journal.remember(b"e", {"seed": True})
    journal.execute(("UPDATE endpoints SET traits = ?", (b'{"se',)))
    assert journal.traits(b"e") is None


async def test_a_journal_that_another_program_holds_is_told(journal: Journal) -> None:
    journal._db.execute("PRAGMA busy_timeout = 0")
    with _database(journal.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="another program holds it"):
            await _put(journal, 1, Completion("x"))
    await _put(journal, 2, Completion("y"))
    assert _rows(journal.path) == 2


# Migration


def test_a_journal_that_was_only_just_begun_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with _database(path) as db:
        db.execute(f"PRAGMA application_id = {journal_file.APPLICATION_ID}")
    with Journal(path) as journal:
        assert journal.totals() == []
    with _database(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(journal_file.STEPS),)


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "j").touch()
    with Journal(tmp_path / "j") as journal:
        assert journal.totals() == []


async def test_an_older_journal_keeps_its_calls_through_a_later_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "j") as journal:
        await _put(journal, 1, Completion("x"))
    step = "CREATE TABLE later (x); INSERT INTO later VALUES (1)"
    monkeypatch.setattr(journal_file, "STEPS", (*journal_file.STEPS, step))
    for _ in range(2):
        with Journal(tmp_path / "j") as journal:
            assert journal.get(_key(1)) == Completion("x")
            assert journal._db.execute("SELECT count(*) FROM later").fetchone() == (1,)


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path / "j"):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(journal_file, "STEPS", (*journal_file.STEPS, "CREATE TABLE half (x); NONSENSE"))
        with pytest.raises(JournalError):
            Journal(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'half'").fetchone() == (0,)


async def test_a_flipped_bit_in_a_reply_is_noticed(tmp_path: Path) -> None:
    text = "the quick brown fox jumps over the lazy dog, again and again; " * 5
    with Journal(tmp_path / "j") as journal:
        await _put(journal, 1, Completion(text))
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        key, reply = db.execute("SELECT key, reply FROM calls").fetchone()
    seen = set()
    for bit in range(0, 8 * len(reply), 3):
        flipped = bytearray(reply)
        flipped[bit // 8] ^= 1 << bit % 8
        with closing(sqlite3.connect(tmp_path / "j")) as db, db:
            db.execute("UPDATE calls SET reply = ?", (bytes(flipped),))
        with Journal(tmp_path / "j") as journal:
            try:
                found = journal.get(key)
                seen.add(found.text if found else None)
            except JournalError:
                seen.add(None)
    assert seen <= {None, text}


async def test_totals_are_the_same_counted_along_and_counted_anew(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        assert journal.totals() == []
        for number in range(5):
            await _put(journal, number, Completion("x", usage=Usage(number, 2), latency=0.5))
        along = journal.totals()
        assert along == recorded_totals(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert journal.totals() == along
    assert recorded_totals(tmp_path / "nowhere") == []
