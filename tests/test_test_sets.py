"""A run that knows its test sets keeps no pair that overlaps them, and says which and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.running import manifest, rows
from tests.test_generate import config_in

import codeclm
from codeclm.dataset.test_sets import read_test_sets
from codeclm.errors import InputError, RunDirectoryError
from codeclm.reselect import export_run


def written(path: Path, *items: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows of no test set."""
    return codeclm.run(config_in(tmp_path_factory.mktemp("plain"), size=12)).run_dir


def answers_beside(plain: Path, folder: Path) -> None:
    """The same answers for a run in another folder, so that nothing but the test sets differs."""
    (folder / "run").mkdir(parents=True)
    shutil.copy(plain / "journal.sqlite", folder / "run" / "journal.sqlite")


@pytest.mark.parametrize("selection", ["first", "random"])
def test_what_overlaps_a_test_set_is_a_duplicate_of_its_item(plain: Path, tmp_path: Path, selection: str) -> None:
    kept = rows(plain / "examples.jsonl")
    question, answer = kept[1]["messages"][0]["content"], kept[4]["messages"][1]["content"]
    items = written(
        tmp_path / "exam.jsonl",
        {"question_id": 81, "turns": [f"Now then: {question.upper()}", "And why?"]},
        {"id": "said", "text": " ".join(answer.split()[-30:])},
    )
    answers_beside(plain, tmp_path)
    values: dict[str, Any] = {"size": 12, "test_sets": [str(items)], "method": {"selection": selection}}
    result = codeclm.run(config_in(tmp_path, **values))
    found = read_test_sets([items])
    examples = rows(result.run_dir / "examples.jsonl")
    assert len(examples) == 12
    assert not [row["id"] for row in examples for message in row["messages"] if found.find(message["content"])]
    if selection == "random":
        return
    turned_away = {row["id"]: row for row in rows(result.run_dir / "discarded.jsonl") if row["status"] == "duplicate"}
    reasons = {name: turned_away[name]["reason"] for name in (kept[1]["id"], kept[4]["id"])}
    assert reasons == {
        kept[1]["id"]: "its instruction overlaps test set exam.jsonl item 81 (13-gram)",
        kept[4]["id"]: "its answer overlaps test set exam.jsonl item said (13-gram)",
    }
    counts = manifest(result.run_dir)["counts"]
    assert counts["duplicate"] >= 2
    assert counts["instructions"] == sum(
        counts[name] for name in ("kept", "discarded", "failed", "duplicate", "surplus")
    )
    exported = export_run(result.run_dir, threshold=3)  # selected anew, it leaves them out again
    assert exported.rows == 12


def test_other_test_sets_are_another_run(plain: Path, tmp_path: Path) -> None:
    items = written(tmp_path / "exam.jsonl", {"prompt": "Name the seven hills of Rome in the order of their height."})
    answers_beside(plain, tmp_path)
    config = config_in(tmp_path, size=12, test_sets=[str(items)])
    codeclm.run(config)
    first = (config.run_dir / "examples.jsonl").read_bytes()
    assert first == (plain / "examples.jsonl").read_bytes()  # nothing overlaps
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(items, moved / "exam.jsonl")
    codeclm.run(config_in(tmp_path, size=12, test_sets=[str(moved / "exam.jsonl")]))
    written(moved / "exam.jsonl", {"prompt": "Another."})
    with pytest.raises(RunDirectoryError, match=r"`test_sets` names has changed"):
        codeclm.run(config_in(tmp_path, size=12, test_sets=[str(moved / "exam.jsonl")]))
    with pytest.raises(RunDirectoryError, match="is not the one this run began with"):
        codeclm.run(config_in(tmp_path, size=12))


def test_a_bad_test_set_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    items = written(tmp_path / "exam.jsonl", {"prompt": "Whole."}, {"turns": [1]}, {"answer": "none"})
    with pytest.raises(InputError, match=r"exam\.jsonl: 2 problems") as refused:
        codeclm.run(config_in(tmp_path, test_sets=["exam.jsonl"]))
    assert "line 2: none of turns, text, question is a text" in str(refused.value)
    assert "line 3: no instruction" in str(refused.value)
    assert items.exists()
    assert not (tmp_path / "run").exists()
