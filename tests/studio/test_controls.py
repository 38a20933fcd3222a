"""Starting, pausing and stopping runs from the studio: real processes, real signals."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.running import CODECLM, codeclm, manifest, same_bytes, simulator_process, write_config
from tests.studio.served import Browser, made_run, studio

from codeclm import live_state, run_directory, worker
from codeclm.errors import ConfigError, RunDirectoryError
from codeclm.studio import controls
from codeclm.studio.folders import STARTED_FROM, Run, RunsFolder
from codeclm.studio.safety import TOKEN_VARIABLE
from codeclm.studio.summaries import read_object

SIMULATED = {"model": "m", "base_url": "simulator"}


def config_with(folder: Path, **changes: Any) -> Path:
    """A config on simulated models in ``folder``, of which some values are changed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_config(folder, "simulator", **changes)
    return path.rename(folder / STARTED_FROM)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"models": {"strong": SIMULATED, "target": SIMULATED | {"serve": {"engine": "vllm", "model": "x"}}}}, "serve"),
        (
            {"models": {"strong": SIMULATED, "target": SIMULATED, "jury": {"a": {"serve": {"command": ["touch"]}}}}},
            "serve",
        ),
        ({"method": {"name": "codeclm", "filter": "mine.py:keep"}}, "method.filter"),
        ({"method": {"name": "codeclm", "source": "os:system"}}, "method.source"),
        ({"size": "many"}, "size"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
async def test_a_config_that_executes_something_or_is_none_is_refused(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    folder = tmp_path / "one"
    path = config_with(folder, **changes)
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    with pytest.raises(ConfigError, match=why):
        controls.start_run(path, folder)
    made_run(folder, state="stopped")
    async with studio(tmp_path) as browser:
        page = (await browser.get("/runs/one")).text
        assert 'action="/runs/one/go-on"' not in page
        assert why in page
        assert (await browser.post("/runs/one/go-on", csrf=await browser.csrf())).status == 409
    assert not (tmp_path / "executed").exists()
    assert not (folder / controls.LOG).exists()


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"&a [*a]", b"x" * (2**20 + 1), b"[" * 5000, b"- 1"])
def test_what_is_no_config_is_a_clear_refusal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        controls.check_startable(path)


async def test_a_run_that_ends_at_once_says_why(tmp_path: Path) -> None:
    path = config_with(tmp_path / "one", seeds="missing.jsonl")
    with pytest.raises(RunDirectoryError, match=r"ended at once.*missing\.jsonl"):
        await asyncio.to_thread(controls.start_run, path, tmp_path / "one")
    async with studio(tmp_path) as browser:
        page = (await browser.get("/runs/one")).text
        assert "Its log says why" in page
        assert "missing.jsonl" in (await browser.get("/runs/one/log")).text


def test_a_run_at_work_is_not_started_twice(tmp_path: Path) -> None:
    path = config_with(tmp_path / "one")
    with run_directory.alone(tmp_path / "one"), pytest.raises(RunDirectoryError, match="at work"):
        controls.start_run(path, tmp_path / "one")


def test_a_log_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    path = config_with(tmp_path / "one")
    (tmp_path / "one" / controls.LOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunDirectoryError, match="can't write"):
        controls.start_run(path, tmp_path / "one")
    assert controls.log_end(tmp_path / "one" / controls.LOG) == ""
    assert not (tmp_path / "elsewhere").exists()


