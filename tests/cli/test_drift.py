"""`codeclm drift` as a user types it, against a real simulator."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.running import (
    BUNDLED_SEEDS,
    SimulatorProcess,
    codeclm,
    rows,
    run_until,
    simulator_process,
    write_config,
)

from codeclm.dataset.outcomes import outcome_from_row
from codeclm.edits import Edit, add_edit, digest_of, now
from codeclm.simulator import writing
from codeclm.simulator.draws import Draws
from codeclm.simulator.lexicon import use_cases

NASTY = "\x1b[31m[bold]Plan[/bold] a trip\x07 to a city"
OLD = ("email drafting", "code writing", "math problem solving", "recipe creation")
NEW = ("travel planning", "lesson design")


def written(names: Sequence[str], count: int, salt: str) -> list[str]:
    """``count`` different instructions of these use cases, as the simulated strong model writes them."""
    texts: list[str] = []
    known = [use_cases()[name] for name in names]
    while len(texts) < count:
        case = known[len(texts) % len(known)]
        texts += [
            text for text in writing.basics(case.name, case.skills[:3], 1, Draws(salt, len(texts))) if text not in texts
        ]
    return texts[:count]


def jsonl(path: Path, texts: Sequence[str]) -> Path:
    """A file of instructions with ids of their own."""
    lines = (json.dumps({"id": f"{path.stem} {n}", "instruction": text}) for n, text in enumerate(texts))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process() as running:
        yield running


@pytest.fixture(scope="module")
def made(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run's config, with traffic that moved and traffic that did not."""
    folder = tmp_path_factory.mktemp("drifted")
    seeds = jsonl(folder / "seeds.jsonl", written(OLD, 60, "seeds"))
    jsonl(folder / "same.jsonl", written(OLD, 60, "same"))
    jsonl(folder / "moved.jsonl", [*written(OLD, 42, "kept"), *written(NEW, 18, "new")])
    done = codeclm("run", write_config(folder, simulator.base_url, seeds=str(seeds), method={"pool": 0}))
    assert done.status == 0, done
    return folder


def found(folder: Path, name: str) -> dict[str, Any]:
    """The drift of one traffic file."""
    return dict(json.loads((folder / "run" / "drift" / name / "drift.json").read_bytes()))


def test_planted_traffic_is_found_and_named_and_a_second_drift_makes_no_call(
    made: Path, simulator: SimulatorProcess
) -> None:
    examples = (made / "run" / "examples.jsonl").read_bytes()
    status = codeclm("status", "run", "--json", cwd=made).out
    simulator.reset()
    done = codeclm("drift", "run", "--traffic", "moved.jsonl", cwd=made)
    assert done.status == 0, done
    assert simulator.stats()["calls"] == 60  # the seeds' are in the journal
    values = found(made, "moved")
    assert values["moved"] is True
    assert values["p_value"] < 0.01
    assert "The traffic has moved away from the run's seeds" in done.out
    new = {row["name"]: row for row in values["use_cases"]["new"]}
    assert set(NEW) <= set(new)
    assert new["travel planning"]["traffic"] >= 5
    assert new["travel planning"]["compared_with"] == new["travel planning"]["examples"] == 0
    assert new["travel planning"]["shown"][0]["id"].startswith("moved ")
    assert len(new["travel planning"]["shown"]) == 3
    assert "travel planning" in done.out
    assert values["coverage"]["instructions"] < 0.8
    assert "Next: make a run with these instructions among its seeds" in done.out
    for name in ("drift.json", "drift.png", "drift.svg"):
        assert name in done.out
        assert (made / "run" / "drift" / "moved" / name).exists()
    first = (made / "run" / "drift" / "moved" / "drift.json").read_bytes()
    again = codeclm("drift", "run", "--traffic", "moved.jsonl", "--json", cwd=made)
    assert again.status == 0, again
    event = json.loads(again.out.splitlines()[-1])
    assert (event["event"], event["drift"]) == ("done", values)
    assert simulator.stats()["calls"] == 60
    assert (made / "run" / "drift" / "moved" / "drift.json").read_bytes() == first
    # And the run is the run as it was.
    assert (made / "run" / "examples.jsonl").read_bytes() == examples
    assert codeclm("status", "run", "--json", cwd=made).out == status
    assert codeclm("run", made / "config.yaml").status == 0
    assert simulator.stats()["calls"] == 60
    assert (made / "run" / "examples.jsonl").read_bytes() == examples


