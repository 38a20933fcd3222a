"""A finished run that is run again has nothing to do, unless anything at all is not as it was."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.running import BUNDLED_SEEDS, manifest

from codeclm import finished
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.finished import WRITTEN
from codeclm.generate import generate
from codeclm.journal import Journal
from codeclm.progress import Progress
from codeclm.records import Completion

SIMULATED = {name: {"model": name, "base_url": "simulator"} for name in ("strong", "target")}


def config_in(folder: Path, **values: Any) -> RunConfig:
    base = {"seeds": str(BUNDLED_SEEDS), "size": 8, "run_dir": "run", "models": SIMULATED}
    return from_mapping(base | values, folder=folder)


async def run(config: RunConfig, *, retry_failed: bool = False) -> Progress:
    seen: list[Progress] = []
    await generate(config, watch=seen.append, retry_failed=retry_failed)
    return seen[0]


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in WRITTEN if (folder / name).exists()}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, and a copy of it."""
    folder = tmp_path_factory.mktemp("once")
    asyncio.run(run(config_in(folder)))
    shutil.copytree(folder / "run", folder / "copy")
    return folder


@pytest.fixture
def done(once: Path) -> Path:
    """The same folder as it was: a run knows its place."""
    shutil.rmtree(once / "run")
    shutil.copytree(once / "copy", once / "run")
    return once


async def test_it_replays_nothing_and_tells_how_the_run_ended(done: Path) -> None:
    before, known = files(done / "run"), manifest(done / "run")
    progress = await run(config_in(done))
    assert (progress.calls.made, progress.calls.replayed) == (0, 0)
    assert (progress.phase, progress.kept, progress.slots) == ("done", 8, known["counts"]["slots"])
    assert files(done / "run") == before
    assert manifest(done / "run") == known
    assert set(known["files"]) == set(before) > {"examples.jsonl", "README.md"}


def _lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _spoil(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-2] + b" \n")

    return spoil


def _tell(**values: Any) -> Callable[[Path], None]:
    def tell(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | values))

    return tell


@pytest.mark.parametrize(
    "change",
    [
        _lose("examples.jsonl"),
        _spoil("examples.jsonl"),
        _spoil("discarded.jsonl"),
        _spoil("metadata.jsonl"),
        _lose("README.md"),
        _tell(state="stopped"),
        _tell(files={}),
        _tell(codeclm="0.0.1"),
        _tell(failures_by_cause={"server": 1}),
    ],
    ids=["lost", "spoilt", "discarded", "pool", "card", "stopped", "older", "other version", "may pass now"],
)
async def test_where_anything_is_not_as_it_was_the_calls_are_replayed_and_mend_it(
    done: Path, change: Callable[[Path], None]
) -> None:
    before = files(done / "run")
    change(done / "run")
    progress = await run(config_in(done))
    assert progress.calls.made == 0
    assert progress.calls.replayed > 8
    assert files(done / "run") == before
    assert (await run(config_in(done))).calls.replayed == 0


async def test_another_limit_another_size_and_a_retry_are_reasons_too(done: Path) -> None:
    models = {name: model | {"max_in_flight": 3} for name, model in SIMULATED.items()}
    assert (await run(config_in(done, models=models))).calls.replayed > 0
    assert (await run(config_in(done, models=models))).calls.replayed == 0
    assert (await run(config_in(done, models=models), retry_failed=True)).calls.replayed > 0
    assert (await run(config_in(done, models=models, size=9))).kept == 9


async def test_a_call_that_was_recorded_since_is_counted(done: Path) -> None:
    with Journal(done / "run" / "journal.sqlite") as journal:
        await journal.put(b"another", Completion("x"), stage="evaluation", model="judge")
    progress = await run(config_in(done))
    assert progress.calls.replayed > 0
    assert "evaluation" in {row["stage"] for row in manifest(done / "run")["calls"]}


async def test_a_part_of_ones_own_may_have_changed(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished, "part_name", lambda method, kind: "mine:filter" if kind == "filter" else None)
    assert (await run(config_in(done))).calls.replayed > 0


def test_what_a_run_that_failed_to_reach_a_model_left_is_not_settled() -> None:
    assert {"unparseable", "truncated", "empty", "refused"} == finished._SETTLED
