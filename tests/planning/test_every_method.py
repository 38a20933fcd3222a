"""A plan for every method: none fails, and what is planned comes true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.planning.test_plan import config_in, planned, within
from tests.running import SimulatorProcess, simulator_process

import codeclm
from codeclm.cli.planned import planned_and_actual
from codeclm.methods import METHODS

WEAK = "weak_skills=[arithmetic reasoning, python programming, geography facts, budget control]"
OWN = '''
from codeclm.clients.ask import answer
from codeclm.records import Iteration

async def longer(instruction, context):
    """Keeps what the target answers at some length."""
    said = await answer(context.models.target, instruction.text, temperature=0.5, stage="my_answer")
    return Iteration(instruction, target=said, chosen="target", reason="" if len(said.text) > 400 else "short")
'''


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.01", WEAK) as simulator:
        yield simulator


def variant(name: str, folder: Path, base_url: str, **values: Any) -> dict[str, Any]:
    """The config of a method, or of codeclm with one thing changed."""
    topics = ("tea", "the moon", "chess", "bread", "whales", "glass", "jazz", "rivers", "maps", "ants", "ink", "salt")
    asks = ("Write a short poem about", "Explain to a child", "List five facts about", "Plan a lesson on")
    general = folder / "general.jsonl"
    general.write_text(
        "".join(json.dumps({"instruction": f"{ask} {topic}."}) + "\n" for ask in asks for topic in topics)
    )
    (folder / "own.py").write_text(OWN)
    found = config_in(folder, base_url, general_seeds=str(general), **values)
    for model in found["models"].values():
        model["price"] = {"input": 2, "output": 8}
    another = {**found["models"]["strong"]}
    changes: dict[str, dict[str, Any]] = {
        "absolute": {"judging": "absolute"},
        "top": {"selection": "top"},
        "quota": {"selection": "quota"},
        "verbalized": {"source": "verbalized"},
        "ifd": {"filter": "ifd", "min_ifd": 0},
        "own": {"filter": f"{folder / 'own.py'}:longer", "tailor": "none"},
    }
    if name == "ensemble":
        found["models"]["ensemble"] = {"b": {**another, "model": "strong-b"}, "c": {**another, "model": "target"}}
    elif name == "jury":
        found["models"]["jury"] = {"a": another, "b": {**another, "model": "judge"}}
    else:
        found["method"] = changes.get(name, {"name": name})
    return found


FURTHER = ("absolute", "top", "quota", "verbalized", "ifd", "ensemble", "jury")
VARIANTS = (*METHODS, "own", *FURTHER)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in FURTHER else ()) for name in VARIANTS]
)
def test_every_method_can_be_planned(tmp_path: Path, simulator: SimulatorProcess, name: str) -> None:
    values = variant(name, tmp_path, simulator.base_url, size=5)
    made = planned(values, 2)
    total = made.estimate.total
    assert 0 < total.calls.low < total.calls.point < total.calls.high
    assert total.usd is not None
    assert made.estimate.seconds is not None
    assert made.probed == 2
    before = ("encode", "reasonable")
    starts_anew = name in ("self-instruct", "alpagasus", "tree-instruct", "wizardlm")
    assert [stage in made.estimate.stages for stage in before] == [not starts_anew] * 2
    compares = name in ("codeclm", "random", "top", "quota", "verbalized", "jury", "ensemble", "ifd", "absolute")
    asks_the_target = {"target_answer", "my_answer"} & made.estimate.stages.keys()
    assert bool(asks_the_target) == (compares or name == "own")


def comes_true(name: str, folder: Path, *, rows: int, size: int) -> None:
    """Plan, run, and hold one against the other."""
    with simulator_process("latency=0.01", WEAK) as real:
        values = variant(name, folder, real.base_url, size=size, max_in_flight=64)
        made = planned(values, rows)
        found = codeclm.run(values)
    calls = [row for row in found.manifest["calls"] if row["stage"] != "handshake"]
    total = made.estimate.total
    assert within(total.calls, sum(row["calls"] for row in calls))
    assert within(total.tokens, sum(row["prompt_tokens"] + row["completion_tokens"] for row in calls))
    assert total.usd is not None
    assert within(total.usd, found.manifest["usd"])
    assert {row["stage"] for row in calls} <= made.estimate.stages.keys()
    assert planned_and_actual(found.run_dir, found.manifest) is not None


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("name", ["metadata-only", "self-instruct"])
def test_what_is_planned_comes_true(tmp_path: Path, name: str, rows: int) -> None:
    comes_true(name, tmp_path, rows=rows, size=60)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [0, 5])
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "codeclm"])
def test_what_is_planned_comes_true_at_200_examples(tmp_path: Path, name: str, rows: int) -> None:
    comes_true(name, tmp_path, rows=rows, size=200)
