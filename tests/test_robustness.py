"""What happens to a run from outside: signals, a closed terminal, full and read-only disks, clocks, locks."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pty
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.running import (
    BUNDLED_SEEDS,
    CODECLM,
    SimulatorProcess,
    codeclm,
    manifest,
    run_until,
    same_bytes,
    simulator_process,
    write_config,
)

from codeclm.clients.http import retry_after
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import JournalError, OutputError
from codeclm.event_log import written_to
from codeclm.generate import generate
from codeclm.journal import recorded_totals

IN_FLIGHT = 4


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.01") as running:
        yield running


@pytest.fixture(scope="module")
def unbroken(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("unbroken")
    done = codeclm("run", small(folder, simulator.base_url))
    assert done.status == 0, done
    return folder / "run"


def small(folder: Path, base_url: str, **values: Any) -> Path:
    return write_config(folder, base_url, **({"size": 6, "max_in_flight": IN_FLIGHT, "method": {"pool": 0}} | values))


def recorded(folder: Path) -> int:
    return sum(total.calls for total in recorded_totals(folder / "journal.sqlite"))


def busy(simulator: SimulatorProcess, calls: int = 40) -> Callable[[], bool]:
    return lambda: bool(simulator.stats()["calls"] > calls)


# Signals


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)], ids=lambda number: number.name
)
def test_asked_to_end_calls_in_flight_end_and_are_recorded(
    number: signal.Signals, simulator: SimulatorProcess, unbroken: Path, tmp_path: Path
) -> None:
    config = small(tmp_path, simulator.base_url)
    simulator.reset()
    assert run_until(config, busy(simulator), number) == 130
    assert manifest(tmp_path / "run")["state"] == "stopped"
    assert recorded(tmp_path / "run") == simulator.stats()["calls"]
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([unbroken, tmp_path / "run"])


def test_a_second_signal_leaves_at_once_and_repeats_only_what_was_in_flight(unbroken: Path, tmp_path: Path) -> None:
    with simulator_process("rate_hang=0.03") as hanging:
        config = small(tmp_path, hanging.base_url)
        said = tmp_path / "said"
        with said.open("wb") as output:
            process = subprocess.Popen([*CODECLM, "run", str(config)], stdout=output, stderr=subprocess.STDOUT)
            try:
                # Some calls hang for two minutes, which the first signal waits for.
                while not (hanging.stats()["calls"] > 40 and hanging.stats()["in_flight"]):
                    assert process.poll() is None
                process.send_signal(signal.SIGINT)
                while b"Stopping" not in said.read_bytes():
                    assert process.poll() is None
                process.send_signal(signal.SIGINT)
                assert process.wait(timeout=60) == 130
            finally:
                process.kill()
        assert "Left at once" in said.read_text()
        before = recorded(tmp_path / "run")
        assert before >= hanging.stats()["by_status"]["200"] - 2 * IN_FLIGHT
        hurried = [f"--set=models.{name}.timeout=0.5" for name in ("strong", "target")]
        hurried += [f"--set=models.{name}.retries=8" for name in ("strong", "target")]
        done = codeclm("run", config, *hurried)
        assert done.status == 0, done
        assert hanging.stats()["repeated"] <= 2 * IN_FLIGHT
    assert same_bytes([unbroken, tmp_path / "run"])


def test_a_run_under_nohup_outlives_its_terminal(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = small(tmp_path, simulator.base_url)
    simulator.reset()
    process = subprocess.Popen(
        ["nohup", *CODECLM, "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not busy(simulator)():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0


def test_a_terminal_that_is_closed_ends_the_run_like_a_signal(
    simulator: SimulatorProcess, unbroken: Path, tmp_path: Path
) -> None:
    config = small(tmp_path, simulator.base_url)
    simulator.reset()
    terminal, inside = pty.openpty()
    command = ["setsid", "--ctty", *CODECLM, "run", str(config)]
    process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    os.set_blocking(terminal, False)
    reached = busy(simulator)
    while not reached():
        with suppress(BlockingIOError):  # what it prints is taken, so that it never waits for us, nor we for it
            os.read(terminal, 65536)
    os.close(terminal)
    process.wait()
    assert manifest(tmp_path / "run")["state"] == "stopped"
    assert recorded(tmp_path / "run") == simulator.stats()["calls"]
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([unbroken, tmp_path / "run"])


# Disks


@pytest.mark.parametrize(
    "name",
    [
        "examples.jsonl",
        "manifest.json",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("discarded.jsonl", "metadata.jsonl", "README.md")),
    ],
)
def test_no_room_for_an_output_ends_the_run_with_everything_recorded(
    name: str, simulator: SimulatorProcess, unbroken: Path, tmp_path: Path
) -> None:
    config = small(tmp_path, simulator.base_url)
    partial = tmp_path / "run" / f"{name}.partial"
    partial.parent.mkdir()
    simulator.reset()
    if grows := name.endswith(".jsonl"):
        partial.symlink_to("/dev/full")
    else:  # what is written whole replaces a link: it takes a folder to be in its way
        partial.mkdir()
    done = codeclm("run", config)
    assert done.status == 1
    assert ("No space left on device" if grows else "Is a directory") in done.error
    assert "Make room" in done.error
    assert "Traceback" not in done.err
    assert recorded(tmp_path / "run") == simulator.stats()["calls"]
    if grows:
        partial.unlink(missing_ok=True)
    else:
        partial.rmdir()
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([unbroken, tmp_path / "run"])


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of its own, if it can be had here."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    "size", ["100k", *(pytest.param(size, marks=pytest.mark.slow) for size in ("40k", "130k", "160k", "190k"))]
)
def test_a_disk_that_fills_at_any_moment_loses_no_more_than_what_was_in_flight(
    size: str, simulator: SimulatorProcess, unbroken: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", size) as disk:
        config = small(tmp_path, simulator.base_url, run_dir=str(disk / "run"))
        simulator.reset()
        done = codeclm("run", config)
        assert done.status in (1, 2), done
        assert "Traceback" not in done.err
        assert "room" in done.error
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        again = codeclm("run", config)
        assert again.status == 0, again
        assert simulator.stats()["repeated"] <= 2 * 2 * IN_FLIGHT
        assert same_bytes([unbroken, disk / "run"])


def test_a_read_only_run_directory_is_told_before_any_call(simulator: SimulatorProcess, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "50m") as disk:
        config = small(tmp_path, simulator.base_url, run_dir=str(disk / "run"), size=3)
        assert codeclm("run", config).status == 0
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        simulator.reset()
        refused = codeclm("run", config, "--set", "size=6")
        assert refused.status == 2
        assert "can't write there (Read-only file system)" in refused.error
        assert simulator.stats()["calls"] == 0
        shown = codeclm("status", disk / "run", "--json")
        assert shown.status == 0
        assert json.loads(shown.out)["calls"] == manifest(disk / "run")["calls"]
        assert not json.loads(shown.out)["error"]
        exported = codeclm("export", disk / "run", "--out", tmp_path / "out.jsonl")
        assert exported.status == 0, exported
        damaged = codeclm("recover", disk / "run")
        assert damaged.status in (1, 2)
        assert "Traceback" not in damaged.err
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


# Locks


def config_in(folder: Path, **values: Any) -> RunConfig:
    simulated = {name: {"model": name, "base_url": "simulator"} for name in ("strong", "target")}
    base = {"seeds": str(BUNDLED_SEEDS), "size": 5, "run_dir": "run", "models": simulated, "method": {"pool": 0}}
    return from_mapping(base | values, folder=folder)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait for locks."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0))


@pytest.mark.usefixtures("impatient")
def test_a_journal_that_another_program_holds_is_told_before_any_call(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    asyncio.run(generate(config))
    before = recorded(config.run_dir)
    larger = config_in(tmp_path, size=10)
    with closing(sqlite3.connect(config.run_dir / "journal.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=r"another program holds it .*Close that program and run again"):
            asyncio.run(generate(larger))
    assert recorded(config.run_dir) == before
    assert manifest(config.run_dir)["state"] == "complete"
    assert manifest(config.run_dir)["size"] == 5
    asyncio.run(generate(larger))
    assert manifest(config.run_dir)["examples"] == 10


# Clocks

DAY = 86_400.0


@pytest.mark.parametrize(
    "jumps",
    [[DAY], [-DAY], [0, 3 * 365 * DAY, -30 * 365 * DAY], [-60 * 365 * DAY], [1e12], [-1e12]],
    ids=["a day on", "a day back", "years", "before 1970", "far on", "far back"],
)
def test_a_clock_that_jumps_changes_no_byte(
    jumps: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(generate(config_in(tmp_path / "usual")))
    real, offsets, waits = time.time, itertools.cycle([0.0, *jumps]), []
    sleep = asyncio.sleep

    def watched(seconds: float, *rest: Any) -> Any:
        waits.append(seconds)
        return sleep(seconds, *rest)

    with monkeypatch.context() as patch, written_to(tmp_path / "log"):
        patch.setattr(time, "time", lambda: real() + next(offsets))
        patch.setattr(asyncio, "sleep", watched)
        asyncio.run(generate(config_in(tmp_path / "jumping")))
        asyncio.run(generate(config_in(tmp_path / "jumping", size=7)))
    assert all(seconds >= 0 for seconds in waits)
    assert len((tmp_path / "log").read_bytes().splitlines()) >= 4
    asyncio.run(generate(config_in(tmp_path / "usual", size=7)))
    assert same_bytes([tmp_path / "usual" / "run", tmp_path / "jumping" / "run"])


@pytest.mark.parametrize("ours", [-10 * 365 * DAY, -3600.0, 0.0, 3600.0, 10 * 365 * DAY])
def test_a_date_to_wait_for_is_read_by_the_clock_of_whoever_sent_it(
    ours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    monkeypatch.setattr(time, "time", lambda: 1_445_412_480.0 + ours)
    assert retry_after(said) == 30.0
    assert retry_after(said | {"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}) == 0.0
    for nonsense in ("", "yesterday", "Wed, 99 Oct 2015 07:28:00 GMT"):
        waited = retry_after(said | {"date": nonsense})
        assert waited == max(0.0, 30.0 - ours)
    del said["date"]
    assert retry_after(said) == max(0.0, 30.0 - ours)


def test_an_output_error_is_what_a_full_disk_raises_in_python_too(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    config.run_dir.mkdir(parents=True)
    (config.run_dir / "examples.jsonl.partial").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"examples.jsonl: can't write .*Make room"):
        asyncio.run(generate(config))
    assert manifest(config.run_dir)["state"] == "failed"
