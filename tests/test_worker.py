"""Who is at work in a run directory, and that no other process is ever signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
from filelock import FileLock

from codeclm import run_directory, worker
from codeclm.errors import RunDirectoryError


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends at SIGINT with a status of its own."""
    script = "import signal, sys; signal.signal(2, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def of(process: subprocess.Popen[bytes]) -> worker.Worker:
    started = worker._started(process.pid)
    assert started
    return worker.Worker(process.pid, os.uname().nodename, started, heeds_signals=True)


def test_who_holds_a_directory_is_told_while_they_do(tmp_path: Path) -> None:
    assert worker.read(tmp_path) is None
    with run_directory.alone(tmp_path):
        found = worker.read(tmp_path)
        assert found
        assert found.pid == os.getpid()
        assert worker.is_here(found)
        assert not found.heeds_signals
    assert worker.read(tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == [run_directory.LOCK]


def test_whether_signals_are_heeded_is_told_by_who_puts_handlers_in_place(tmp_path: Path) -> None:
    before = worker.heeds_signals.set(True)
    try:
        with run_directory.alone(tmp_path):
            found = worker.read(tmp_path)
            assert found
            assert found.heeds_signals
    finally:
        worker.heeds_signals.reset(before)


def test_a_process_that_is_the_one_told_is_signalled(other: subprocess.Popen[bytes]) -> None:
    assert worker.is_here(of(other))
    assert worker.send(of(other), signal.SIGINT)
    assert other.wait(10) == 7


def test_another_process_of_the_same_number_is_not(other: subprocess.Popen[bytes]) -> None:
    for changed in (
        replace(of(other), started="1"),
        replace(of(other), host="elsewhere"),
        replace(of(other), started=""),
    ):
        assert not worker.is_here(changed)
        assert not worker.send(changed, signal.SIGINT)
    assert other.poll() is None


def test_a_process_that_has_ended_is_not_there(other: subprocess.Popen[bytes]) -> None:
    found = of(other)
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet taken note of
    assert not worker.is_here(found)
    assert not worker.send(found, signal.SIGINT)
    other.wait()
    assert not worker.send(found, signal.SIGINT)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"null", b'{"pid": 5}', b'{"pid":"1","host":"","started":"","heeds_signals":true}']
)
def test_a_file_that_is_no_record_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / worker.NAME).write_bytes(content)
    assert worker.read(tmp_path) is None


@pytest.mark.parametrize("pid", [0, 1, -1])
def test_no_record_names_a_group_or_the_first_process(tmp_path: Path, pid: int) -> None:
    found = worker.Worker(pid, "here", "1", heeds_signals=True)
    (tmp_path / worker.NAME).write_bytes(orjson.dumps(asdict(found)))
    assert worker.read(tmp_path) is None


def test_a_look_at_the_lock_refuses_no_run(tmp_path: Path) -> None:
    """As the studio looks at it each second while runs begin: it holds the lock for a moment."""
    look = FileLock(tmp_path / run_directory.LOCK, thread_local=False)
    look.acquire()
    released = threading.Timer(0.03, look.release)
    released.start()
    with run_directory.alone(tmp_path):
        assert run_directory.is_held(tmp_path)
    released.join()


def test_who_really_holds_it_still_refuses(tmp_path: Path) -> None:
    with (
        run_directory.alone(tmp_path),
        pytest.raises(RunDirectoryError, match="another run is at work"),
        run_directory.alone(tmp_path),
    ):
        pass
