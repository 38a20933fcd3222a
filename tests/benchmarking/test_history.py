"""What was measured before, read back from a file that kills may have torn."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmarks import history
from benchmarks.figures import figure
from benchmarks.ratios import ratio
from benchmarks.suite import Measured
from hypothesis import given
from hypothesis import strategies as st

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")


def record(number: int) -> dict[str, Any]:
    measured = Measured("overhead", 1.25, (figure("CPU", "ms/call", [number, number + 1]),))
    return {"date": f"2026-11-{number:02}", "benchmarks": {"overhead": history.kept(measured)}}


def test_what_is_appended_is_read_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    assert history.read(path) == ([], [])
    for number in (1, 2, 3):
        history.append(path, record(number))
    assert history.read(path) == ([record(1), record(2), record(3)], [])
    assert path.read_bytes().count(b"\n") == 3


@given(data=st.data())
def test_a_torn_last_line_costs_only_itself(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever a kill tears the file, whole records before are read, and those appended later too."""
    path = tmp_path_factory.mktemp("history") / "history.jsonl"
    history.append(path, record(1))
    whole = path.stat().st_size
    history.append(path, record(2))
    end = data.draw(st.integers(whole, path.stat().st_size - 1))
    path.write_bytes(path.read_bytes()[:end])
    told = [record(1)] if end < path.stat().st_size - 1 else None
    before, torn = history.read(path)
    assert before[:1] == [record(1)]
    assert told is None or before == told
    assert len(before) + len(torn) <= 2
    history.append(path, record(3))
    after, still_torn = history.read(path)
    assert after == [*before, record(3)]
    assert still_torn == torn


def test_lines_that_are_no_records_are_told_by_number(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'[1]\n{"benchmarks": 3}\n\n' + json.dumps(record(4)).encode() + b"\n\xff\xfe\nnull\n")
    assert history.read(path) == ([record(4)], [1, 2, 5, 6])


def test_what_a_benchmark_leaves() -> None:
    assert history.kept(Measured("a", 2.0, unavailable="no Ray")) == {"seconds": 2.0, "unavailable": "no Ray"}
    assert history.kept(Measured("a", 2.0, failed="lost")) == {"seconds": 2.0, "failed": "lost"}
    ratios = {"CPU": ratio([(1, 2), (1, 3)], "lower")}
    kept = history.kept(Measured("a", 2.04), ratios)
    assert kept["seconds"] == 2.0
    assert kept["ratios"]["CPU"]["base"] == 1
    assert json.loads(json.dumps(kept)) == kept


def test_a_record_begins_with_where_and_on_what(tmp_path: Path) -> None:
    def git(*command: str) -> None:
        subprocess.run([*GIT, "-C", str(tmp_path), *command], check=True, capture_output=True)

    git("init", "-q")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("a = 1\n")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "history.jsonl").write_text("")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "benchmarks" / "history.jsonl").write_text("{}\n")
    (tmp_path / "notes.md").write_text("not measured")
    clean = history.begin(tmp_path, quick=True)
    assert len(clean["commit"]) == 40
    assert (clean["dirty"], clean["quick"], clean["benchmarks"], len(clean["load"])) == (False, True, {}, 1)
    assert clean["machine"]["cores"] >= 1
    assert clean["versions"]["python"].startswith("3.")
    (tmp_path / "src" / "a.py").write_text("a = 2\n")
    assert history.begin(tmp_path, quick=True)["dirty"]
    assert json.loads(json.dumps(clean)) == clean


def test_git_says_itself_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not a git repository"):
        history.begin(tmp_path, quick=False)
