"""Every method, over HTTP: the same bytes at any concurrency and after any kill, and shared calls made once."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.running import (
    BUNDLED_SEEDS,
    SEEDS_175,
    SimulatorProcess,
    codeclm,
    rows,
    run_until,
    same_bytes,
    simulator_process,
    write_config,
)

from codeclm.methods import METHODS

OUTPUTS = ("examples.jsonl", "preferences.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")
# What a run came to near its end varies with timing, and what that cost with it.
_VARYING = {"cost", "calls_per_pair"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.003", "latency_distribution=exponential") as running:
        yield running


def seed_files(folder: Path, source: Path, first: int) -> dict[str, Any]:
    """The first rows of a file as the seeds, and the others as the general ones."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = source.read_bytes().splitlines(keepends=True)
    (folder / "seeds.jsonl").write_bytes(b"".join(lines[:first]))
    (folder / "general.jsonl").write_bytes(b"".join(lines[first:]))
    return {"seeds": "seeds.jsonl", "general_seeds": "general.jsonl"}


def compared(
    simulator: SimulatorProcess, folder: Path, *options: str, kills: int = 0, calls: int = 0, **values: Any
) -> tuple[dict[str, Any], int]:
    """A comparison, killed ``kills`` times within its first ``calls`` calls and finished, and the calls it made."""
    config = write_config(folder, simulator.base_url, **values)
    simulator.reset()
    rng = random.Random(11)
    for moment in sorted(rng.randint(1, calls) for _ in range(kills)):

        def reached(moment: int = moment) -> bool:
            return bool(simulator.stats()["calls"] >= moment)

        status = run_until(config, reached, signal.SIGKILL, command=["compare", *options])
        assert status in (-signal.SIGKILL, 0)
    done = codeclm("compare", *options, config)
    assert done.status == 0, done
    return json.loads((folder / "run" / "comparison.json").read_bytes()), simulator.stats()["calls"]


def of_examples(comparison: dict[str, Any]) -> list[dict[str, Any]]:
    """What is said of the examples: all that must not vary."""
    return [{key: value for key, value in row.items() if key not in _VARYING} for row in comparison["rows"]]


def check(simulator: SimulatorProcess, folder: Path, options: list[str], kills: int, **values: Any) -> dict[str, Any]:
    """Compare all methods at two concurrencies and killed in between, and hold the outcomes against each other."""
    one, calls = compared(simulator, folder / "one", *options, max_in_flight=4, **values)
    assert simulator.stats()["repeated"] == 0
    assert one["calls"]["distinct"] + one["calls"]["measuring"] == calls
    assert one["calls"]["made_once"] == one["calls"]["used"] - one["calls"]["distinct"] > 0
    other, _ = compared(simulator, folder / "other", *options, max_in_flight=64, **values)
    killed, in_all = compared(
        simulator, folder / "killed", *options, max_in_flight=4, kills=kills, calls=calls, **values
    )
    assert in_all - calls <= kills * 2 * 4 + 50  # in flight at two endpoints of 4, and what the ends vary by
    assert of_examples(one) == of_examples(other) == of_examples(killed)
    for name in METHODS:
        folders = [folder / which / "run" / name for which in ("one", "other", "killed")]
        assert same_bytes(folders), name
        for output in OUTPUTS:
            assert len({(run / output).read_bytes() for run in folders}) == 1, (name, output)
    return one


@pytest.mark.timeout(600)
def test_all_methods_give_the_same_bytes_at_any_concurrency_and_after_kills_and_pay_once_for_what_they_share(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    files = {name: seed_files(tmp_path / name, BUNDLED_SEEDS, 15) for name in ("one", "other", "killed")}["one"]
    found = check(simulator, tmp_path, ["--measure", "4"], 2, size=4, method={"pool": 8}, **files)
    assert [row["name"] for row in found["rows"]] == list(METHODS)
    assert [row["pairs"] for row in found["rows"]] == [4] * len(METHODS)
    assert not found["left_out"]


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not SEEDS_175.exists(), reason=f"{SEEDS_175} is not here (set CODECLM_SHARED_DATA)")
def test_all_methods_on_100_real_seeds_in_one_command(tmp_path: Path) -> None:
    files = {name: seed_files(tmp_path / name, SEEDS_175, 100) for name in ("one", "other", "killed")}["one"]
    with simulator_process() as simulator:
        found = check(simulator, tmp_path, [], 12, size=100, **files)
    print(json.dumps(found["calls"]))
    assert [row["pairs"] for row in found["rows"]] == [100] * len(METHODS)
    assert found["seeds"] == 100
    assert len(rows(tmp_path / "one" / "run" / "codeclm" / "examples.jsonl")) == 100
