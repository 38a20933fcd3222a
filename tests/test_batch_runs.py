"""Whole runs in batch mode: the bytes of the live run, whatever process is killed in whatever phase of a batch."""

from __future__ import annotations

import json
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
PHASES = ("upload", "create", "created", "poll", "content")
ALL = ("strong", "target", "judge")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process() as running:
        yield running


def configured(folder: Path, base_url: str, *batched: str, **values: Any) -> Path:
    """A small run with the ``batched`` models in batch mode."""
    seeds = folder / "seeds.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    seeds.write_text("".join(json.dumps({"instruction": f"Write {n} lines about rain."}) + "\n" for n in range(4)))
    models = {name: {"model": name, "base_url": base_url, "batch": name in batched} for name in ALL}
    method = {"pool": 4, "iterations": 1, "threshold": 1}
    usual = {"seeds": str(seeds), "size": 4, "models": models, "method": method}
    return write_config(folder, base_url, **(usual | values))


def finished(config: Path) -> Path:
    """The run directory of a run that ends well."""
    done = codeclm("run", config)
    assert done.status == 0, done
    return config.parent / "run"


@pytest.fixture(scope="module")
def live(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run, live."""
    return finished(configured(tmp_path_factory.mktemp("live"), simulator.base_url))


@pytest.mark.parametrize("batched", [pytest.param(("judge",), marks=pytest.mark.slow), ALL])
def test_a_run_in_batches_gives_the_bytes_of_the_live_run(
    simulator: SimulatorProcess, live: Path, tmp_path: Path, batched: tuple[str, ...]
) -> None:
    simulator.reset()
    folder = finished(configured(tmp_path, simulator.base_url, *batched))
    stats = simulator.stats()
    assert stats["repeated"] == 0
    assert 0 < stats["batches"]["creates"] < stats["calls"] / 4
    assert sum(row["calls"] for row in manifest(folder)["calls"]) == stats["calls"]
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (live / name).read_bytes()
    simulator.reset()
    finished(tmp_path / "config.yaml")
    assert (simulator.stats()["calls"], simulator.stats()["batches"]) == (0, {})


def test_killed_in_every_phase_of_a_batch_nothing_is_paid_for_twice(live: Path, tmp_path: Path) -> None:
    with simulator_process(f"batch_hold=[{','.join(PHASES)}]") as simulator:
        config = configured(tmp_path, simulator.base_url, "judge")
        for kills in range(1, len(PHASES) + 1):

            def held(kills: int = kills) -> bool:
                return bool(simulator.stats()["batches"].get("held") == kills)

            assert run_until(config, held, signal.SIGKILL) == -signal.SIGKILL
        folder = finished(config)
        stats = simulator.stats()
    assert stats["repeated"] == 0
    # One batch was never created, which was made sure of; one was, and was found again.
    assert (stats["batches"]["held"], stats["batches"]["deletes"]) == (5, 1)
    assert sum(row["calls"] for row in manifest(folder)["calls"]) == stats["calls"]
    assert same_bytes([folder, live])


def test_ctrl_c_leaves_a_batch_under_way_and_says_so(live: Path, tmp_path: Path) -> None:
    with simulator_process("batch_latency=0.3") as simulator:
        config = configured(tmp_path, simulator.base_url, "judge")
        said = tmp_path / "said"
        assert (
            run_until(config, lambda: simulator.stats()["batches"].get("polls", 0) > 0, signal.SIGINT, said=said) == 130
        )
        assert "1 batch goes on at the provider" in said.read_text()
        assert "Traceback" not in said.read_text()
        folder = finished(config)
        assert simulator.stats()["repeated"] == 0
    assert same_bytes([folder, live])


@pytest.mark.slow
def test_a_server_without_batches_is_told_with_the_remedy(tmp_path: Path) -> None:
    with simulator_process("batches=false") as simulator:
        done = codeclm("run", configured(tmp_path, simulator.base_url, "judge"))
    assert done.status == 2
    assert "this endpoint has no Batch API" in done.error
    assert "models.judge.batch: false" in done.error


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not SEEDS_175.exists(), reason=f"{SEEDS_175} is not here (set CODECLM_SHARED_DATA)")
def test_200_examples_in_batches_that_expire_fail_and_are_killed(tmp_path: Path) -> None:
    values: dict[str, Any] = {"seeds": str(SEEDS_175), "size": 200, "method": {}}
    with simulator_process() as simulator:
        folders = [
            finished(configured(tmp_path / "-".join(batched or ("live",)), simulator.base_url, *batched, **values))
            for batched in ((), ("judge",), ALL)
        ]
    faults = (
        "batch_expire=0.05",
        "batch_error=0.05",
        "batch_fail_first=2",
        "batch_most_lines=400",
        "batch_latency=0.2",
    )
    with simulator_process(*faults) as simulator:
        config = configured(tmp_path / "hard", simulator.base_url, *ALL, **values)
        for moment in (3, 8, 15):

            def reached(moment: int = moment) -> bool:
                return bool(simulator.stats()["batches"].get("creates", 0) >= moment)

            assert run_until(config, reached, signal.SIGKILL) == -signal.SIGKILL
        folders.append(finished(config))
        assert simulator.stats()["repeated"] == 0
    for name in OUTPUTS:
        assert len({(folder / name).read_bytes() for folder in folders}) == 1