@pytest.mark.parametrize("columns", [60, 100])
def test_traffic_like_the_seeds_is_not_said_to_have_moved_and_there_is_room(made: Path, columns: int) -> None:
    done = codeclm("drift", "run", "--traffic", "same.jsonl", cwd=made, env={"COLUMNS": str(columns)})
    assert done.status == 0, done
    assert found(made, "same")["moved"] is False
    assert "No sign that the traffic moved away" in " ".join(done.out.split())
    shown = [line for line in done.out.splitlines() if not line.startswith(("In ", "Next: ", "done: "))]
    assert max(map(len, shown)) <= columns


def test_order_of_the_traffic_and_the_place_of_the_run_change_no_byte_of_the_figures(made: Path) -> None:
    texts = [row["instruction"] for row in rows(made / "moved.jsonl")]
    ids = [row["id"] for row in rows(made / "moved.jsonl")]
    lines = [json.dumps({"id": one, "instruction": text}) for one, text in zip(ids, texts, strict=True)]
    (made / "turned.jsonl").write_text("\n".join([*reversed(lines), lines[0]]) + "\n")
    for name in ("moved", "turned"):
        assert codeclm("drift", "run", "--traffic", f"{name}.jsonl", cwd=made).status == 0
    one, other = found(made, "moved"), found(made, "turned")
    assert (other["traffic"]["duplicates"], other["traffic"]["encoded"]) == (1, 60)
    for key in ("p_value", "distance", "coverage"):
        assert one[key] == other[key]


