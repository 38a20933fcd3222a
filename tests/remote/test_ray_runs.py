"""Runs on the workers of a real Ray cluster: the same bytes as the local engine's, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.ray_cluster import HAS_RAY, TwoNodes, two_nodes
from tests.running import (
    CODECLM,
    SEEDS_175,
    SimulatorProcess,
    codeclm,
    manifest,
    rows,
    run_until,
    same_bytes,
    simulator_process,
    write_config,
)

pytestmark = [pytest.mark.skipif(not HAS_RAY, reason="needs ray"), pytest.mark.timeout(600)]
IN_FLIGHT = 32  # at each of two models
OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.02", "latency_distribution=exponential") as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with two_nodes() as running:
        yield running


def on_ray(workers: int, cluster: TwoNodes | None = None) -> dict[str, Any]:
    return {"name": "ray", "workers": workers} | ({"address": cluster.address} if cluster else {})


def run_at(simulator: SimulatorProcess, folder: Path, env: dict[str, str] | None = None, **values: Any) -> Path:
    """A whole run; the simulator's count is that of this run alone."""
    config = write_config(folder, simulator.base_url, **values)
    simulator.reset()
    done = codeclm("run", config, env=env)
    assert done.status == 0, done
    return folder / "run"


class Running:
    """A run under way on a cluster, which is interfered with."""

    def __init__(self, config: Path, simulator: SimulatorProcess, env: dict[str, str], said: Path) -> None:
        self._log = config.parent / "log.jsonl"
        self._simulator = simulator
        with said.open("wb") as output:
            self.process = subprocess.Popen(
                [*CODECLM, "run", str(config), "--log", str(self._log)],
                stdout=output,
                stderr=output,
                env=os.environ | env,
            )

    def at(self, calls: int, do: Callable[[], Any]) -> int:
        """Do something once the server has counted so many calls; how many were in flight then."""
        while self._simulator.stats()["calls"] < calls:
            assert self.process.poll() is None, "the run ended before it was interfered with"
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
        in_flight: int = self._simulator.stats()["in_flight"]
        do()
        return in_flight

    def kill_a_worker(self) -> None:
        """SIGKILL to the process of the worker that came last."""
        ready = [row for row in rows(self._log) if row["event"] == "worker_ready"]
        os.kill(ready[-1]["process"], signal.SIGKILL)


def test_two_workers_on_this_machine_come_to_the_bytes_of_the_local_engine(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    local = run_at(simulator, tmp_path / "local", size=15)
    calls = simulator.stats()["calls"]
    ray = run_at(simulator, tmp_path / "ray", size=15, engine=on_ray(2))
    assert all(same_bytes([local, ray], name) for name in OUTPUTS if (local / name).stat().st_size)
    assert simulator.stats()["repeated"] == 0
    # The same calls, but for those of the slots that were under way when there was enough.
    assert simulator.stats()["calls"] < 1.5 * calls
    # One journal, which either engine goes on from.
    simulator.reset()
    assert codeclm("run", tmp_path / "ray" / "config.yaml", "--set", "engine.name=local").status == 0
    assert simulator.stats()["calls"] == 0


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not SEEDS_175.exists(), reason=f"{SEEDS_175} is not here (set CODECLM_SHARED_DATA)")
def test_500_examples_on_two_nodes_and_after_the_death_of_a_worker_a_node_and_the_driver(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"seeds": str(SEEDS_175), "size": 500, "max_in_flight": IN_FLIGHT}
    local = run_at(simulator, tmp_path / "local", **values)
    unbroken = simulator.stats()["calls"]
    with two_nodes() as cluster:
        env = cluster.environment
        folders = [run_at(simulator, tmp_path / f"ray{n}", env, engine=on_ray(n, cluster), **values) for n in (1, 4)]
        config = write_config(tmp_path / "killed", simulator.base_url, engine=on_ray(4, cluster), **values)
        simulator.reset()
        first = Running(config, simulator, env, tmp_path / "said")
        in_flight = [first.at(unbroken // 4, first.kill_a_worker), first.at(unbroken // 2, cluster.kill_second_node)]
        in_flight += [first.at(unbroken * 3 // 4, first.process.kill)]
        first.process.wait()
        assert codeclm("run", config, env=env).status == 0
    assert all(same_bytes([local, *folders, tmp_path / "killed" / "run"], name) for name in OUTPUTS[:3])
    repeated = simulator.stats()["repeated"]
    print(f"{unbroken} calls unbroken; {in_flight} at the server at the kills, {repeated} calls repeated")
    # In flight is what was sent and is not in the journal: what is at the server, and replies on their way.
    assert repeated <= 3 * 2 * IN_FLIGHT


@pytest.mark.slow
def test_a_budget_holds_for_all_workers_together(
    simulator: SimulatorProcess, cluster: TwoNodes, tmp_path: Path
) -> None:
    config = write_config(
        tmp_path, simulator.base_url, size=200, engine=on_ray(4, cluster), budget={"calls": 400}, max_in_flight=64
    )
    simulator.reset()
    done = codeclm("run", config, env=cluster.environment)
    assert "The budget is used up" in done.error, done
    assert 390 <= simulator.stats()["calls"] <= 400


@pytest.mark.slow
def test_600_requests_a_minute_hold_for_all_workers_together(
    simulator: SimulatorProcess, cluster: TwoNodes, tmp_path: Path
) -> None:
    config = write_config(tmp_path, simulator.base_url, size=2000, engine=on_ray(4, cluster), max_in_flight=64)
    text = config.read_text().replace("max_in_flight: 64", "max_in_flight: 64\n    requests_per_minute: 600")
    config.write_text(text)
    simulator.reset()
    counted: list[tuple[float, dict[str, int]]] = []

    def long_enough() -> bool:
        if not counted or time.monotonic() > counted[-1][0] + 0.1:
            counted.append((time.monotonic(), simulator.stats()["by_model"]))
        begun = [at for at, by_model in counted if by_model.get("target", 0) > 5]
        return bool(begun) and time.monotonic() - begun[0] > 75

    os.environ.update(cluster.environment)
    try:
        run_until(config, long_enough, signal.SIGINT)
    finally:
        for name in cluster.environment:
            del os.environ[name]
    for model in ("strong", "target"):
        most = max(
            (late.get(model, 0) - early.get(model, 0))
            for then, early in counted
            for now, late in counted
            if 0 <= now - then <= 60
        )
        print(f"{model}: at most {most} calls within 60 s")
        assert most <= 606
    assert max(by_model.get("strong", 0) for _, by_model in counted) > 500  # it was the limit that held them back


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_calls_in_flight_and_loses_nothing(
    simulator: SimulatorProcess, tmp_path: Path, number: signal.Signals
) -> None:
    local = run_at(simulator, tmp_path / "local", size=60)
    calls = simulator.stats()["calls"]
    config = write_config(tmp_path / "ray", simulator.base_url, size=60, engine=on_ray(2))
    simulator.reset()
    said = tmp_path / "said"
    status = run_until(config, lambda: bool(simulator.stats()["calls"] > calls // 2), number, said=said)
    assert status == 130, said.read_text()
    recorded = sum(row["calls"] for row in manifest(tmp_path / "ray" / "run")["calls"])
    assert recorded == simulator.stats()["calls"]
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([local, tmp_path / "ray" / "run"])
