"""Export of a finished run: another threshold decides by the recorded scores alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.running import rows
from tests.test_generate import config_in

import codeclm
from codeclm.errors import ConfigError, RunDirectoryError, RunFailed
from codeclm.reselect import export_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return codeclm.run(config_in(tmp_path_factory.mktemp("finished"), size=40)).run_dir


def test_a_lower_threshold_takes_instructions_at_an_earlier_iteration(finished: Path, tmp_path: Path) -> None:
    exported = export_run(finished, format="preferences", out=tmp_path / "out.jsonl", threshold=1)
    assert exported.rows == 40
    lower = rows(exported.path)
    gaps = {row["id"]: row["gap"] for row in lower}
    recorded = {row["id"]: row for name in ("examples", "discarded") for row in rows(finished / f"{name}.jsonl")}
    assert all(abs(gap) > 1 for gap in gaps.values())
    for name, gap in gaps.items():
        steps = [step["gap"] for step in recorded[name]["history"]]
        assert gap == next(step for step in steps if abs(step) > 1)
    assert any(abs(gap) <= 3 for gap in gaps.values())


def test_what_a_lower_threshold_selects_is_what_a_run_at_that_threshold_keeps(finished: Path, tmp_path: Path) -> None:
    out = export_run(finished, out=tmp_path / "out.jsonl", threshold=2).path
    fresh = codeclm.run(config_in(tmp_path, size=40, method={"threshold": 2})).run_dir
    assert [row["messages"] for row in rows(out)] == [row["messages"] for row in rows(fresh / "examples.jsonl")]


def test_no_score_reaches_a_threshold_of_nine(finished: Path, tmp_path: Path) -> None:
    assert export_run(finished, out=tmp_path / "out.jsonl", threshold=9).rows == 0


def test_a_run_that_kept_nothing_is_selected_from_as_its_message_says(tmp_path: Path) -> None:
    alike = {name: {"model": "strong", "base_url": "simulator"} for name in ("strong", "target")}
    config = config_in(tmp_path, models=alike, method={"patience": 2, "pool": 0, "iterations": 1})
    with pytest.raises(RunFailed, match="codeclm export --threshold"):
        codeclm.run(config)
    assert rows(tmp_path / "run" / "examples.jsonl") == []
    assert export_run(tmp_path / "run", threshold=0).rows == 0  # equal answers have no gap, and that is no mistake


def test_the_default_file_is_named_for_what_is_in_it(finished: Path) -> None:
    assert export_run(finished, format="alpaca").path.name == "examples.alpaca.jsonl"
    exported = export_run(finished, format="sharegpt", threshold=2.5)
    assert exported.path.name == "examples.threshold-2.5.sharegpt.jsonl"


def test_a_folder_without_examples_and_an_unknown_format_are_refused(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="to export"):
        export_run(tmp_path)
    with pytest.raises(ConfigError, match="no export format"):
        export_run(finished, format="docx")
