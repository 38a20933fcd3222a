"""What people change: recorded beside what the models said, and laid over it wherever examples are taken on."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.dataset.samples import FOURTH, SINGLE, dropped, iteration, kept
from tests.running import rows
from tests.training.made_runs import assistant, user
from typer.testing import CliRunner

from codeclm.aligning.data import gather
from codeclm.auditing.audit import Asked, audit
from codeclm.cli.app import app
from codeclm.config import RunConfig
from codeclm.config_files import dump, from_mapping
from codeclm.dataset.outcomes import discarded_row, example_row, outcome_from_row, preference_row, row_line
from codeclm.edits import EDITED, Applied, Edit, add_edit, digest_of, edited, edited_lines, history_of, now, read_edits
from codeclm.errors import ConfigError, InputError, OutputError, RunDirectoryError
from codeclm.records import Outcome
from codeclm.reselect import export_run
from codeclm.training.data import read_data
from codeclm.training.record import identity

OTHER = kept("000003.0", iteration("Name three rivers.", (2, 9)))
DISCARDED = replace(dropped("discarded", iteration("Name a hill.", (7, 6))), id="000002.1")


def edit(outcome: Outcome = SINGLE, **changes: Any) -> Edit:
    values: dict[str, Any] = {"action": "edit", "instruction": None, "answer": None, "of": digest_of(outcome)}
    return Edit(**{"id": outcome.id, "at": now(), **values, **changes})


def config_of(folder: Path) -> RunConfig:
    model = {"model": "m", "base_url": "simulator"}
    values = {"seeds": "s.jsonl", "run_dir": str(folder), "models": {"strong": model, "target": model}}
    return from_mapping(values, folder=folder)


def make_run(folder: Path, *outcomes: Outcome) -> Path:
    folder.mkdir(parents=True)
    (folder / "s.jsonl").write_bytes(b'{"instruction": "Name a lake."}\n')
    (folder / "config.yaml").write_text(dump(config_of(folder)))
    examples = outcomes or (SINGLE, FOURTH, OTHER)
    pairs = [row for one in examples if (row := preference_row(one))]
    (folder / "examples.jsonl").write_bytes(b"".join(row_line(example_row(one)) for one in examples))
    (folder / "preferences.jsonl").write_bytes(b"".join(map(row_line, pairs)))
    (folder / "discarded.jsonl").write_bytes(row_line(discarded_row(DISCARDED)))
    return folder


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


# The record


def test_the_last_edit_of_an_example_counts_and_a_restore_takes_all_back(run_dir: Path) -> None:
    first, second = edit(answer="One."), edit(answer="Two.", by="Ada", note="shorter")
    for one in (first, second, edit(OTHER, action="drop")):
        add_edit(run_dir, one)
    assert read_edits(run_dir)[SINGLE.id] == second
    add_edit(run_dir, edit(action="restore"))
    assert list(read_edits(run_dir)) == [OTHER.id]
    assert [one.action for one in history_of(run_dir, SINGLE.id)] == ["edit", "edit", "restore"]
    assert read_edits(run_dir.parent) == {}


def test_what_was_recorded_is_never_rewritten(run_dir: Path) -> None:
    add_edit(run_dir, edit(answer="One."))
    before = (run_dir / "edits.jsonl").read_bytes()
    add_edit(run_dir, edit(action="restore"))
    assert (run_dir / "edits.jsonl").read_bytes().startswith(before)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "both texts are as they were"),
        ({"answer": "A strong answer to: Write a letter."}, "both texts are as they were"),
        ({"answer": " \n"}, "the edited answer is empty"),
        ({"instruction": ""}, "the edited instruction is empty"),
        ({"answer": "x" * 1_000_001}, "at most 1,000,000"),
        ({"action": "drop", "answer": "x"}, "takes no text"),
        ({"action": "mend"}, "expected edit, drop, restore"),
        ({"answer": "x", "of": "0" * 32}, "in other words than those edited"),
        ({"answer": "x", "at": "yesterday"}, "is not one in UTC"),
        ({"answer": "x", "at": "2026-01-31T12:00:00"}, "is not one in UTC"),
        ({"answer": "x", "id": ""}, "needs the id"),
        ({"action": "drop", "id": DISCARDED.id}, "no example has the id"),
    ],
)
def test_what_can_not_be_is_refused_and_leaves_no_line(run_dir: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        add_edit(run_dir, edit(**changes))
    assert not (run_dir / "edits.jsonl").exists()


def test_a_torn_last_line_is_passed_over_and_the_next_one_begins_below_it(run_dir: Path) -> None:
    add_edit(run_dir, edit(answer="One."))
    path = run_dir / "edits.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:50])
    assert read_edits(run_dir)[SINGLE.id].answer == "One."
    add_edit(run_dir, edit(OTHER, answer="Two."))
    assert [one.answer for one in read_edits(run_dir).values()] == ["One.", "Two."]
    assert path.read_bytes().startswith(whole + whole[:50] + b"\n")
    # A line that only lacks its end says all it had to, before and after the next one.
    path.write_bytes(path.read_bytes()[:-1])
    add_edit(run_dir, edit(FOURTH, action="drop"))
    assert list(read_edits(run_dir)) == [SINGLE.id, OTHER.id, FOURTH.id]


@pytest.mark.parametrize(
    "line", [b"torn", b"[]", b"{}", b'{"id":"a","action":"burn","instruction":null,"answer":null,"of":"","at":""}']
)
def test_any_other_bad_line_is_named_with_its_place(run_dir: Path, line: bytes) -> None:
    add_edit(run_dir, edit(answer="One."))
    path = run_dir / "edits.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    with pytest.raises(RunDirectoryError, match=r"edits\.jsonl:1: not an edit .* Mend this line or take it out"):
        read_edits(run_dir)
    with pytest.raises(RunDirectoryError, match=r"edits\.jsonl:1"):
        export_run(run_dir)


def test_text_of_any_kind_is_kept_as_it_is(run_dir: Path) -> None:
    text = 'Zeile\r\n\x00\u2028 "quoted" \\ {{x}} <script> \u202e العربية 👩‍🚀'
    add_edit(run_dir, edit(answer=text, note="\ud800"))
    assert read_edits(run_dir)[SINGLE.id].answer == text
    assert read_edits(run_dir)[SINGLE.id].note == "\ufffd"  # of which UTF-8 has none


def _add_many(run_dir: Path, name: str) -> None:
    for number in range(25):
        add_edit(run_dir, edit(answer=f"{name} {number} " + "x" * 9000))


def test_several_processes_may_add_at_once(run_dir: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_many, args=(run_dir, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    answers = [(one.answer or "").rstrip("x") for one in history_of(run_dir, SINGLE.id)]
    assert sorted(answers) == sorted(f"{name} {number} " for name in "ab" for number in range(25))


def test_nobody_else_adds_meanwhile(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really, held = os.write, []

    def looking(place: int, data: bytes) -> int:
        with (run_dir / "edits.jsonl").open("rb") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.append(data)
        return really(place, data)

    monkeypatch.setattr(os, "write", looking)
    add_edit(run_dir, edit(answer="One."))
    assert read_edits(run_dir)
    assert not held


def test_a_full_disk_leaves_no_half_line(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_edit(run_dir, edit(answer="One."))
    before = (run_dir / "edits.jsonl").read_bytes()
    really = os.write

    def half(place: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return really(place, data[:-50])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OutputError, match="No space left"):
        add_edit(run_dir, edit(answer="Two."))
    assert (run_dir / "edits.jsonl").read_bytes() == before


# An example as edited


def test_the_lineage_keeps_what_the_models_said() -> None:
    found = edited(FOURTH, edit(FOURTH, answer="Mine."))
    assert found
    assert found.iterations[:-1] == FOURTH.iterations
    assert found.final.instruction.action == EDITED
    assert outcome_from_row(json.loads(row_line(example_row(found)))) == found


def test_a_new_answer_keeps_the_pair_with_the_old_rejected_one_and_the_gap() -> None:
    before, found = preference_row(FOURTH), edited(FOURTH, edit(FOURTH, answer="Mine."))
    assert before
    assert found
    assert preference_row(found) == before | {"chosen": [assistant("Mine.")]}
    assert FOURTH.final.chosen == "target"  # of a pair the other way round too


def test_of_another_instruction_nothing_was_compared() -> None:
    found = edited(SINGLE, edit(instruction="Write two letters."))
    assert found
    row = example_row(found)
    assert row["messages"] == [user("Write two letters."), assistant("A strong answer to: Write a letter.")]
    assert (row["gap"], row["scores"], preference_row(found)) == (None, None, None)
    same = edited(SINGLE, edit(instruction="Write a letter.", answer="Mine."))  # sent along, and not another
    assert same
    assert preference_row(same)


def test_only_what_was_kept_can_be_edited_and_only_in_these_words() -> None:
    with pytest.raises(InputError, match="is discarded, not kept"):
        edited(DISCARDED, edit(SINGLE, id=DISCARDED.id, action="drop"))
    with pytest.raises(InputError, match="of another text"):
        edited(SINGLE, edit(OTHER, id=SINGLE.id, answer="x"))
    assert edited(SINGLE, edit(action="drop")) is None


# What takes examples on


def edit_all_ways(run_dir: Path) -> None:
    """One answer edited, one example dropped, and an edit of words that are no longer there."""
    add_edit(run_dir, edit(answer="Mine."))
    add_edit(run_dir, edit(OTHER, action="drop"))
    with (run_dir / "edits.jsonl").open("ab") as file:
        file.write(json.dumps({**vars_of(edit(FOURTH, action="drop")), "of": "0" * 32}).encode() + b"\n")


def vars_of(one: Edit) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Edit.__slots__}


@pytest.mark.parametrize("format", ["messages", "alpaca", "sharegpt", "prompt-completion", "preferences"])
def test_every_format_is_as_people_left_it(run_dir: Path, format: str) -> None:
    before = export_run(run_dir, format=format)
    untouched = before.path.read_bytes()
    assert before.edits.told() == ""
    edit_all_ways(run_dir)
    after = export_run(run_dir, format=format)
    assert (after.edits.edited, after.edits.dropped, after.edits.unfit) == (1, 1, 1)
    first, second, _ = untouched.splitlines()
    mine, other = after.path.read_bytes().splitlines()
    assert mine == first.replace(b"A strong answer to: Write a letter.", b"Mine.")
    assert other == second
    add_edit(run_dir, edit(action="restore"))
    add_edit(run_dir, edit(OTHER, action="restore"))
    assert export_run(run_dir, format=format).path.read_bytes() == untouched


def test_parquet_too(run_dir: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    edit_all_ways(run_dir)
    exported = export_run(run_dir, format="parquet")
    assert exported.rows == 2
    found = parquet.read_table(exported.path).to_pylist()
    assert found[0]["messages"][1]["content"] == "Mine."
    assert found[0]["history"][-1]["action"] == EDITED


def test_at_another_threshold_an_edit_goes_with_the_same_words_alone(run_dir: Path) -> None:
    add_edit(run_dir, edit(answer="Mine."))
    add_edit(run_dir, edit(FOURTH, answer="Mine too."))
    exported = export_run(run_dir, threshold=0.4)  # where FOURTH passes in its second iteration
    texts = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in rows(exported.path)}
    assert texts["Write a letter."] == "Mine."
    assert "Mine too." not in texts.values()
    assert exported.edits.as_values() == {"edited": 1, "dropped": 0, "unfit": 1}


def test_the_command_says_what_it_made_of_the_edits(run_dir: Path) -> None:
    assert "person" not in CliRunner().invoke(app, ["export", str(run_dir)]).output
    edit_all_ways(run_dir)
    said = CliRunner().invoke(app, ["export", str(run_dir)]).output
    assert "wrote 2 rows" in said
    assert "A person edited 1 of the examples and dropped 1. Edits that fit no example here" in said
    refused = CliRunner().invoke(app, ["export", str(run_dir), "--out", str(run_dir / "edits.jsonl")])
    assert refused.exit_code == 2
    with pytest.raises(ConfigError, match="must not replace"):
        export_run(run_dir, out=run_dir / "edits.jsonl")


def test_training_learns_what_people_left_and_is_another_training(run_dir: Path) -> None:
    before = {objective: read_data(run_dir, objective) for objective in ("sft", "dpo")}
    add_edit(run_dir, edit(FOURTH, instruction="Explain tides, please."))
    edit_all_ways_but_fourth(run_dir)
    sft, dpo = read_data(run_dir, "sft"), read_data(run_dir, "dpo")
    assert [row["messages"][1]["content"] for row in sft.rows] == [
        "Mine.", "A target answer to: Explain spring tides\nto a sailor in 3 lines."
    ]  # fmt: skip
    assert sft.rows[1]["messages"][0] == user("Explain tides, please.")
    assert [row["chosen"] for row in dpo.rows] == [[assistant("Mine.")]]
    assert dpo.rows[0]["rejected"] == before["dpo"].rows[0]["rejected"]
    assert sft.edits.as_values() == dpo.edits.as_values() == {"edited": 2, "dropped": 1, "unfit": 0}
    settings = config_of(run_dir).training
    for objective, data in (("sft", sft), ("dpo", dpo)):
        assert identity("m", data, settings, 0) != identity("m", before[objective], settings, 0)


def edit_all_ways_but_fourth(run_dir: Path) -> None:
    add_edit(run_dir, edit(answer="Mine."))
    add_edit(run_dir, edit(OTHER, action="drop"))


def test_where_no_edit_fits_the_training_is_the_same(run_dir: Path) -> None:
    before = read_data(run_dir, "sft")
    with (run_dir / "edits.jsonl").open("ab") as file:
        file.write(json.dumps({**vars_of(edit(action="drop")), "of": "0" * 32}).encode() + b"\n")
    after = read_data(run_dir, "sft")
    assert (after.rows, after.sha256) == (before.rows, before.sha256)
    assert after.edits.unfit == 1


def test_a_training_on_nothing_is_refused(tmp_path: Path) -> None:
    run_dir = make_run(tmp_path / "run", SINGLE)
    add_edit(run_dir, edit(action="drop"))
    with pytest.raises(InputError, match="nothing to train on"):
        read_data(run_dir, "sft")


def test_an_alignments_rounds_train_on_what_people_left(tmp_path: Path) -> None:
    first, second = make_run(tmp_path / "round-1", SINGLE, OTHER), make_run(tmp_path / "round-2", FOURTH)
    add_edit(first, edit(answer="Mine."))
    add_edit(first, edit(OTHER, action="drop"))
    add_edit(second, edit(FOURTH, instruction="Explain tides, please."))
    gathered = tmp_path / "training"
    assert gather([first, second], gathered, config_of(tmp_path)) == 2
    found = rows(gathered / "examples.jsonl")
    assert [row["messages"][0]["content"] for row in found] == ["Write a letter.", "Explain tides, please."]
    assert found[0]["messages"][1]["content"] == "Mine."
    assert [row["chosen"] for row in rows(gathered / "preferences.jsonl")] == [[assistant("Mine.")]]


def test_an_audit_looks_at_what_people_left_and_writes_that(tmp_path: Path) -> None:
    secret = "my key is sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
    run_dir = make_run(tmp_path / "run")
    audit(run_dir)
    assert json.loads((run_dir / "audit.json").read_bytes())["edits"] is None
    add_edit(run_dir, edit(answer=secret))
    add_edit(run_dir, edit(OTHER, action="drop"))
    made = audit(run_dir, Asked(drop=("secrets",)))
    assert made.examples == 2
    assert made.checks["secrets"].ids == {SINGLE.id}
    assert [row["id"] for row in rows(run_dir / "examples.audited.jsonl")] == [FOURTH.id]
    assert json.loads((run_dir / "audit.json").read_bytes())["edits"] == {"edited": 1, "dropped": 1, "unfit": 0}


def test_a_row_without_an_edit_keeps_its_bytes(run_dir: Path) -> None:
    path = run_dir / "examples.jsonl"
    spaced = json.dumps(example_row(FOURTH)).encode() + b"\n"
    path.write_bytes(row_line(example_row(SINGLE)) + spaced)
    add_edit(run_dir, edit(answer="Mine."))
    applied = Applied()
    assert list(edited_lines(run_dir, read_edits(run_dir), applied))[1] == spaced
    assert applied.edited_ids == {SINGLE.id}
