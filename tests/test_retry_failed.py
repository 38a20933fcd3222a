"""`codeclm run --retry-failed`: only what failed is done again, any later run keeps what came of it, kills or not."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.running import BUNDLED_SEEDS, codeclm, manifest, rows, simulator_process, write_config

from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import CallFailed, EndpointDown
from codeclm.generate import RunResult, generate
from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import Simulator

OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")
POOL = ("encode", "mix_and_match")


def config_in(folder: Path, base_url: str, **values: Any) -> RunConfig:
    """A run whose answers are recorded under one name, wherever its server is."""
    endpoint = {
        "base_url": base_url,
        "identity": "http://there/v1",
        "retries": 1,
        "give_up_after": 0,
        "max_in_flight": 2,
    }
    models = {name: endpoint | {"model": name} for name in ("strong", "target")}
    base = {"seeds": str(BUNDLED_SEEDS), "size": 12, "run_dir": "run", "models": models, "method": {"pool": 25}}
    return from_mapping(base | values, folder=folder)


async def run(folder: Path, base_url: str, *, retry_failed: bool = False, **values: Any) -> RunResult:
    return await generate(config_in(folder, base_url, **values), retry_failed=retry_failed)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "run" / name).read_bytes() for name in OUTPUTS}


def failed(folder: Path) -> Counter[str]:
    """Failures by whether they came while the pool was made."""
    found = rows(folder / "run" / "failures.jsonl")
    return Counter("pool" if row["stage"] in POOL else "slots" for row in found)


@pytest.fixture
async def refused(tmp_path: Path) -> Path:
    """A complete run in which some of everything was refused."""
    async with Simulator(SimulatorOptions(rate_refused=0.06, fault_seed=3)) as simulator:
        await run(tmp_path, simulator.base_url)
    assert failed(tmp_path)["pool"] > 0
    assert failed(tmp_path)["slots"] > 5
    return tmp_path


async def test_failed_ones_alone_are_done_again_and_any_later_run_keeps_that(refused: Path) -> None:
    before = outputs(refused)
    recorded = sum(row["calls"] for row in manifest(refused / "run")["calls"])
    pool_failures = failed(refused)["pool"]
    async with Simulator() as simulator:
        await run(refused, simulator.base_url)
        assert simulator.stats()["calls"] == 0
        assert outputs(refused) == before
        await run(refused, simulator.base_url, retry_failed=True)
        stats = simulator.stats()
        assert 0 < stats["calls"] < recorded
        assert stats["repeated"] == 0
    retried = outputs(refused)
    assert failed(refused) == {"pool": pool_failures}
    assert retried["metadata.jsonl"] == before["metadata.jsonl"]
    assert manifest(refused / "run")["state"] == "complete"
    await run(refused, "http://127.0.0.1:9/v1")  # where nothing is
    assert outputs(refused) == retried


async def test_a_retry_that_is_broken_off_comes_to_the_same(refused: Path) -> None:
    whole = refused / "whole"
    shutil.copytree(refused / "run", whole / "run")
    async with Simulator() as simulator:
        await run(whole, simulator.base_url, retry_failed=True)
        calls = simulator.stats()["calls"]
    before = outputs(refused)
    async with Simulator(SimulatorOptions(die_after=5)) as dying:
        with pytest.raises(EndpointDown):
            await run(refused, dying.base_url, retry_failed=True)
    async with Simulator() as simulator:
        await run(refused, simulator.base_url)  # finishes what was begun, and begins nothing
        assert simulator.stats()["calls"] < calls
    assert outputs(refused) not in (before, outputs(whole)), "it was broken off half-way"
    async with Simulator() as simulator:
        await run(refused, simulator.base_url, retry_failed=True)
    assert outputs(refused) == outputs(whole)


async def test_what_fails_again_is_tried_once_by_each_retrying_run(refused: Path) -> None:
    async with Simulator(SimulatorOptions(rate_refused=1.0)) as refusing:
        await run(refused, refusing.base_url, retry_failed=True)
        first = refusing.stats()["calls"]
        assert 5 < failed(refused)["slots"] <= first
        await run(refused, refusing.base_url, retry_failed=True)
        assert refusing.stats()["calls"] == 2 * first
        await run(refused, refusing.base_url)
        assert refusing.stats()["calls"] == 2 * first


async def test_a_new_directory_with_the_journal_tries_the_pools_failures_too(refused: Path) -> None:
    (refused / "new" / "run").mkdir(parents=True)
    shutil.copy(refused / "run" / "journal.sqlite", refused / "new" / "run")
    async with Simulator() as simulator:
        await run(refused / "new", simulator.base_url, retry_failed=True)
        assert simulator.stats()["repeated"] == 0
    assert failed(refused / "new") == {}
    new = outputs(refused / "new")
    await run(refused / "new", "http://127.0.0.1:9/v1")
    assert outputs(refused / "new") == new


async def test_failures_on_the_way_are_tried_again_by_any_run(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        await run(tmp_path, simulator.base_url, size=3)
        with pytest.raises(CallFailed):
            await run(tmp_path, "http://127.0.0.1:9/v1", size=6)
        await run(tmp_path, simulator.base_url, size=6)
        assert simulator.stats()["repeated"] == 0
    assert rows(tmp_path / "run" / "failures.jsonl") == []


def test_the_command_says_what_failed_and_how_to_try_it_again(tmp_path: Path) -> None:
    with simulator_process("rate_refused=0.06", "fault_seed=3") as refusing:
        config = write_config(tmp_path, refusing.base_url, size=8, method={"pool": 25})
        done = codeclm("run", config)
        assert done.status == 0, done
        causes = Counter((row["stage"], row["cause"]) for row in rows(tmp_path / "run" / "failures.jsonl"))
        for (stage, cause), count in causes.items():
            assert f"{stage} {cause} {count}" in " ".join(done.out.split())
        out = done.out.replace("\n", "")
        assert f"To try them again: codeclm run {config} --retry-failed" in out
        assert "came before the pool was complete" in out
        assert "a new run_dir with a copy of" in out
        again = codeclm("run", config, "--retry-failed")
        assert again.status == 0, again
        assert len(rows(tmp_path / "run" / "failures.jsonl")) < causes.total()


def test_a_run_without_failures_speaks_of_none(tmp_path: Path) -> None:
    with simulator_process() as simulator:
        done = codeclm("run", write_config(tmp_path, simulator.base_url, size=3, method={"pool": 0}))
    assert done.status == 0, done
    assert "What failed" not in done.out
    assert "retry-failed" not in done.out
