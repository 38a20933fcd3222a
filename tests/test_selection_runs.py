"""Whole runs by every selection: the same bytes at any concurrency and after kills, and what is said adds up."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.running import SimulatorProcess, codeclm, manifest, rows, run_until, same_bytes, simulator_process
from tests.test_generate import SIMULATED, config_in
from tests.test_invariant import OUTPUTS, killed_run, run_at

import codeclm as api
from codeclm.errors import ConfigError, OutputError, RunFailed
from codeclm.held import Held
from codeclm.reselect import export_run

SELECTIONS = ("quota", "top", pytest.param("random", marks=pytest.mark.slow))
STATUSES = ("kept", "discarded", "failed", "duplicate", "surplus")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.004", "latency_distribution=exponential") as running:
        yield running


def adds_up(folder: Path) -> dict[str, Any]:
    """The manifest, held against the files beside it."""
    found = manifest(folder)
    counts = found["counts"]
    assert counts["instructions"] == sum(counts[name] for name in STATUSES)
    assert "undecided" not in counts
    files = {name: rows(folder / f"{name}.jsonl") for name in ("examples", "discarded", "failures")}
    assert len(files["examples"]) == counts["kept"] == found["examples"]
    discarded = Counter(row["status"] for row in files["discarded"])
    assert discarded == {name: counts[name] for name in ("discarded", "duplicate", "surplus") if counts[name]}
    by_iteration = Counter(str(row["iteration"]) for row in files["examples"])
    assert found["kept_by_iteration"] == dict(sorted(by_iteration.items()))
    gaps = [abs(row["gap"]) for row in files["examples"]]
    assert found["mean_gap"] == pytest.approx(sum(gaps) / len(gaps))
    for found_rows in files.values():
        ids = [row["id"] for row in found_rows]
        assert ids == sorted(ids)  # in slot order
    ids = [row["id"] for found_rows in files.values() for row in found_rows]
    assert len(ids) == len(set(ids))
    return found


@pytest.mark.parametrize("how", SELECTIONS)
def test_the_output_is_the_same_bytes_at_any_concurrency_and_after_kills(
    simulator: SimulatorProcess, tmp_path: Path, how: str
) -> None:
    values: dict[str, Any] = {"size": 8, "method": {"selection": how, "pool": 12}}
    one, calls = run_at(simulator, tmp_path / "one", max_in_flight=8, **values)
    other, _ = run_at(simulator, tmp_path / "other", max_in_flight=200, **values)
    killed, in_all, _ = killed_run(simulator, tmp_path / "killed", kills=2, calls=calls, max_in_flight=8, **values)
    for name in OUTPUTS:
        assert (one / name).read_bytes() == (other / name).read_bytes() == (killed / name).read_bytes(), name
    assert in_all - calls <= 2 * 2 * 8
    assert len(rows(one / "examples.jsonl")) == 8
    adds_up(one)


@pytest.mark.parametrize("how", SELECTIONS[1:])
def test_a_run_stopped_while_it_gathers_selects_from_what_there_is_and_ends_as_if_it_had_not_been(
    simulator: SimulatorProcess, tmp_path: Path, how: str
) -> None:
    values: dict[str, Any] = {"size": 20, "method": {"selection": how, "pool": 20}, "max_in_flight": 4}
    whole, calls = run_at(simulator, tmp_path / "whole", **values)
    simulator.reset()
    (tmp_path / "stopped").mkdir()
    config = tmp_path / "stopped" / "config.yaml"
    config.write_text((tmp_path / "whole" / "config.yaml").read_text())
    said = tmp_path / "said"
    status = run_until(config, lambda: bool(simulator.stats()["calls"] > calls * 0.6), signal.SIGINT, said=said)
    assert status == 130
    folder = tmp_path / "stopped" / "run"
    stopped = adds_up(folder)
    assert stopped["state"] == "stopped"
    candidates = stopped["candidates"]
    assert 0 < candidates["found"] < candidates["wanted"]
    assert stopped["counts"]["kept"] == min(20, candidates["found"])
    assert "Traceback" not in said.read_text()
    assert codeclm("run", config).status == 0
    assert simulator.stats()["repeated"] == 0
    assert same_bytes([whole, folder])


@pytest.mark.parametrize("how", SELECTIONS)
def test_growing_the_size_pays_for_nothing_twice_and_comes_to_what_a_new_run_does(
    simulator: SimulatorProcess, tmp_path: Path, how: str
) -> None:
    values: dict[str, Any] = {"method": {"selection": how, "pool": 20}}
    grown, _ = run_at(simulator, tmp_path / "grown", size=6, **values)
    assert codeclm("run", tmp_path / "grown" / "config.yaml", "--set", "size=12").status == 0
    assert simulator.stats()["repeated"] == 0
    new, _ = run_at(simulator, tmp_path / "new", size=12, **values)
    assert same_bytes([grown, new])
    simulator.reset()
    assert codeclm("run", tmp_path / "new" / "config.yaml").status == 0
    assert simulator.stats()["calls"] == 0
    assert same_bytes([grown, new])


def test_the_control_draws_from_the_instructions_that_codeclm_made(tmp_path: Path) -> None:
    def made(name: str) -> Path:
        return api.run(config_in(tmp_path, run_dir=name, size=40, method={"name": name})).run_dir

    chosen, control = made("codeclm"), made("random")
    found = adds_up(control)

    def histories(folder: Path) -> dict[str, list[str]]:
        files = [row for name in ("examples", "discarded") for row in rows(folder / f"{name}.jsonl")]
        return {row["id"]: [step["instruction"] for step in row["history"]] for row in files}

    pool, drawn = histories(chosen), histories(control)
    assert pool.keys() == drawn.keys()
    assert all(pool[name][: len(texts)] == texts for name, texts in drawn.items())
    examples = rows(control / "examples.jsonl")
    assert len(examples) == 40
    assert {row["kept_answer"] for row in examples} == {"strong"}
    assert any(abs(row["gap"]) <= 3 for row in examples)
    assert manifest(control)["mean_gap"] < manifest(chosen)["mean_gap"] - 1
    assert found["candidates"] == {"found": 40, "wanted": 40}


def test_the_widest_gaps_are_wider_than_the_first(tmp_path: Path) -> None:
    first = api.run(config_in(tmp_path, run_dir="first", size=30))
    top = api.run(config_in(tmp_path, run_dir="top", size=30, method={"selection": "top", "oversample": 3}))
    adds_up(top.run_dir)
    assert top.manifest["counts"]["kept"] == 30
    assert top.manifest["candidates"] == {"found": 90, "wanted": 90}
    assert top.manifest["mean_gap"] > first.manifest["mean_gap"] + 0.5
    assert "candidates" not in first.manifest


def test_a_quota_evens_out_the_use_cases_and_gives_up_where_it_can_not_be_met(tmp_path: Path) -> None:
    written = tmp_path / "metadata.csv"
    written.write_text("use_case,skills\n" + "recipe writing,time control\n" + "Recipe Writing,geography facts\n")
    by_hand = {"seeds": None, "metadata": "metadata.csv", "method": {"pool": 0, "selection": "quota", "patience": 4}}
    found = api.run(config_in(tmp_path, run_dir="met", size=6, **by_hand)).manifest
    assert found["counts"]["kept"] == 6  # one use case, whatever its case
    even = api.run(config_in(tmp_path, run_dir="even", size=40, method={"selection": "quota"})).run_dir
    pool = {row["use_case"].casefold() for row in rows(even / "metadata.jsonl") if not row["turned_away"]}
    by_use_case = Counter(row["use_case"].casefold() for row in rows(even / "examples.jsonl"))
    assert max(by_use_case.values()) <= -(-40 // len(pool))
    twins = {"strong": SIMULATED["strong"], "target": SIMULATED["strong"]}
    with pytest.raises(RunFailed, match="quota of their use case"):
        api.run(config_in(tmp_path, run_dir="not", size=6, **by_hand, models=twins))


def test_a_gathering_run_that_gives_up_still_selects(tmp_path: Path) -> None:
    method = {"selection": "top", "patience": 2, "pool": 0, "threshold": 6.5, "iterations": 1, "oversample": 100}
    with pytest.raises(RunFailed, match="of 300 candidates to select from"):
        api.run(config_in(tmp_path, size=3, method=method))
    found = adds_up(tmp_path / "run")
    assert found["state"] == "failed"
    assert 0 < found["counts"]["kept"] <= 3


def test_where_there_is_no_room_to_select_the_files_there_were_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Held) -> Iterator[Any]:
        raise OutputError("no room")

    monkeypatch.setattr(Held, "decided", full)
    with pytest.raises(OutputError, match="no room"):
        api.run(config_in(tmp_path, size=3, method={"selection": "top", "pool": 0}))
    assert not (tmp_path / "run" / "examples.jsonl").exists()
    assert manifest(tmp_path / "run")["state"] == "failed"
    monkeypatch.undo()
    assert api.run(config_in(tmp_path, size=3, method={"selection": "top", "pool": 0})).manifest["examples"] == 3


def test_another_threshold_selects_as_the_run_does(tmp_path: Path) -> None:
    for how in ("quota", "top"):
        method = {"selection": how, "pool": 20}
        high = api.run(config_in(tmp_path, run_dir=f"{how}-3", size=15, method=method)).run_dir
        exported = export_run(high, out=tmp_path / f"{how}.jsonl", threshold=2)
        low = api.run(config_in(tmp_path, run_dir=f"{how}-2", size=15, method={**method, "threshold": 2})).run_dir
        assert exported.rows == 15
        assert [row["messages"] for row in rows(exported.path)] == [
            row["messages"] for row in rows(low / "examples.jsonl")
        ]
    drawn = api.run(config_in(tmp_path, run_dir="drawn", size=5, method={"selection": "random"})).run_dir
    with pytest.raises(ConfigError, match="drawn at random"):
        export_run(drawn, out=tmp_path / "drawn.jsonl", threshold=2)
    assert export_run(drawn, format="alpaca").rows == 5


def test_what_can_not_be_selected_so_is_refused_before_any_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="compares none"):
        api.run(config_in(tmp_path, method={"name": "metadata-only", "selection": "top"}))
    assert not (tmp_path / "run").exists()
