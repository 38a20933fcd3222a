"""The plan: what a probe costs, that it is not paid for twice, and that what is planned comes true."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.running import BUNDLED_SEEDS, SimulatorProcess, simulator_process

import codeclm
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import AuthFailed, BudgetReached, CallFailed
from codeclm.planning.estimate import Range
from codeclm.planning.plan import Plan, as_values, plan

PRICES = {"strong": {"input": 2, "output": 8}, "target": {"input": "0.1", "output": "0.3"}}


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process() as simulator:
        yield simulator


def config_in(folder: Path, base_url: str, **values: Any) -> dict[str, Any]:
    in_flight = values.pop("max_in_flight", 16)
    models = {
        name: {"model": name, "base_url": base_url, "max_in_flight": in_flight, "price": price, "retries": 1}
        for name, price in PRICES.items()
    }
    return {"seeds": str(BUNDLED_SEEDS), "size": 8, "run_dir": str(folder / "run"), "models": models} | values


def planned(values: dict[str, Any], rows: int) -> Plan:
    return asyncio.run(plan(_loaded(values), rows, say=lambda _: None))


def _loaded(values: dict[str, Any]) -> RunConfig:
    return from_mapping(values, folder=Path("/"))


def within(found: Range[int] | Range[Decimal], actual: float) -> bool:
    return float(found.low) <= actual <= float(found.high)


def test_without_a_probe_no_model_is_asked_and_the_plan_says_what_it_is_worth(
    tmp_path: Path, simulator: SimulatorProcess
) -> None:
    simulator.reset()
    made = planned(config_in(tmp_path, simulator.base_url), 0)
    assert simulator.stats()["calls"] == 0
    assert made.probed == 0
    assert made.estimate.seconds is None
    assert "--probe" in made.notes[0]
    assert made.estimate.total.calls.low < made.estimate.total.calls.point < made.estimate.total.calls.high
    saved = json.loads((tmp_path / "run" / "plan.json").read_bytes())
    assert saved == json.loads(json.dumps(as_values(made)))


def keys(folder: Path) -> set[bytes]:
    """The recorded calls of a run directory."""
    with closing(sqlite3.connect(folder / "run" / "journal.sqlite")) as db:
        return {key for (key,) in db.execute("SELECT key FROM calls")}


def test_the_calls_of_a_probe_are_the_runs_own_and_it_makes_so_many_fewer(
    tmp_path: Path, simulator: SimulatorProcess
) -> None:
    few = {"method": {"pool": 0}, "size": 16}
    plain, probed = tmp_path / "plain", tmp_path / "probed"
    codeclm.run(config_in(plain, simulator.base_url, **few))
    simulator.reset()
    planned(config_in(probed, simulator.base_url, **few), 4)
    probe = simulator.stats()["calls"]
    assert probe == len(keys(probed)) > 50
    assert keys(probed) < keys(plain)
    planned(config_in(probed, simulator.base_url, **few), 4)
    assert simulator.stats()["calls"] == probe  # another plan pays for nothing again
    codeclm.run(config_in(probed, simulator.base_url, **few))
    stats = simulator.stats()
    assert stats["repeated"] == 0
    assert stats["calls"] == len(keys(probed))
    one, other = (folder / "run" / "examples.jsonl" for folder in (plain, probed))
    assert one.read_bytes() == other.read_bytes()


def test_entries_written_by_hand_are_probed_too(tmp_path: Path, simulator: SimulatorProcess) -> None:
    rows = tmp_path / "metadata.csv"
    rows.write_text("use_case,skills\n" + "".join(f"task {n},geography facts\n" for n in range(6)))
    by_hand = {"seeds": None, "metadata": str(rows), "method": {"pool": 0}, "size": 20}
    made = planned(config_in(tmp_path / "probed", simulator.base_url, **by_hand), 3)
    assert made.probed == 3
    assert "encode" not in made.estimate.stages
    codeclm.run(config_in(tmp_path / "plain", simulator.base_url, **by_hand))
    assert 30 < len(keys(tmp_path / "probed")) < len(keys(tmp_path / "plain"))
    assert keys(tmp_path / "probed") < keys(tmp_path / "plain")


def test_seeds_are_encoded_once_each_and_the_pool_is_filled(tmp_path: Path, simulator: SimulatorProcess) -> None:
    made = planned(config_in(tmp_path, simulator.base_url, method={"pool": 40}), 2)
    assert made.estimate.stages["encode"].calls == Range(20, 20, 20)
    assert within(made.estimate.stages["reasonable"].calls, 25)
    assert (
        "reasonable"
        not in planned(config_in(tmp_path / "b", simulator.base_url, method={"pool": 0}), 0).estimate.stages
    )


def test_an_unknown_price_is_said_and_makes_its_stages_and_the_sum_unknown(
    tmp_path: Path, simulator: SimulatorProcess
) -> None:
    values = config_in(tmp_path, simulator.base_url)
    del values["models"]["target"]["price"]
    made = planned(values, 0)
    assert made.estimate.stages["target_answer"].usd is None
    assert made.estimate.total.usd is None
    assert made.estimate.stages["strong_answer"].usd is not None
    assert any(note.startswith("models.target: ") for note in made.notes)


@pytest.mark.parametrize(("limit", "says"), [({"calls": 50}, "is not enough"), ({"usd": 1000}, "")])
def test_a_budget_that_will_not_do_is_said(
    tmp_path: Path, simulator: SimulatorProcess, limit: dict[str, int], says: str
) -> None:
    made = planned(config_in(tmp_path, simulator.base_url, budget=limit), 0)
    found = [note for note in made.notes if note.startswith("budget.")]
    assert [says in note for note in found] == ([True] if says else [])


def test_a_probe_keeps_to_the_budget(tmp_path: Path, simulator: SimulatorProcess) -> None:
    simulator.reset()
    with pytest.raises(BudgetReached):
        planned(config_in(tmp_path, simulator.base_url, budget={"calls": 12}), 5)
    assert simulator.stats()["calls"] <= 12


def test_a_probe_of_models_in_batch_mode_is_sent_live(tmp_path: Path, simulator: SimulatorProcess) -> None:
    values = config_in(tmp_path, simulator.base_url)
    values["models"]["strong"]["batch"] = True
    simulator.reset()
    made = planned(values, 1)
    assert simulator.stats()["by_prompt"]["decode"] == 1
    assert not any(simulator.stats()["batches"].values())
    assert made.probed == 1
    assert made.estimate.seconds is not None
    assert made.estimate.seconds.point > 3600
    assert any("batch" in note for note in made.notes)


def test_a_model_that_is_not_there_is_told(tmp_path: Path, simulator: SimulatorProcess) -> None:
    values = config_in(tmp_path, simulator.base_url)
    values["models"]["target"]["model"] = "other"
    with pytest.raises(CallFailed):
        planned(values, 1)


def test_a_plan_does_not_make_the_directory_foreign_to_a_run(tmp_path: Path) -> None:
    values = config_in(tmp_path, "simulator", size=3)
    planned(values, 0)
    assert codeclm.run(values).manifest["examples"] == 3
    planned(values, 0)  # nor to a plan after the run


def test_where_nothing_passes_the_plan_warns(tmp_path: Path, simulator: SimulatorProcess) -> None:
    values = config_in(tmp_path, simulator.base_url, size=3, method={"threshold": 8.9, "iterations": 1, "pool": 0})
    made = planned(values, 2)
    assert made.estimate.kept_share.low < 0.05
    assert any("Hardly any" in note for note in made.notes)


def test_the_same_plan_again_tells_the_same_calls(tmp_path: Path, simulator: SimulatorProcess) -> None:
    first, again = (planned(config_in(tmp_path, simulator.base_url), 2).estimate for _ in range(2))
    assert first.total.calls == again.total.calls


WEAK = "weak_skills=[arithmetic reasoning, python programming, geography facts, budget control]"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ({}, ()),
        ({"threshold": 1.5, "iterations": 2}, ()),
        ({"pool": 60, "instructions_per_entry": 3}, (WEAK,)),
    ],
    ids=["defaults", "low threshold", "other models"],
)
def test_what_is_planned_comes_true(tmp_path: Path, method: dict[str, Any], options: tuple[str, ...]) -> None:
    with simulator_process(*options) as real:
        values = config_in(tmp_path, real.base_url, size=300, method=method, max_in_flight=512)
        made = planned(values, 5)
        found = codeclm.run(values).manifest
    rows = [row for row in found["calls"] if row["stage"] != "handshake"]
    calls = sum(row["calls"] for row in rows)
    tokens = sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)
    total = made.estimate.total
    assert within(total.calls, calls)
    assert within(total.tokens, tokens)
    assert total.usd is not None
    assert within(total.usd, found["usd"])
    assert calls == pytest.approx(total.calls.point, rel=0.25)
    assert tokens == pytest.approx(total.tokens.point, rel=0.25)
    assert found["usd"] == pytest.approx(float(total.usd.point), rel=0.25)


def test_a_refused_key_ends_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODECLM_TEST_PLAN_KEY", "a-key-0123456789")
    with simulator_process("api_key_env=CODECLM_TEST_PLAN_KEY") as closed, pytest.raises(AuthFailed):
        planned(config_in(tmp_path, closed.base_url), 1)
