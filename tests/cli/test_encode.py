"""`codeclm encode` as a user types it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import SimulatorProcess, codeclm, run_until, simulator_process, write_config


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.002") as running:
        yield running


def test_it_says_what_it_wrote_and_pays_for_nothing_twice(tmp_path: Path, simulator: SimulatorProcess) -> None:
    config = write_config(tmp_path, simulator.base_url)
    simulator.reset()
    done = codeclm("encode", config, "--out", tmp_path / "metadata.csv")
    assert done.status == 0, done
    assert f"wrote 20 seeds with their metadata to {tmp_path / 'metadata.csv'}" in done.out
    assert f"encode_examples: {tmp_path / 'metadata.csv'}" in done.out
    again = codeclm("encode", config, "--out", tmp_path / "metadata.csv", "--json")
    assert again.status == 0, again
    assert json.loads(again.out.splitlines()[-1]) == {
        "event": "done", "out": str(tmp_path / "metadata.csv"), "rows": 20, "failed": [], "calls": 0,
    }  # fmt: skip
    assert simulator.stats()["repeated"] == 0


def test_ctrl_c_stops_it_and_it_goes_on_from_there(tmp_path: Path, simulator: SimulatorProcess) -> None:
    config = write_config(tmp_path, simulator.base_url, max_in_flight=1)
    simulator.reset()
    said, table = tmp_path / "said", tmp_path / "metadata.csv"
    command = ("encode", "--out", str(table))
    status = run_until(config, lambda: simulator.stats()["calls"] > 6, signal.SIGINT, said=said, command=command)
    assert status == 130
    assert "Stopped: every call that ended is recorded, and no table was written." in said.read_text()
    assert f"codeclm encode {config} --out {table}" in said.read_text()
    assert not table.exists()
    assert codeclm("encode", config, "--out", table).status == 0
    assert simulator.stats()["repeated"] == 0
    assert table.exists()


def test_it_is_under_the_runs_budget(tmp_path: Path, simulator: SimulatorProcess) -> None:
    config = write_config(tmp_path, simulator.base_url, budget={"calls": 10})
    simulator.reset()
    done = codeclm("encode", config, "--out", tmp_path / "metadata.csv")
    assert done.status == 3, done
    assert simulator.stats()["calls"] == 10
    assert done.err.strip().endswith("--set budget.calls=MORE")


def test_a_table_that_cannot_be_written_is_bad_usage(tmp_path: Path) -> None:
    config = write_config(tmp_path, "simulator")
    done = codeclm("encode", config, "--out", tmp_path / "metadata.xlsx")
    assert done.status == 2, done
    assert "ends in .csv" in done.error
