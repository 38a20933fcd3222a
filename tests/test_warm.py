"""A command of a warm interpreter is told from a fresh one by nothing but the time it takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests import warm
from tests.running import CODECLM, codeclm

ENVIRONMENT = warm.BEGAN | {"COLUMNS": "100", "NO_COLOR": "1"}


@pytest.mark.parametrize(
    "arguments", [["methods", "codeclm"], ["status", "nothing"], ["run", "--set"], ["export", "nothing", "--json"], []]
)
def test_status_and_outputs_are_those_of_a_fresh_one(arguments: list[str], tmp_path: Path) -> None:
    found = [warm.command(arguments, tmp_path, ENVIRONMENT) for _ in range(2)]
    fresh = subprocess.run([*CODECLM, *arguments], capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT)
    assert found == [(fresh.returncode, fresh.stdout, fresh.stderr)] * 2


def test_each_has_its_directory_and_its_environment_and_leaves_none_behind(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other", tmp_path / "third"]
    for folder in folders:
        folder.mkdir()
        assert codeclm("init", ".", cwd=folder).status == 0
        assert (folder / "config.yaml").exists()
    widths = [
        max(map(len, codeclm("methods", env={"COLUMNS": str(columns)} if columns else None).out.splitlines()))
        for columns in (60, None, 60, None)
    ]
    assert widths[0] == widths[2] <= 60 < widths[1] == widths[3] <= 100


@pytest.mark.parametrize("name", ["CODECLM_TESTS_FRESH", "PYTHONPATH", "PYTHONHASHSEED", "LC_ALL"])
def test_what_an_interpreter_reads_as_it_starts_needs_one_of_its_own(name: str, tmp_path: Path) -> None:
    assert warm.command(["--version"], tmp_path, ENVIRONMENT | {name: "1"}) is None
    assert warm.command(["--version"], tmp_path, ENVIRONMENT) is not None
