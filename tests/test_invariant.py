"""The invariant: same bytes at any concurrency and after any kill; nothing that was paid for is lost or paid twice."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.running import (
    SEEDS_175,
    SimulatorProcess,
    codeclm,
    manifest,
    run_until,
    same_bytes,
    simulator_process,
    write_config,
)

OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.004", "latency_distribution=exponential") as running:
        yield running


def run_at(simulator: SimulatorProcess, folder: Path, **values: Any) -> tuple[Path, int]:
    """A whole run and the number of calls it made, by the server's count."""
    config = write_config(folder, simulator.base_url, **values)
    simulator.reset()
    done = codeclm("run", config)
    assert done.status == 0, done
    return folder / "run", simulator.stats()["calls"]


def killed_run(
    simulator: SimulatorProcess, folder: Path, *, kills: int, calls: int, **values: Any
) -> tuple[Path, int, int]:
    """A run killed with SIGKILL at random moments, then finished: its directory, its calls, and those in flight."""
    config = write_config(folder, simulator.base_url, **values)
    simulator.reset()
    rng = random.Random(7)
    in_flight = 0
    for moment in sorted(rng.randint(1, calls) for _ in range(kills)):
        seen: dict[str, Any] = {}

        def reached(moment: int = moment, seen: dict[str, Any] = seen) -> bool:
            seen.update(simulator.stats())
            return bool(seen["calls"] >= moment)

        status = run_until(config, reached, signal.SIGKILL)
        assert status in (-signal.SIGKILL, 0)
        in_flight += seen["in_flight"]
    done = codeclm("run", config)
    assert done.status == 0, done
    return folder / "run", simulator.stats()["calls"], in_flight


def test_the_output_is_the_same_bytes_at_any_concurrency(simulator: SimulatorProcess, tmp_path: Path) -> None:
    folders = [run_at(simulator, tmp_path / str(n), max_in_flight=n, size=15)[0] for n in (1, 8, 256)]
    for name in ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "metadata.jsonl"):
        assert same_bytes(folders, name)


def test_killed_at_random_moments_a_run_ends_with_the_same_bytes_and_repeats_only_what_was_in_flight(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    unbroken, calls = run_at(simulator, tmp_path / "unbroken", size=15, max_in_flight=8)
    killed, in_all, _ = killed_run(simulator, tmp_path / "killed", kills=5, calls=calls, size=15, max_in_flight=8)
    for name in OUTPUTS:
        assert (unbroken / name).read_bytes() == (killed / name).read_bytes()
    assert in_all - calls <= 5 * 2 * 8  # two endpoints of 8 each


def test_a_finished_run_run_again_makes_no_call(simulator: SimulatorProcess, tmp_path: Path) -> None:
    folder, _ = run_at(simulator, tmp_path, size=10)
    before = {name: (folder / name).read_bytes() for name in OUTPUTS}
    simulator.reset()
    assert codeclm("run", tmp_path / "config.yaml").status == 0
    assert simulator.stats()["calls"] == 0
    assert before == {name: (folder / name).read_bytes() for name in OUTPUTS}


def test_growing_the_size_repeats_no_call_and_keeps_the_examples_there_are(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    folder, first = run_at(simulator, tmp_path, size=10)
    few = (folder / "examples.jsonl").read_bytes()
    assert codeclm("run", tmp_path / "config.yaml", "--set", "size=20").status == 0
    stats = simulator.stats()
    assert stats["calls"] > first
    assert stats["repeated"] == 0
    assert (folder / "examples.jsonl").read_bytes().startswith(few)
    assert manifest(folder)["examples"] == 20


def test_ctrl_c_ends_calls_in_flight_writes_what_is_kept_and_loses_nothing(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    unbroken, calls = run_at(simulator, tmp_path / "unbroken", size=30, max_in_flight=4)
    config = write_config(tmp_path / "stopped", simulator.base_url, size=30, max_in_flight=4)
    simulator.reset()
    said = tmp_path / "said"
    status = run_until(config, lambda: bool(simulator.stats()["calls"] > calls * 0.7), signal.SIGINT, said=said)
    assert status == 130
    assert "Stopped: " in said.read_text()
    assert "To go on where it stopped: codeclm run" in said.read_text()
    assert "Traceback" not in said.read_text()
    stopped = manifest(tmp_path / "stopped" / "run")
    assert stopped["state"] == "stopped"
    recorded = sum(row["calls"] for row in stopped["calls"])
    assert recorded == simulator.stats()["calls"]
    kept = (tmp_path / "stopped" / "run" / "examples.jsonl").read_bytes().splitlines()
    assert kept
    every = iter((unbroken / "examples.jsonl").read_bytes().splitlines())
    assert all(row in every for row in kept)  # in their order, though not all that came before them had ended
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([unbroken, tmp_path / "stopped" / "run"])


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not SEEDS_175.exists(), reason=f"{SEEDS_175} is not here (set CODECLM_SHARED_DATA)")
def test_500_examples_at_1_8_and_256_in_flight_and_killed_20_times(tmp_path: Path) -> None:
    seeds = str(SEEDS_175)
    with simulator_process() as simulator:
        runs = {n: run_at(simulator, tmp_path / str(n), max_in_flight=n, seeds=seeds, size=500) for n in (1, 8, 256)}
        killed, calls, in_flight = killed_run(
            simulator, tmp_path / "killed", kills=20, calls=runs[8][1], max_in_flight=8, seeds=seeds, size=500
        )
        folders = [folder for folder, _ in runs.values()]
        assert same_bytes([*folders, killed])
        print(f"calls: {[made for _, made in runs.values()]} unbroken, {calls} killed 20 times, {in_flight} in flight")
        assert calls - runs[8][1] <= 20 * 2 * 8
        small, _ = run_at(simulator, tmp_path / "grown", seeds=seeds, size=200)
        assert codeclm("run", tmp_path / "grown" / "config.yaml", "--set", "size=400").status == 0
        assert simulator.stats()["repeated"] == 0
        assert manifest(small)["examples"] == 400
