"""The experiment: whole on a target too small to learn anything, and ``--quick`` as people run it, which must tell.

What ``--quick`` comes to is a function of its seed. Processors differ in the last bits of a training, so the bars leave
room for a few items' worth.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from benchmarks.test_tube import results
from benchmarks.test_tube.arms import QUICK, arms
from benchmarks.test_tube.results import Result

ROOT = Path(__file__).parents[3]

TINY: Final = (
    *("--seeds=1", "--hidden=16", "--layers=1", "--heads=2", "--steps=3", "--pairs=6", "--items=6"),
    "--only=start,codeclm,shuffled",
)

BAR: Final = 0.12
"""What a method has to bring to the user's task, in CRR over the start: codeclm does, and no broken one does."""


def _command(out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.test_tube", str(out), *options]


def _run(out: Path, *options: str) -> str:
    done = subprocess.run(_command(out, *options), cwd=ROOT, capture_output=True, text=True, timeout=2400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _killed_after(line: str, out: Path, *options: str) -> None:
    """Run until a line is told that begins so, and kill it with all it started."""
    process = subprocess.Popen(
        _command(out, *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for each in process.stdout:
        if each.startswith(line):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def _results(out: Path) -> dict[str, Result]:
    return {one.condition: one for one in map(results.read, sorted(out.glob("seed-0/results/*.json")))}


def _without_times(out: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_bytes()) for path in sorted(out.glob("seed-0/results/*.json"))]
    assert all(one.pop("seconds") for one in found)
    return found


def test_arms_have_names_and_folders_of_their_own() -> None:
    found = arms(120)
    assert len({arm.folder for arm in found}) == len(found) > 25
    names = [arm.name for arm in found]
    assert set(names) > QUICK
    assert [arm.pairs for arm in found if arm.name.startswith("codeclm@")] == [30, 60, 240]
    for arm in found:
        assert not arm.shuffled_of or names.index(arm.shuffled_of) < names.index(arm.name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_experiment_comes_to_the_same_twice_and_after_a_kill(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    said = _run(whole, *TINY)
    assert "codeclm" in said
    _killed_after("seed 0: start", parts, *TINY)
    done = {path: path.stat().st_mtime_ns for path in parts.glob("seed-0/results/*.json")}
    assert 1 <= len(done) < len(_results(whole))
    _run(parts, *TINY)
    assert _without_times(parts) == _without_times(whole)
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert (whole / "page.html").read_text().count("<svg")
    assert not list(whole.glob("seed-0/**/*.safetensors"))
    assert sum(path.stat().st_size for path in whole.glob("seed-0/**/*") if path.is_file()) < 5e6
    with pytest.raises(AssertionError, match="made with"):
        _run(whole, *TINY, "--pairs=7")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_quick_tells_the_method_from_its_broken_ones(tmp_path: Path) -> None:
    _run(tmp_path, "--quick")
    found = _results(tmp_path)
    assert set(found) == QUICK
    gain = {name: one.user.crr - found["start"].user.crr for name, one in found.items()}
    assert gain["codeclm"] > BAR
    broken = ("flipped", "no-metadata", "shuffled")
    assert all(gain[name] < BAR for name in broken), gain
    assert all(gain["codeclm"] - gain[name] > 0.06 for name in broken), gain
    assert gain["codeclm"] - gain["self-instruct"] > 0.1, gain
    assert gain["shuffled"] < 0
    codeclm = found["codeclm"]
    assert codeclm.on_task == 1
    assert codeclm.tested <= codeclm.pairs / 10
    assert codeclm.by_iteration[0] > codeclm.pairs / 2  # the paper: over 70 % are of the first
