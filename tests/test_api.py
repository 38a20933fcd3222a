"""The Python API."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.running import BUNDLED_SEEDS, manifest, rows, simulator_process, write_config
from tests.test_generate import SIMULATED

import codeclm
from codeclm.errors import ConfigError
from codeclm.progress import Progress

VALUES = {"seeds": str(BUNDLED_SEEDS), "size": 3, "models": SIMULATED}


def test_a_config_may_be_a_mapping_a_path_or_a_run_config(tmp_path: Path) -> None:
    values = VALUES | {"run_dir": str(tmp_path / "run")}
    path = write_config(tmp_path, "simulator", size=3)
    for config in (values, codeclm.load_config(path, ["run_dir=other"]), path, str(path)):
        result = codeclm.run(config)
        assert result.manifest["examples"] == 3
    assert "manifest" not in repr(result)


async def test_where_a_loop_runs_already_the_remedy_is_named_and_works(tmp_path: Path) -> None:
    values = VALUES | {"run_dir": str(tmp_path / "run")}
    with pytest.raises(ConfigError, match=r"await codeclm\.run_async"):
        codeclm.run(values)
    assert (await codeclm.run_async(values)).manifest["state"] == "complete"


def test_what_is_public_is_listed_and_there() -> None:
    assert dir(codeclm) == sorted(codeclm.__all__)
    for name in codeclm.__all__:
        assert getattr(codeclm, name) is getattr(codeclm, name)
    with pytest.raises(AttributeError, match="no attribute 'ruin'"):
        codeclm.ruin  # noqa: B018


def test_cancelling_a_run_writes_what_is_kept(tmp_path: Path) -> None:
    async def cancelled() -> None:
        config = codeclm.load_config(write_config(tmp_path, "simulator", size=40, max_in_flight=4))
        task = asyncio.create_task(codeclm.run_async(config, watch=lambda progress: watch(progress, task)))
        with pytest.raises(asyncio.CancelledError):
            await task

    def watch(progress: Progress, task: asyncio.Task[codeclm.RunResult]) -> None:
        def look() -> None:
            if progress.kept:
                task.cancel()
            else:
                asyncio.get_running_loop().call_soon(look)

        look()

    asyncio.run(cancelled())
    found = manifest(tmp_path / "run")
    assert found["state"] == "stopped"
    assert len(rows(tmp_path / "run" / "examples.jsonl")) == found["examples"] > 0


def test_ctrl_c_in_a_script_writes_what_is_kept(tmp_path: Path) -> None:
    with simulator_process("latency=0.005") as simulator:
        config = write_config(tmp_path, simulator.base_url, size=60, max_in_flight=4)
        script = f"import codeclm; codeclm.run({str(config)!r})"
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        while simulator.stats()["calls"] < 800:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
        recorded = sum(row["calls"] for row in manifest(tmp_path / "run")["calls"])
        assert recorded == simulator.stats()["calls"]
    assert manifest(tmp_path / "run")["state"] == "stopped"
