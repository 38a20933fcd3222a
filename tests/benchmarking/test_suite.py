"""The suite on a repository of its own, whose package costs 4 in its first commit, 2 in its second and 3 after that."""

import json
import os
import select
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from benchmarks import suite
from benchmarks.against import base_of, compared, trees
from benchmarks.history import read
from benchmarks.suite import HERE, environment, measure

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
TOY = '''"""Measures what the package says it costs."""

import subprocess
import sys
from pathlib import Path

import codeclm
from benchmarks.figures import Missed, Unavailable, figure


def figures(*, quick):
    """Its costs."""
    print("noise that is no figure")
    if codeclm.COST == "none":
        raise Unavailable("nothing to measure here")
    if codeclm.COST == "lost":
        raise Missed("an example was lost")
    if codeclm.COST == "leaves":
        Path("pid").write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
    if codeclm.COST == "dead":
        sys.exit("ended by itself")
    made = [figure("cost", "s", 1 if codeclm.COST == "leaves" else codeclm.COST), figure("size", "", 1 if quick else 2)]
    return made + [figure("only now", "s", 1)] * (codeclm.COST == 3)
'''


def git(folder: Path, *command: str) -> str:
    done = subprocess.run([*GIT, "-C", str(folder), *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def cost(folder: Path, value: object) -> None:
    (folder / "src" / "codeclm" / "__init__.py").write_text(f'"""A package."""\n\nCOST = {value!r}\n')


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The repository, with 3 not committed."""
    shutil.copytree(HERE, tmp_path / "benchmarks", ignore=shutil.ignore_patterns("__pycache__", "*.jsonl"))
    (tmp_path / "benchmarks" / "toy.py").write_text(TOY)
    (tmp_path / "src" / "codeclm").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    git(tmp_path, "init", "-q")
    for value in (4, 2):
        cost(tmp_path, value)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-qm", f"costs {value}")
    cost(tmp_path, 3)
    return tmp_path


def run(toy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=toy, capture_output=True, text=True, env=environment(toy / "src"))


def test_a_benchmark_measures_the_package_it_is_given(toy: Path) -> None:
    found = measure("toy", quick=True, source=toy / "src", root=toy)
    assert [(one.name, one.value) for one in found.figures] == [("cost", 3), ("size", 1), ("only now", 1)]
    assert (found.unavailable, found.failed) == (None, None)
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("value", "unavailable", "failed"),
    [
        ("none", "nothing to measure here", None),
        ("lost", None, "Missed: an example was lost"),
        ("dead", None, "ended with 1: noise that is no figure\nended by itself"),
    ],
)
def test_why_there_are_no_figures(toy: Path, value: str, unavailable: str | None, failed: str | None) -> None:
    cost(toy, value)
    found = measure("toy", quick=True, source=toy / "src", root=toy)
    assert (found.figures, found.unavailable, found.failed) == ((), unavailable, failed)


def test_no_process_is_left_behind(toy: Path) -> None:
    cost(toy, "leaves")
    measure("toy", quick=True, source=toy / "src", root=toy)
    with suppress(ProcessLookupError):
        ends = os.pidfd_open(int((toy / "pid").read_text()))
        assert select.select([ends], [], [], 20)[0], "it still runs"
        os.close(ends)


def test_what_takes_too_long_is_ended(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite.LIMIT_S, True, 0.0)
    found = measure("toy", quick=True, source=toy / "src", root=toy)
    assert found.failed == "ended after 0 s, which is its limit"


def test_another_package_than_the_one_meant_is_never_measured(toy: Path) -> None:
    """As with an interpreter that finds another codeclm first."""
    (toy / "codeclm").mkdir()
    shutil.copy(toy / "src" / "codeclm" / "__init__.py", toy / "codeclm")
    found = measure("toy", quick=True, source=toy / "src", root=toy)
    assert not found.figures
    assert found.failed
    assert found.failed.startswith(f"measured {toy.resolve() / 'codeclm'} instead of")


def test_the_parent_is_what_the_change_was_made_to(toy: Path) -> None:
    first, second = git(toy, "rev-list", "--reverse", "HEAD").split()
    assert base_of(toy) == second
    cost(toy, 2)
    assert base_of(toy) == first
    (toy / "benchmarks" / "new.py").write_text("")  # measures, and is not measured
    assert base_of(toy) == first
    assert base_of(toy, "HEAD") == second
    with pytest.raises(RuntimeError, match="nowhere"):
        base_of(toy, "nowhere")
    with pytest.raises(RuntimeError, match="--output"):
        base_of(toy, "--output=x")


def test_both_sides_are_snapshots_and_alternate(toy: Path) -> None:
    before = git(toy, "status", "--porcelain"), git(toy, "worktree", "list")
    steps: list[str] = []
    with trees(toy, "HEAD^") as both:
        cost(toy, 30)  # an edit meanwhile
        found, ratios = compared("toy", both, rounds=2, quick=True, root=toy, told=steps.append)
        assert list((both.base / "codeclm" / "__pycache__").iterdir())
        assert list((both.this / "codeclm" / "__pycache__").iterdir())
    assert [step.split()[-1] for step in steps] == ["base", "this", "this", "base"]
    assert found.failed is None
    assert (ratios["cost"].base, ratios["cost"].this, ratios["cost"].verdict) == (4, 3, "better")
    assert ratios["size"].verdict == "same"
    assert "only now" not in ratios
    assert not both.base.exists()
    assert (git(toy, "status", "--porcelain"), git(toy, "worktree", "list")) == before


def test_a_side_that_fails_ends_the_comparison(toy: Path) -> None:
    cost(toy, "lost")
    with trees(toy) as both:
        found, ratios = compared("toy", both, rounds=3, quick=True, root=toy)
    assert found.failed == "this: Missed: an example was lost"
    assert ratios == {}


def test_the_command_compares_and_keeps_a_record(toy: Path) -> None:
    done = run(toy, "toy", "--quick", "--against", "HEAD^", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert "BETTER" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    [record], torn = read(toy / "benchmarks" / "history.jsonl")
    assert torn == []
    assert record["against"] == {"commit": git(toy, "rev-parse", "HEAD^"), "rounds": 2}
    assert record["benchmarks"]["toy"]["ratios"]["cost"]["ratio"] == pytest.approx(0.75)
    assert len(record["load"]) == 2


def test_the_command_measures_and_shows_how_it_went(toy: Path) -> None:
    assert run(toy, "toy", "--quick").returncode == 0
    cost(toy, "lost")
    failed = run(toy, "toy", "--quick")
    assert failed.returncode == 1
    assert "FAILED: Missed: an example was lost" in failed.stdout
    with (toy / "benchmarks" / "history.jsonl").open("a") as file:
        file.write('{"torn')
    shown = run(toy, "toy", "--quick", "--history")
    assert "2 of 2 records are of this machine and quick" in shown.stdout
    assert "no record in line 3" in shown.stdout
    assert "toy: 1 of 1 records" in shown.stdout
    records, _ = read(toy / "benchmarks" / "history.jsonl")
    assert [record["dirty"] for record in records] == [True, True]
    assert json.dumps(records[0]["benchmarks"]["toy"]["figures"]["cost"]["value"]) == "3.0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no benchmark is named 'nothing'"),
        (["--against", "toy"], "'toy' is a benchmark, not a revision"),
        (["--rounds", "0"], "--rounds must be 1 to 30"),
    ],
)
def test_what_makes_no_sense_is_told(toy: Path, arguments: list[str], said: str) -> None:
    done = run(toy, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
