"""`codeclm evaluate`, as a user types it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.evaluating.made_benchmark import write_benchmark
from tests.running import SHARED_DATA, SimulatorProcess, codeclm, run_until, simulator_process, write_config


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process() as running:
        yield running


def config_in(folder: Path, base_url: str, **values: Any) -> Path:
    """A config with a candidate called tuned."""
    path = write_config(folder, base_url, **values)
    written = yaml.safe_load(path.read_text())
    written["models"]["candidates"] = {"tuned": {"model": "target", "base_url": base_url, "extra_body": {"top_p": 0.9}}}
    path.write_text(yaml.safe_dump(written))
    return path


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def benchmark_of_250(folder: Path) -> Path:
    """Real instructions where they are here, else made ones."""
    made = folder / "items.jsonl"
    if not SHARED_DATA.exists():
        return write_benchmark(made, 250)
    rows = [
        {**json.loads(line), "id": f"{name}-{number}"}
        for name in ("vicuna", "koala")
        for number, line in enumerate((SHARED_DATA / "benchmarks" / f"{name}.jsonl").read_bytes().split(b"\n"))
        if line
    ]
    made.write_text("".join(json.dumps(row) + "\n" for row in rows[:250]))
    return made


def _made_more_than(simulator: SimulatorProcess, calls: int) -> bool:
    return bool(simulator.stats()["calls"] > calls)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3])
def test_250_items_resume_after_kills_and_cost_nothing_again(tmp_path: Path, kills: int) -> None:
    with simulator_process("latency=0.02") as slower:
        config = config_in(tmp_path, slower.base_url)
        benchmark = benchmark_of_250(tmp_path)
        command = ["evaluate", "--benchmark", str(benchmark), "--json"]
        for kill in range(1, kills + 1):
            status = run_until(config, partial(_made_more_than, slower, kill * 240), signal.SIGKILL, command=command)
            assert status == -signal.SIGKILL
        done = codeclm(*command, config)
        assert done.status == 0, done
        stats = slower.stats()
        assert stats["repeated"] <= kills * 3 * 16  # no more than was in flight at the three models
        before = files_in(tmp_path / "run" / "evaluations")
        slower.reset()
        again = codeclm(*command, config)
        assert slower.stats()["calls"] == 0
        assert files_in(tmp_path / "run" / "evaluations") == before
    told = json.loads(again.out.splitlines()[-1])
    [row] = told["evaluations"]
    assert (row["items"], row["invalid"]) == (250, 0)
    assert row["wins"] + row["ties"] + row["losses"] == 250
    assert row["calls"]["evaluation_answer"]["calls"] == row["calls"]["judge"]["calls"] == 500
    fresh = config_in(tmp_path / "fresh", slower.base_url)
    with simulator_process() as quick:
        fresh = config_in(tmp_path / "fresh", quick.base_url, max_in_flight=3)
        assert codeclm(*command, fresh).status == 0
    kept = Path("run/evaluations/items/tuned-vs-strong")
    for name in ("answers.jsonl", "judgements.jsonl"):
        assert (tmp_path / kept / name).read_bytes() == (tmp_path / "fresh" / kept / name).read_bytes()


@pytest.mark.parametrize("columns", [60, *(pytest.param(wide, marks=pytest.mark.slow) for wide in (80, 120))])
def test_the_tables_have_room(simulator: SimulatorProcess, tmp_path: Path, columns: int) -> None:
    config = config_in(tmp_path, simulator.base_url)
    benchmark = write_benchmark(tmp_path / "made.jsonl", 15)
    both = ["--candidate", "target", "--candidate", "tuned"]
    done = codeclm("evaluate", config, "--benchmark", benchmark, *both, env={"COLUMNS": str(columns)})
    assert done.status == 0, done
    assert "made: 15 items against strong, rule strict" in done.out
    tables = done.out.split("made: 15 items against")[1].split("\nIn ")[0]
    assert all(len(line.rstrip()) <= columns for line in tables.splitlines())
    assert "target against tuned, on the 15 items scored for both" in " ".join(tables.split())
    folder = tmp_path / "run" / "evaluations" / "made"
    assert {path.name for path in folder.iterdir()} == {
        "target-vs-strong", "tuned-vs-strong", "model_outputs", "model_answer", "inspect.jsonl", "paired.json",
        "evaluation.png", "evaluation.svg",
    }  # fmt: skip
    assert (folder / "evaluation.png").read_bytes().startswith(b"\x89PNG")


def test_our_own_judgements_read_as_anybodys_give_the_same_totals(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = config_in(tmp_path, simulator.base_url)
    benchmark = write_benchmark(tmp_path / "made.jsonl", 40)
    for rule in ("strict", "sum"):
        assert codeclm("evaluate", config, "--benchmark", benchmark, "--rule", rule).status == 0
        folder = tmp_path / "run/evaluations/made/tuned-vs-strong"
        ours = json.loads((folder / "evaluation.json").read_bytes())
        options = ["--candidate", "tuned", "--rule", rule, "--json"]
        read = codeclm("evaluate", "--judgements", folder / "judgements.jsonl", *options)
        assert read.status == 0, read
        theirs = json.loads(read.out)
        for key in ("items", "wins", "ties", "losses", "invalid", "crr", "position"):
            assert theirs[key] == ours[key]


def test_an_evaluation_leaves_the_run_as_it_is(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = config_in(tmp_path, simulator.base_url, size=3, method={"pool": 5})
    assert codeclm("run", config).status == 0
    before = files_in(tmp_path / "run")
    benchmark = write_benchmark(tmp_path / "made.jsonl", 5)
    judge = ["--set", f"models.judge={{model: judge, base_url: '{simulator.base_url}'}}"]
    assert codeclm("evaluate", config, "--benchmark", benchmark, *judge).status == 0  # another judge than the run's
    after = files_in(tmp_path / "run")
    assert all(after[path] == content for path, content in before.items() if "journal" not in path.name)
    assert (tmp_path / "run" / "evaluation.json").exists()
    simulator.reset()
    assert codeclm("run", config).status == 0
    assert simulator.stats()["calls"] == 0
    told = json.loads((tmp_path / "run" / "manifest.json").read_bytes())
    assert "evaluation_answer" not in {row["stage"] for row in told["calls"]}


def test_a_run_goes_on_when_its_candidates_change(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = write_config(tmp_path, simulator.base_url, size=3, method={"pool": 5})
    assert codeclm("run", config).status == 0
    config = config_in(tmp_path, simulator.base_url, size=4, method={"pool": 5})
    assert codeclm("run", config, "--set", "evaluation.answer_temperature=0.5").status == 0


def test_the_validation_split_becomes_seeds_and_the_rest_the_test(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = config_in(tmp_path, simulator.base_url)
    benchmark = write_benchmark(tmp_path / "made.jsonl", 20)
    seeds = tmp_path / "seeds.jsonl"
    done = codeclm("evaluate", config, "--benchmark", benchmark, "--split", "validation", "--write-seeds", seeds)
    assert done.status == 0, done
    assert "wrote 4 seeds" in done.out
    whole = benchmark.read_bytes()
    refused = codeclm("evaluate", config, "--benchmark", benchmark, "--write-seeds", benchmark)
    assert (refused.status, benchmark.read_bytes()) == (2, whole)
    assert "made.jsonl: is there already, with other content. Name another file." in refused.error
    assert codeclm("evaluate", config, "--benchmark", benchmark, "--split", "test").status == 0
    told = json.loads((tmp_path / "run/evaluation.json").read_bytes())
    assert (told["benchmark"], told["items"], told["split"]) == ("made-test", 16, "test")
    rows = (tmp_path / "run/evaluations/made-test/inspect.jsonl").read_text()
    held_out = [json.loads(line)["instruction"] for line in seeds.read_text().splitlines()]
    assert not any(json.dumps(text) in rows for text in held_out)


def test_given_answers_are_taken_and_a_blind_set_is_written(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = config_in(tmp_path, simulator.base_url)
    benchmark = write_benchmark(tmp_path / "made.jsonl", 5)
    assert codeclm("evaluate", config, "--benchmark", benchmark).status == 0
    outputs = tmp_path / "run/evaluations/made/model_outputs/tuned.json"
    simulator.reset()
    given = ["--candidate", "theirs", "--answers", f"theirs={outputs}"]
    blind = tmp_path / "people.csv"
    done = codeclm("evaluate", config, "--benchmark", benchmark, *given, "--human", blind)
    assert done.status == 0, done
    assert simulator.stats()["calls"] == 0  # the same answers, judged before
    assert blind.exists()


def test_ctrl_c_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    with simulator_process("latency=0.05") as slower:
        config = config_in(tmp_path, slower.base_url, max_in_flight=2)
        benchmark = write_benchmark(tmp_path / "made.jsonl", 50)
        said = tmp_path / "said"
        command = ["evaluate", "--benchmark", str(benchmark)]
        status = run_until(config, lambda: slower.stats()["calls"] > 20, signal.SIGINT, said=said, command=command)
        assert status == 130
        assert "Stopped: every call that ended is recorded" in said.read_text()
        assert "Traceback" not in said.read_text()
        assert codeclm(*command, config).status == 0
        assert slower.stats()["repeated"] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "expected a CONFIG, a --benchmark"),
        (["--benchmark", "vicunna"], "The names are vicuna, koala"),
        (["--benchmark", "evol-instruct"], "--accept-licence"),
        (["--benchmark", "made.jsonl", "--candidate", "tunde"], "No model is called tunde"),
        (["--benchmark", "made.jsonl", "--candidate", "strong"], "against itself"),
        (["--benchmark", "made.jsonl", "--answers", "file.jsonl"], "expected NAME=FILE"),
        (["--benchmark", "made.jsonl", "--answers", "a=gone.jsonl"], "can't read the answers"),
        (["--benchmark", "bbh", "--split", "test"], "lm_eval takes it whole"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_call(
    simulator: SimulatorProcess, tmp_path: Path, options: list[str], says: str
) -> None:
    config = config_in(tmp_path, simulator.base_url)
    write_benchmark(tmp_path / "made.jsonl", 5)
    simulator.reset()
    done = codeclm("evaluate", config, *options, cwd=tmp_path)
    assert done.status == 2, done
    assert says in done.error
    assert simulator.stats()["calls"] == 0


def test_a_candidate_may_not_take_the_name_of_a_role(simulator: SimulatorProcess, tmp_path: Path) -> None:
    config = config_in(tmp_path, simulator.base_url)
    config.write_text(config.read_text().replace("tuned:", "judge:"))
    done = codeclm("evaluate", config, "--benchmark", "vicuna")
    assert done.status == 2
    assert "judge is the name of one of the run's own models" in done.error
