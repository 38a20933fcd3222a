"""Everything goes wrong now and then, and nothing comes of it: no example lost, the same bytes, each fault counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.running import SEEDS_175, codeclm, manifest, rows, simulator_process, write_config

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
