"""The studio's index: held against going through all outcomes one by one."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.studio.indexed_runs import indexed, iteration, outcome, write_outcomes

from codeclm import edits, run_directory
from codeclm.dataset.export import reselect
from codeclm.dataset.outcomes import example_row
from codeclm.edits import Edit
from codeclm.errors import RunDirectoryError
from codeclm.records import Metadata, Outcome, Status
from codeclm.studio.facts import facts_of
from codeclm.studio.filters import SORTS, Filter, asked_of, query_of
from codeclm.studio.index import Index, IndexBroken, open_index
from codeclm.studio.index_keeping import NAME
from codeclm.studio.indexing import VERSION, build, signature_of

USE_CASES, SKILLS = ("poems", "code, and <b>more</b>", ""), ("rhyme", "loops", "tone")
GAPS = st.none() | st.integers(-36, 36).map(lambda quarters: quarters / 4)
ITERATIONS = st.lists(st.tuples(GAPS, st.booleans()), min_size=1, max_size=4)
METADATA = st.builds(Metadata, st.sampled_from(USE_CASES), st.lists(st.sampled_from(SKILLS), unique=True).map(tuple))
ROWS = st.lists(st.tuples(st.sampled_from(get_args(Status)), ITERATIONS, METADATA), max_size=12)


def made(rows: Sequence[tuple[Status, Sequence[tuple[float | None, bool]], Metadata]]) -> list[Outcome]:
    return [
        outcome(
            f"{number // 3:06d}.{number % 3}",
            status,
            [
                # One that was only improved never passes, but for the last.
                iteration(gap, "words " * (n + number % 4), cut_off=cut, reason="improved" if n < len(times) else "")
                for n, (gap, cut) in enumerate(times, 1)
            ],
            metadata,
        )
        for number, (status, times, metadata) in enumerate(rows)
    ]


@settings(max_examples=60, deadline=None)
@given(
    rows=ROWS,
    status=st.sampled_from(["", *get_args(Status)]),
    use_case=st.sampled_from(["", *USE_CASES[:2]]),
    skill=st.sampled_from(["", *SKILLS]),
    times=st.none() | st.integers(1, 4),
    bounds=st.tuples(st.none() | st.sampled_from([0.0, 1.5, 3.0]), st.none() | st.sampled_from([2.0, 4.25])),
    sort=st.sampled_from(list(SORTS)),
    threshold=st.integers(0, 36).map(lambda quarters: quarters / 4),
)
def test_it_tells_what_going_through_all_of_them_does(rows, status, use_case, skill, times, bounds, sort, threshold):  # type: ignore[no-untyped-def]
    outcomes = made(rows)
    wanted = Filter(
        status=status, use_case=use_case, skill=skill, iterations=times, wider_than=bounds[0], up_to=bounds[1]
    )
    with tempfile.TemporaryDirectory() as folder, closing(indexed(write_outcomes(Path(folder), outcomes))) as index:
        listed = [row.facts.id for row in index.page(wanted, sort, offset=0, limit=100).rows]
        assert listed == [one.id for one in sorted(filter(fits(wanted), outcomes), key=ORDERS[sort])]
        assert index.page(wanted, sort, offset=0, limit=1).total == len(listed)
        assert list(index.ids(wanted, sort)) == listed
        facets = index.facets(wanted)
        of_skills = [
            skill for one in filter(fits(replace(wanted, skill="")), outcomes) for skill in facts_of(one).skills
        ]
        assert facets.skills == Counter(of_skills)
        of_statuses = filter(fits(replace(wanted, status="")), outcomes)
        assert facets.statuses == Counter(one.status for one in of_statuses)
        for place, id in enumerate(listed):
            beside = index.neighbours(id, wanted, sort)
            assert beside is not None
            assert beside.before == (listed[place - 1] if place else None)
            assert beside.after == (listed[place + 1] if place + 1 < len(listed) else None)
            assert (beside.place, beside.total) == (place + 1, len(listed))
        kept = [one for one in reselect(outcomes, threshold) if one.status == "kept" and one.final.comparison]
        found = index.passing(threshold)
        assert sum(one.outcomes for one in found) == len(kept)
        by_iteration: Counter[int] = Counter()
        for one in found:
            by_iteration[one.iteration] += one.outcomes
        assert by_iteration == Counter(len(one.iterations) for one in kept)
        assert sum(one.widths for one in found) == pytest.approx(sum(abs(one.final.gap or 0) for one in kept))


def fits(wanted: Filter) -> Callable[[Outcome], bool]:
    """What the filter means, put another way."""

    def one_fits(one: Outcome) -> bool:
        whole = [abs(time.gap) for time in one.iterations if time.gap and not time.decided(0).kept.truncated]
        widest = max(whole, default=None)
        metadata = one.entry.metadata
        return (
            wanted.status in ("", one.status)
            and wanted.use_case in ("", metadata.use_case)
            and (not wanted.skill or wanted.skill in metadata.skills)
            and wanted.iterations in (None, len(one.iterations))
            and (wanted.wider_than is None or (widest is not None and widest > wanted.wider_than))
            and (wanted.up_to is None or widest is None or widest <= wanted.up_to)
        )

    return one_fits


def _last(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


ORDERS: dict[str, Callable[[Outcome], Any]] = {
    "slot": lambda one: 0,
    "gap": lambda one: _last(None if one.final.gap is None else -one.final.gap),
    "gap-up": lambda one: _last(one.final.gap),
    "widest": lambda one: _last(None if (widest := facts_of(one).widest) is None else -widest),
    "longest": lambda one: -len(one.final.instruction.text.split()),
    "shortest": lambda one: len(one.final.instruction.text.split()),
    "iterations": lambda one: -len(one.iterations),
    "use-case": lambda one: one.entry.metadata.use_case,
}


def found(index: Index, text: str) -> list[str]:
    return list(index.ids(Filter(text=text), "slot"))


TEXTS = {
    "000000.0": "Prepare a grammar of Naïve Bayes for Zürich.",
    "000000.1": "Write a PROGRAM, not a poem; don't stop.",
    "000001.0": "東京で寿司を食べる予定を書いてください。",
    "000001.1": "Составьте план обучения на неделю.",
    "000002.0": "the sea the salt",
    "000002.1": 'He said "open the sea gate" AND NEAR(the, sea) OR x*',
}


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("grammar", ["000000.0"]),
        ("GRAM", ["000000.0", "000000.1"]),  # within words, whatever their case
        ("naive zurich", ["000000.0"]),
        ("program poem", ["000000.1"]),
        ("poem grammar", []),
        ("don't", ["000000.1"]),
        ("寿司", ["000001.0"]),
        ("司寿", []),
        ("обучен", ["000001.1"]),
        ('"the sea"', ["000002.0", "000002.1"]),
        ('"sea the"', ["000002.0"]),
        ("„the salt“", ["000002.0"]),
        ("NEAR(the, sea)", ["000002.1"]),
        ("gate AND", ["000002.1"]),
        ("000001.1", ["000001.1"]),
        ('"open the', ["000002.1"]),
        ("zz", []),
    ],
)
def test_words_and_phrases_are_found(tmp_path: Path, typed: str, ids: list[str]) -> None:
    with closing(indexed(write_outcomes(tmp_path, texts()))) as index:
        assert found(index, typed) == ids


def texts() -> list[Outcome]:
    return [outcome(id, "kept", [iteration(5, text)]) for id, text in TEXTS.items()]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return indexed(write_outcomes(tmp_path_factory.mktemp("run"), texts()))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters() | st.sampled_from("\"'*()^:-+\0{}\ud800 "), max_size=40))
def test_nothing_that_is_typed_is_bad_syntax(searched: Index, typed: str) -> None:
    asked = asked_of({"q": typed})
    assert searched.page(asked.filter, "slot", offset=0, limit=10).total <= len(TEXTS)


def test_answers_metadata_reasons_and_failures_are_searched(tmp_path: Path) -> None:
    rows = [
        outcome("000000.0", "kept", [iteration(4, "One.")], Metadata("sonnets", ("scansion",))),
        outcome("000000.1", "discarded", [iteration(1, "Two.", reason="gap within the threshold")]),
        outcome("seed-000003", "failed", []),
    ]
    with closing(indexed(write_outcomes(tmp_path, rows))) as index:
        assert found(index, '"strong on one"') == ["000000.0"]
        assert found(index, "sonnet") == found(index, "scansion") == ["000000.0"]
        assert found(index, '"within the threshold"') == ["000000.1"]
        assert found(index, '"no reply in time"') == ["seed-000003"]
        assert list(index.ids(Filter(), "slot")) == ["seed-000003", "000000.0", "000000.1"]


def test_rows_are_read_from_the_runs_files(tmp_path: Path) -> None:
    one = outcome("000000.0", "kept", [iteration(4, "Ünïcode — 東京")])
    with closing(indexed(write_outcomes(tmp_path, [one, *texts()[1:]]))) as index:
        assert index.row("000000.0") == example_row(one)
        assert index.row("999999.0") is None
        assert index.row("\ud800") is None
        together = b"".join(index.lines(Filter(), "slot"))
        assert together == (tmp_path / run_directory.EXAMPLES).read_bytes()


def test_it_is_believed_only_for_the_files_it_was_built_of(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, texts())
    indexed(run).close()
    assert open_index(run / NAME, run, signature_of(run)) is not None
    with (run / run_directory.DISCARDED).open("ab") as file:
        file.write(b"\n")
    assert open_index(run / NAME, run, signature_of(run)) is None


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA application_id = 7",
        f"PRAGMA user_version = {VERSION + 1}",
        "CREATE TRIGGER later AFTER INSERT ON outcomes BEGIN DELETE FROM outcomes; END",
        "CREATE TABLE further (x)",
        "DROP TABLE bands",
    ],
)
def test_a_foreign_file_is_not_believed(tmp_path: Path, change: str) -> None:
    run = write_outcomes(tmp_path, texts())
    indexed(run).close()
    with closing(sqlite3.connect(run / NAME)) as db:
        db.execute(change)
        db.commit()
    assert open_index(run / NAME, run, signature_of(run)) is None


def test_neither_is_one_that_is_no_database_or_a_link(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path / "run", texts())
    (run / NAME).write_bytes(b"not a database" * 1000)
    assert open_index(run / NAME, run, signature_of(run)) is None
    (run / NAME).unlink()
    build(run, tmp_path / "elsewhere.sqlite", lambda done, total: None)
    (run / NAME).symlink_to(tmp_path / "elsewhere.sqlite")
    assert open_index(run / NAME, run, signature_of(run)) is None


def test_a_lying_index_is_found_out(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, texts())
    indexed(run).close()
    with closing(sqlite3.connect(run / NAME)) as db:
        db.execute("UPDATE outcomes SET start = -5, length = -1 WHERE id = '000000.0'")
        db.execute("UPDATE outcomes SET file = 9 WHERE id = '000000.1'")
        db.execute("UPDATE outcomes SET (file, start, length) = (0, 0, 10) WHERE id = '000001.0'")
        db.execute("UPDATE outcomes SET kind = 77 WHERE id = '000001.1'")
        db.commit()
    with closing(indexed_as_it_is(run)) as index:
        for id in ("000000.0", "000000.1", "000001.0"):
            with pytest.raises((RunDirectoryError, IndexBroken)):
                index.row(id)
        with pytest.raises(IndexBroken):
            index.facets(Filter())


def indexed_as_it_is(run: Path) -> Index:
    index = open_index(run / NAME, run, signature_of(run))
    assert index
    return index


def test_lines_that_are_no_outcomes_are_told(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, texts())
    lines = (run / run_directory.EXAMPLES).read_bytes().splitlines(keepends=True)
    (run / run_directory.EXAMPLES).write_bytes(b"".join([lines[0], b"{torn\n", *lines[1:], b"[]\n", b'{"id": 3}']))
    with closing(indexed(run)) as index:
        count, first = index.unreadable()
        assert (count, [(file, line) for file, line, _ in first]) == (3, [("examples.jsonl", n) for n in (2, 8, 9)])
        assert list(index.ids(Filter(), "slot")) == list(TEXTS)
        row = index.row("000001.1")
        assert row is not None
        assert row["messages"][0]["content"] == TEXTS["000001.1"]


def edit(run: Path, one: Outcome, **changes: str) -> None:
    given = {"action": "edit", "instruction": None, "answer": None, "at": edits.now(), "of": edits.digest_of(one)}
    edits.add_edit(run, Edit(**{"id": one.id, **given, **changes}))  # type: ignore[arg-type]


def test_what_people_did_is_seen_at_once(tmp_path: Path) -> None:
    outcomes = texts()
    run = write_outcomes(tmp_path, outcomes)
    with closing(indexed(run)) as index:
        assert index.page(Filter(edited="edited"), "slot", offset=0, limit=9).total == 0
        edit(run, outcomes[0], instruction="A person's quixotic words.")
        edit(run, outcomes[1], action="drop")
        (edited,) = index.page(Filter(edited="edited"), "slot", offset=0, limit=9).rows
        assert (edited.facts.id, edited.touched, edited.instruction) == (
            "000000.0",
            "edited",
            "A person's quixotic words.",
        )
        assert found(index, "quixot") == ["000000.0"]
        assert found(index, "grammar") == ["000000.0"]  # what the model said stays
        assert list(index.ids(Filter(edited="dropped"), "slot")) == ["000000.1"]
        edit(run, outcomes[1], action="restore")
        assert list(index.ids(Filter(edited="dropped"), "slot")) == []
        line = {
            "id": "000002.0",
            "action": "drop",
            "of": "0" * 32,
            "at": edits.now(),
            "instruction": None,
            "answer": None,
        }
        with (run / run_directory.EDITS).open("ab") as file:
            file.write(orjson.dumps(line) + b"\n")
        assert list(index.ids(Filter(edited="dropped"), "slot")) == []
        assert index.stale_edits == 1
        with (run / run_directory.EDITS).open("ab") as file:
            file.write(b"no edit\n" + orjson.dumps(line) + b"\n")
        assert index.page(Filter(), "slot", offset=0, limit=9).total == len(TEXTS)
        assert "edits.jsonl" in index.edits_problem


def test_what_a_killed_builder_left_is_cleared_away(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, texts())
    left = run / f"{NAME}.{2**22 - 1}.unfinished"  # no process has a number this high
    left.write_bytes(b"half")
    indexed(run).close()
    assert not left.exists()
    assert sorted(path.name for path in run.glob(".studio*")) == [NAME]


def test_a_run_without_outcomes_has_an_index_too(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, [])
    (run / run_directory.FAILURES).unlink()
    with closing(indexed(run)) as index:
        assert index.page(Filter(), "use-case", offset=0, limit=9).total == 0
        assert index.passing(3) == []
        assert not index.compared()


FULL = Filter("kept", "a", "b", 1, "c", "edited", 1.0, 2.0, "d")


@settings(max_examples=100, deadline=None)
@given(
    query=st.dictionaries(
        st.sampled_from(list(query_of(FULL, "gap", 2))),
        st.sampled_from(["kept", "gap", "3", "-1", "1e999", "nan", "2,5", "", "edited"]) | st.text(max_size=8),
    )
)
def test_any_address_is_a_list_and_the_same_again(query: dict[str, str]) -> None:
    asked = asked_of(query)
    again = asked_of(query_of(asked.filter, asked.sort, asked.page))
    assert (again.filter, again.sort, again.page) == (asked.filter, asked.sort, asked.page)
    assert not again.wrong


def test_the_index_has_no_text_of_the_rows(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path, texts())
    indexed(run).close()
    assert b"Prepare a grammar" not in (run / NAME).read_bytes()
