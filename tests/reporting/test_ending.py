"""The report at the end of a run: it is written however the run ended, and can't harm it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.reporting.run_files import write_run

from codeclm.errors import CodecLMError, ConfigError, RunDirectoryError, RunFailed, Stopped
from codeclm.reporting.ending import OFF, SWITCH, refresh, reported


@pytest.fixture(autouse=True)
def _switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are started, none of which does anything."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stderr=b"")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def _fake(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let the process that writes reports be this Python program instead."""
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **settings: run([sys.executable, "-c", program], **settings))


def test_it_is_written_by_another_process(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a run", [], [], [], calls=[])  # without charts, which take long
    assert refresh(run, tmp_path / "none") == ""
    assert (run / "report.html").stat().st_size > 10_000


def test_why_it_failed_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "examples.jsonl").write_text("{}\n")
    told = refresh(run)
    assert "examples.jsonl:1: not a row that a run wrote" in told
    assert told.endswith(f"codeclm report {run}")
    assert "\n" not in told


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import os; os.abort()", "its process ended with -6"),
        ("raise SystemExit('error: no room\\non the disk')", "no room on the disk"),
        ("print('x' * 10**6); raise SystemExit(3)", "its process ended with 3"),
    ],
)
def test_whatever_ends_that_process_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str
) -> None:
    _fake(monkeypatch, program)
    assert told in refresh(write_run(tmp_path))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (subprocess.TimeoutExpired("codeclm", 1), "took more than"),
        (OSError(11, "no more processes"), "no more processes"),
    ],
)
def test_what_keeps_it_from_ending_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, told: str
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    assert told in refresh(write_run(tmp_path))


def test_a_directory_without_a_run_gets_none(tmp_path: Path, started: list[list[str]]) -> None:
    (tmp_path / "settings.json").write_text("{}")
    assert refresh(tmp_path, tmp_path / "missing") == ""
    assert not started


@pytest.mark.parametrize(
    "name", ["manifest.json", "examples.jsonl", "comparison.json", "study-size.json", "alignment.json"]
)
def test_what_has_a_page_gets_one(tmp_path: Path, started: list[list[str]], name: str) -> None:
    (tmp_path / name).write_text("{}")
    assert refresh(tmp_path) == ""
    assert started[0][-2:] == ["report", str(tmp_path)]


def test_it_can_be_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]) -> None:
    monkeypatch.setenv(SWITCH, OFF)
    assert refresh(write_run(tmp_path)) == ""
    assert not started


def _ending(error: BaseException | None) -> Callable[[], None]:
    def end() -> None:
        if error:
            raise error

    return end


@pytest.mark.parametrize("error", [None, Stopped("asked to"), RunFailed("nothing passed")])
def test_every_end_of_a_run_that_began_has_a_report(
    tmp_path: Path, started: list[list[str]], error: CodecLMError | None
) -> None:
    run, end = write_run(tmp_path), _ending(error)
    expected = pytest.raises(type(error)) if error else nullcontext()
    with expected, reported(lambda: [run], pytest.fail):
        end()
    assert len(started) == 1


@pytest.mark.parametrize("error", [ConfigError("a bad key"), RunDirectoryError("another run is at work")])
def test_a_run_that_never_began_leaves_the_directory_as_it_was(
    tmp_path: Path, started: list[list[str]], error: CodecLMError
) -> None:
    run, end = write_run(tmp_path), _ending(error)
    with pytest.raises(type(error)), reported(lambda: [run], pytest.fail):
        end()
    assert not started


def test_a_failure_is_told_and_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fake(monkeypatch, "raise SystemExit('error: full')")
    run, told = write_run(tmp_path), list[str]()
    with reported(lambda: [run], told.append):
        pass
    assert len(told) == 1
    assert "full" in told[0]