def test_coverage_is_of_the_examples_as_people_left_them_wherever_the_run_lies(
    made: Path, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    assert codeclm("drift", "run", "--traffic", "same.jsonl", cwd=made).status == 0
    run = shutil.copytree(made / "run", tmp_path / "elsewhere")
    outcomes = [outcome_from_row(row) for row in rows(run / "examples.jsonl")]
    use_case = outcomes[0].entry.metadata.use_case
    for one in outcomes:
        if one.entry.metadata.use_case == use_case:
            add_edit(run, Edit(one.id, "drop", None, None, digest_of(one), now()))
    simulator.reset()
    done = codeclm("drift", run, "--traffic", made / "same.jsonl")
    assert done.status == 0, done
    assert simulator.stats()["calls"] == 0
    before, after = found(made, "same"), json.loads((run / "drift" / "same" / "drift.json").read_bytes())
    assert after["coverage"]["use_cases"] < before["coverage"]["use_cases"]
    assert after["coverage_by_seeds"] == before["coverage_by_seeds"]
    assert (after["p_value"], after["distance"]) == (before["p_value"], before["distance"])
    assert after["examples"] == before["examples"] - after["edits"]["dropped"]
    assert "A person edited 0 of the examples and dropped" in " ".join(done.out.split())


def test_ctrl_c_stops_it_and_it_goes_on_from_there(made: Path, simulator: SimulatorProcess) -> None:
    traffic, said = jsonl(made / "long.jsonl", [f"Plan trip {n} for us." for n in range(400)]), made / "said"
    simulator.reset()
    command = ("drift", "--traffic", str(traffic), "--set", "models.strong.max_in_flight=1")
    reached = lambda: simulator.stats()["calls"] > 3  # noqa: E731
    assert run_until(made / "run", reached, signal.SIGINT, said=said, command=command) == 130
    assert "Stopped: every call that ended is recorded." in said.read_text()
    assert "To go on where it stopped: codeclm drift" in said.read_text()
    assert not (made / "run" / "drift" / "long" / "drift.json").exists()
    assert simulator.stats()["calls"] < 400
    assert codeclm("drift", made / "run", "--traffic", traffic).status == 0
    assert simulator.stats()["repeated"] == 0


def test_nothing_in_hostile_texts_is_obeyed_and_odd_names_are_folders(made: Path) -> None:
    (made / "..odd name\u202e.json").write_text(json.dumps([{"id": NASTY, "instruction": NASTY}]))
    done = codeclm("drift", "run", "--traffic", "..odd name\u202e.json", cwd=made)
    assert done.status == 0, done
    assert "\x1b" not in done.out
    assert "\x07" not in done.out
    assert "\u202e" not in done.out
    assert "[bold]Plan[/bold]" in done.out
    assert (made / "run" / "drift" / "odd-name-" / "drift.json").exists()


def test_what_cannot_be_encoded_is_told_and_takes_no_part(tmp_path: Path) -> None:
    with simulator_process() as first:
        config = write_config(tmp_path, first.base_url, size=3, method={"pool": 0})
        assert codeclm("run", config).status == 0
    traffic = jsonl(tmp_path / "new.jsonl", written(NEW, 12, "refused"))
    with simulator_process("rate_refused=0.6") as bad:
        identity = f"models.strong.identity={first.base_url}"
        moved = ["--set", f"models.strong.base_url={bad.base_url}", "--set", identity]
        done = codeclm("drift", tmp_path / "run", "--traffic", traffic, *moved)
    assert done.status == 0, done
    values = found(tmp_path, "new")
    lost = values["traffic"]["not_encoded"]
    assert lost
    assert values["traffic"]["encoded"] == 12 - len(lost)
    assert {one["id"] for one in lost} <= {f"new {n}" for n in range(12)}
    assert all(one["cause"] for one in lost)
    assert f"{len(lost)} could not be encoded" in " ".join(done.out.split())
    assert "Not encoded: new " in done.out


def test_a_run_from_metadata_is_compared_with_that_and_says_so(tmp_path: Path, simulator: SimulatorProcess) -> None:
    metadata = [{"use_case": name, "skills": list(use_cases()[name].skills[:2])} for name in OLD]
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    path = write_config(tmp_path, simulator.base_url, size=4, method={"pool": 0})
    config = yaml.safe_load(path.read_text())
    del config["seeds"]
    path.write_text(yaml.safe_dump(config | {"metadata": "metadata.json"}))
    assert codeclm("run", path).status == 0
    traffic = jsonl(tmp_path / "new.jsonl", written(OLD, 8, "few"))
    done = codeclm("drift", tmp_path / "run", "--traffic", traffic)
    assert done.status == 0, done
    assert found(tmp_path, "new")["compared_with"] == {"what": "metadata", "encoded": 4, "not_encoded": []}
    assert "The run has no seeds" in done.out
    assert "moved away from the run's metadata" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--traffic", "same.jsonl"), "there is no config.yaml"),
        (("run", "--traffic", "gone.jsonl"), "gone.jsonl"),
        (("run", "--traffic", "empty.jsonl"), "no rows"),
        (("run", "--traffic", "bad.jsonl"), "line 2"),
        (("run", "--traffic", "same.jsonl", "--field", "question"), "--field"),
        (("run", "--traffic", "same.jsonl", "--set", "method.max_skills=2"), "`method.max_skills` was 3 and is 2"),
    ],
)
def test_bad_usage_is_one_clear_error(made: Path, arguments: tuple[str, ...], said: str) -> None:
    (made / "empty.jsonl").write_text("")
    (made / "bad.jsonl").write_text('{"instruction": "Write a poem."}\n{"instruction": \n')
    done = codeclm("drift", *arguments, cwd=made)
    assert done.status == 2, done
    assert said in done.error
    assert "Traceback" not in done.err


def test_a_run_whose_seeds_are_others_by_now_is_refused(tmp_path: Path, simulator: SimulatorProcess) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_bytes(BUNDLED_SEEDS.read_bytes())
    assert codeclm("run", write_config(tmp_path, simulator.base_url, size=2, seeds="seeds.jsonl")).status == 0
    seeds.write_text('{"instruction": "Write a poem."}\n')
    simulator.reset()
    done = codeclm("drift", tmp_path / "run", "--traffic", seeds)
    assert done.status == 2
    assert "is not the one this run began with" in done.error
    assert simulator.stats()["calls"] == 0


def test_it_is_under_the_runs_budget_and_goes_on_from_there(made: Path, simulator: SimulatorProcess) -> None:
    traffic = jsonl(made / "more.jsonl", written(NEW, 10, "more"))
    used = sum(row["calls"] for row in json.loads(codeclm("status", made / "run", "--json").out)["calls"])
    simulator.reset()
    arguments = ("drift", made / "run", "--traffic", traffic)
    done = codeclm(*arguments, "--set", f"budget.calls={used}")
    assert done.status == 3, done
    assert "codeclm drift" in done.err
    assert not (made / "run" / "drift" / "more" / "drift.json").exists()
    assert codeclm(*arguments).status == 0
    assert simulator.stats()["repeated"] == 0