async def test_only_a_run_that_heeds_signals_here_has_buttons(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one", state="running")
    async with studio(tmp_path) as browser:
        token = await browser.csrf()
        with run_directory.alone(run):
            own = worker.read(run)
            assert own
            for changes, why in (
                ({}, "Python API"),
                ({"host": "elsewhere", "heeds_signals": True}, "another machine (elsewhere)"),
                ({"started": "1", "heeds_signals": True}, "can&#39;t be seen from here"),
            ):
                (run / worker.NAME).write_text(json.dumps(asdict(own) | changes))
                page = (await browser.get("/runs/one")).text
                assert why in page
                assert 'action="/runs/one/pause"' not in page
                for what in ("pause", "stop"):  # this very process would get the signal
                    assert (await browser.post(f"/runs/one/{what}", csrf=token)).status == 303
                assert why in (await browser.get("/runs/one")).text


async def test_nobody_is_stopped_where_nobody_is_at_work(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one")
    mine = worker.Worker(os.getpid(), os.uname().nodename, worker._started(os.getpid()) or "", heeds_signals=True)
    (run / worker.NAME).write_text(json.dumps(asdict(mine)))  # left behind by a kill, its number given to another
    async with studio(tmp_path) as browser:
        assert (await browser.post("/runs/one/pause", csrf=await browser.csrf())).status == 303
        assert (await browser.post("/runs/one/go-on", csrf=await browser.csrf())).status == 409


def test_a_part_of_a_comparison_says_what_stops_with_it(tmp_path: Path) -> None:
    whole, part = tmp_path / "compared", tmp_path / "compared" / "codeclm"
    part.mkdir(parents=True)
    run = Run("compared~codeclm", "compared/codeclm", part)
    with run_directory.alone(part):
        assert controls.whole_of(run) == ""
        with run_directory.alone(whole):
            assert controls.whole_of(run) == "compared"


@pytest.mark.slow
async def test_a_run_is_started_paused_gone_on_with_and_comes_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "not-for-what-it-starts")
    runs = tmp_path / "runs"
    folder = runs / "started: here"  # YAML would take that for a mapping
    with simulator_process("latency=0.05") as simulator:
        folder.mkdir(parents=True)
        path = write_config(folder, simulator.base_url, size=20).rename(folder / STARTED_FROM)
        (folder / "yaml.py").write_text("raise SystemExit('taken from the run directory')")
        async with studio(runs) as browser:
            await asyncio.to_thread(controls.start_run, path, folder)
            [key] = [run.key for run in RunsFolder(runs).find()]
            address = f"/runs/{key}"
            assert 'data-refresh="' in (await browser.get(address)).text
            found = worker.read(folder)
            assert found
            assert TOKEN_VARIABLE.encode() not in environment_of(found)
            await until(lambda: live_state_of(folder).get("phase") == "generate")
            await pressed(browser, address, "pause")
            await until(lambda: not run_directory.is_held(folder))
            assert manifest(folder)["state"] == "stopped"
            assert manifest(folder)["examples"] < 20
            assert "Go on" in (await browser.get(address)).text
            await pressed(browser, address, "go-on")
            assert worker.read(folder) != found
            await until(lambda: not run_directory.is_held(folder))
            assert manifest(folder)["state"] == "complete"
            assert "Stopping: calls in flight end first" in (await browser.get(f"{address}/log")).text
        assert codeclm("run", write_config(tmp_path / "whole", simulator.base_url, size=20)).status == 0
    assert same_bytes([folder, tmp_path / "whole" / "run"])


@pytest.mark.slow
async def test_a_run_of_a_terminal_is_stopped_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with simulator_process("latency=30") as simulator:
        path = write_config(tmp_path, simulator.base_url)
        command = [*CODECLM, "run", str(path)]
        terminal = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=STDOUT)
        try:
            async with studio(tmp_path) as browser:
                await until(lambda: (worker.read(folder) or NOBODY).pid == terminal.pid)
                await until(lambda: live_state_of(folder).get("in_flight", 0) > 0)
                await pressed(browser, "/runs/run", "pause")
                page = (await browser.get("/runs/run")).text
                assert "Stopping: calls in flight end first" in page
                assert "It is stopping" in page  # said once
                assert 'action="/runs/run/pause"' not in page
                await pressed(browser, "/runs/run", "pause")  # of a page that is older: it is not a second Ctrl-C
                told = live_state_of(folder)["elapsed_seconds"]
                await until(lambda: live_state_of(folder)["elapsed_seconds"] > told + 1)  # it is still at work
                await pressed(browser, "/runs/run", "stop")
                said, _ = await asyncio.wait_for(terminal.communicate(), 30)
                assert terminal.returncode == 130
                assert b"Left at once" in said
                assert "killed" in (await browser.get("/")).text
        finally:
            if terminal.returncode is None:
                terminal.kill()
                await terminal.wait()


NOBODY = worker.Worker(0, "", "", heeds_signals=False)


async def pressed(browser: Browser, address: str, button: str) -> None:
    """Press a button on a run's page."""
    answer = await browser.post(f"{address}/{button}", csrf=await browser.csrf("/"))
    assert (answer.status, answer.headers.get("Location")) == (303, address), answer


def live_state_of(folder: Path) -> dict[str, Any]:
    """What a run tells of itself."""
    return read_object(folder / live_state.NAME)


async def until(reached: Callable[[], bool]) -> None:
    """Until another process has come so far."""
    async with asyncio.timeout(90):
        while not reached():  # noqa: ASYNC110 (another process sets no event of ours)
            await asyncio.sleep(0.02)


def environment_of(found: worker.Worker) -> bytes:
    """The variables a process was started with."""
    return Path(f"/proc/{found.pid}/environ").read_bytes()
