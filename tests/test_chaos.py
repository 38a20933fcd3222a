"""Everything goes wrong now and then, and nothing comes of it: no example lost, the same bytes, each fault counted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.running import BUNDLED_SEEDS, SEEDS_175, codeclm, manifest, rows, simulator_process, write_config

from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.generate import generate
from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import Simulator

OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")
FAULTS = {
    "rate_429": 0.1, "rate_500": 0.05, "rate_hang": 0.01, "rate_malformed": 0.01, "rate_truncated": 0.02,
    "rate_drop": 0.01,
}  # fmt: skip
# What the simulator calls a fault, and the cause under which it is counted here.
CAUSES = {
    "429": "rate", "500": "server", "hang": "timeout", "malformed": "malformed", "truncated": "truncated",
    "drop": "connection",
}  # fmt: skip


def config_of(folder: Path, base_url: str, timeout: float, **values: Any) -> Path:
    endpoint = {"base_url": base_url, "timeout": timeout}
    models = {name: endpoint | {"model": name} for name in ("strong", "target")}
    return write_config(folder, base_url, models=models, **values)


def faulty(retry_after: float, seed: int = 0) -> list[str]:
    return [f"{name}={rate}" for name, rate in FAULTS.items()] + [f"retry_after={retry_after}", f"fault_seed={seed}"]


def run_through(config: Path) -> Path:
    done = codeclm("run", config)
    assert done.status == 0, done
    return config.parent / "run"


def check(folder: Path, calm: Path, stats: dict[str, Any]) -> None:
    """The run in ``folder`` met faults and is none the worse for it."""
    assert rows(folder / "failures.jsonl") == []
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (calm / name).read_bytes(), name
    assert manifest(folder)["faults"] == {CAUSES[name]: count for name, count in stats["by_fault"].items()}
    assert len(stats["by_fault"]) == len(FAULTS)
    recorded = sum(row["calls"] for row in manifest(folder)["calls"])
    lost = sum(count for name, count in stats["by_fault"].items() if name != "truncated")  # cut replies are recorded
    exams = stats["calls"] - recorded - lost
    assert 0 <= exams <= 3
    assert stats["repeated"] == 0


def test_faults_of_every_kind_change_nothing(tmp_path: Path) -> None:
    settings = {"size": 12, "method": {"pool": 25}}
    with simulator_process() as calm:
        expected = run_through(config_of(tmp_path / "calm", calm.base_url, timeout=30, **settings))
    with simulator_process(*faulty(retry_after=0.01)) as chaotic:
        folder = run_through(config_of(tmp_path / "chaos", chaotic.base_url, timeout=2, **settings))
        check(folder, expected, chaotic.stats())


async def test_a_server_that_dies_and_comes_back_fails_no_item_and_changes_no_byte(tmp_path: Path) -> None:
    def config(name: str, base_url: str) -> RunConfig:
        # Not one attempt to spare: what the outage breaks must not count.
        models = {model: {"model": model, "base_url": base_url, "retries": 0} for model in ("strong", "target")}
        values = {"seeds": str(BUNDLED_SEEDS), "size": 12, "run_dir": name, "models": models, "method": {"pool": 25}}
        return from_mapping(values, folder=tmp_path)

    async with Simulator(SimulatorOptions(die_after=150)) as dying, Simulator() as other:
        calm = await generate(config("calm", other.base_url))
        running = asyncio.create_task(generate(config("run", dying.base_url)))
        await dying.dead.wait()
        await dying.stop()
        back = Simulator()
        await back.start(int(dying.base_url.split(":")[-1].removesuffix("/v1")))
        try:
            result = await running
        finally:
            await back.stop()
        assert back.stats()["calls"] > 50
    assert result.manifest["faults"]["connection"] > 0
    for name in OUTPUTS:
        assert (result.run_dir / name).read_bytes() == (calm.run_dir / name).read_bytes()
    assert rows(result.run_dir / "failures.jsonl") == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_faults_of_every_kind_change_nothing_of_500_examples(tmp_path: Path) -> None:
    seeds = {"seeds": str(SEEDS_175), "size": 500}
    with simulator_process() as calm:
        expected = run_through(config_of(tmp_path / "calm", calm.base_url, timeout=60, **seeds))
    with simulator_process(*faulty(retry_after=1)) as chaotic:
        folder = run_through(config_of(tmp_path / "chaos", chaotic.base_url, timeout=5, **seeds))
        check(folder, expected, chaotic.stats())
    assert len(rows(folder / "examples.jsonl")) == 500
