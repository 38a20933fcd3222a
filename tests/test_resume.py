"""What a kill costs: no more calls made again than were in flight, counted by the server."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.running import codeclm, manifest, run_until, simulator_process, write_config

OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")


@pytest.mark.parametrize(
    ("size", "at", "latency"),
    [
        pytest.param(15, 300, 0.01, marks=pytest.mark.slow),
        pytest.param(65, 1000, 0.05, marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
def test_killed_half_way_with_64_calls_in_flight_no_more_than_those_are_made_again(
    tmp_path: Path, size: int, at: int, latency: float
) -> None:
    with simulator_process() as simulator:
        whole = write_config(tmp_path / "whole", simulator.base_url, size=size)
        assert codeclm("run", whole).status == 0
    with simulator_process(f"latency={latency}", "latency_distribution=exponential") as simulator:
        config = write_config(tmp_path / "killed", simulator.base_url, size=size, max_in_flight=32)
        status = run_until(config, lambda: bool(simulator.stats()["calls"] >= at), signal.SIGKILL)
        assert status == -signal.SIGKILL
        done = codeclm("run", config)
        assert done.status == 0, done
        recorded = sum(row["calls"] for row in manifest(tmp_path / "killed" / "run")["calls"])
        assert recorded > 1.5 * at
        assert simulator.stats()["calls"] - recorded <= 64
    for name in OUTPUTS:
        assert (tmp_path / "killed" / "run" / name).read_bytes() == (tmp_path / "whole" / "run" / name).read_bytes()
