"""A run with a budget, from the command line: it stops before the cap, says so, and goes on when the cap is raised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import SimulatorProcess, codeclm, manifest, same_bytes, simulator_process, write_config

PRICE = "{input: 1, output: 2}"
PRICES = [f"--set=models.{name}.price={PRICE}" for name in ("strong", "target")]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.002") as running:
        yield running


def usd(stats: dict[str, int]) -> float:
    return (stats["prompt_tokens"] + 2 * stats["completion_tokens"]) / 1e6


def test_it_stops_before_the_cap_and_goes_on_when_it_is_raised(tmp_path: Path, simulator: SimulatorProcess) -> None:
    unbroken = write_config(tmp_path / "unbroken", simulator.base_url, size=15)
    simulator.reset()
    assert codeclm("run", unbroken, *PRICES).status == 0
    whole = usd(simulator.stats())
    assert manifest(tmp_path / "unbroken" / "run")["usd"] == pytest.approx(whole, rel=1e-9)

    config = write_config(tmp_path / "capped", simulator.base_url, size=15)
    simulator.reset()
    cap = f"{whole * 0.7:.6f}"
    done = codeclm("run", config, *PRICES, f"--set=budget.usd={cap}")
    assert done.status == 3, done
    assert f"of ${float(cap)}" in done.error
    assert "raise `budget.usd` and run again" in done.error
    assert done.err.strip().endswith("--set budget.usd=MORE")
    assert usd(simulator.stats()) <= float(cap)
    assert usd(simulator.stats()) > 0.5 * float(cap)
    stopped = manifest(tmp_path / "capped" / "run")
    assert stopped["state"] == "stopped"
    assert 0 < stopped["examples"] < 15
    assert "The budget is used up" in stopped["error"]

    done = codeclm("run", config, *PRICES, f"--set=budget.usd={whole * 3:.6f}")
    assert done.status == 0, done
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([tmp_path / "unbroken" / "run", tmp_path / "capped" / "run"])


def test_a_budget_in_calls_is_kept_to_the_call(tmp_path: Path, simulator: SimulatorProcess) -> None:
    config = write_config(tmp_path, simulator.base_url, budget={"calls": 100})
    simulator.reset()
    done = codeclm("run", config)
    assert done.status == 3, done
    assert "100 of 100 calls" in done.error
    assert simulator.stats()["calls"] == 100
    assert codeclm("run", config).status == 3
    assert simulator.stats()["calls"] == 100


def test_a_budget_too_small_for_a_first_call_ends_the_run_before_there_is_a_file_to_name(
    tmp_path: Path, simulator: SimulatorProcess
) -> None:
    config = write_config(tmp_path, simulator.base_url, budget={"tokens": 10})
    simulator.reset()
    done = codeclm("run", config)
    assert done.status == 3, done
    assert "there are no examples yet" in " ".join((done.out + done.err).split())
    assert simulator.stats()["calls"] == 0


def test_dollars_need_the_price_of_every_model(tmp_path: Path, simulator: SimulatorProcess) -> None:
    config = write_config(tmp_path, simulator.base_url, budget={"usd": 1})
    simulator.reset()
    done = codeclm("run", config, f"--set=models.strong.price={PRICE}")
    assert done.status == 2
    assert "models.target" in done.error
    assert "models.strong" not in done.error
    assert "{input: 0, output: 0}" in done.error
    assert simulator.stats()["calls"] == 0
