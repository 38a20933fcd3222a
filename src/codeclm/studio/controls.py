"""Starting, pausing and stopping a run from the studio.

Contract. A run is started as a process of its own in a session of its own: it outlives the studio, and what it says
goes to ``run.log`` in its directory. Pausing and stopping are the first and the second Ctrl-C, for a run of this
machine that takes them so, wherever it was started; no other process is ever signalled. A config that would execute
commands or code is not started from a browser.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from codeclm import run_directory, worker
from codeclm.config import RunConfig
from codeclm.config_files import load, parse
from codeclm.errors import ConfigError, RunDirectoryError
from codeclm.live_state import NAME as LIVE
from codeclm.studio.folders import LOG as LOG
from codeclm.studio.folders import STARTED_FROM, Run
from codeclm.studio.handling import flash, go_to, run_of
from codeclm.studio.reach import Reach, reach_of
from codeclm.studio.safety import TOKEN_VARIABLE
from codeclm.studio.summaries import read_object, summary_of

_LARGEST_CONFIG: Final = 2**20  # bytes
_STARTS_WITHIN: Final = 15.0  # seconds
_LOOK_EVERY: Final = 0.05  # seconds
_HEEDED_WITHIN: Final = 5.0  # seconds
_LOG_SHOWN: Final = 64 * 1024  # bytes: the end of a log
_AGAIN: Final = ("stopped", "failed", "killed")


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.post("/runs/{run}/pause", _pause, name="pause"),
        web.post("/runs/{run}/stop", _stop, name="stop"),
        web.post("/runs/{run}/go-on", _go_on, name="go-on"),
    ]


def start_run(config_path: Path, run_dir: Path) -> None:
    """Start the run of a config in ``run_dir``, and return when it is at work there.

    Raises ConfigError where the config is not valid or would execute code, and RunDirectoryError where a run is at work
    there, or this one ended at once: with the end of what it said.
    """
    check_startable(config_path)
    if run_directory.is_held(run_dir):
        raise RunDirectoryError(f"{run_dir}: a run is at work in this directory already.")
    log = run_dir / LOG
    # -P: no module is taken from the run directory. Where a run directory was moved its config names the old place.
    place = f"run_dir={json.dumps(str(run_dir), ensure_ascii=False)}"
    command = [sys.executable, "-P", "-m", "codeclm", "run", str(config_path), "--set", place]
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise RunDirectoryError(f"{log}: can't write ({error.strerror}). Mend the permissions.") from None
    with os.fdopen(handle, "ab") as output:
        from_here = output.tell()
        child = subprocess.Popen(  # noqa: S603 (our own command; the config was looked at)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=run_dir,
            env=_environment(),
            start_new_session=True,
        )
    threading.Thread(target=child.wait, name="codeclm-run", daemon=True).start()
    _wait_until_at_work(child, run_dir, log, from_here)


def check_startable(config_path: Path) -> RunConfig:
    """The config of a run that may be started. Raises ConfigError, with what to do instead, where it is not valid or
    would execute commands or code.
    """
    in_terminal = f"Start it in a terminal: codeclm run {config_path}"
    try:
        if config_path.stat().st_size > _LARGEST_CONFIG:
            raise ConfigError(f"{config_path}: larger than a config can be. {in_terminal}")
        values, _ = parse(config_path.read_text(encoding="utf-8"), str(config_path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_path}: can't read the config ({error}).") from None
    # Before anything is read or run for it: the weights that a server is given are read when the config is.
    if any(key == "serve" for key in _keys(values.get("models"), 3)):
        raise ConfigError(f"{config_path}: it starts a server (`serve`), which the studio does not. {in_terminal}")
    config = load(config_path)
    if own := _own_parts(config):
        raise ConfigError(
            f"{config_path}: `method.{own}` is code of your own, which the studio does not run. {in_terminal}"
        )
    return config


def _keys(value: Any, depth: int) -> Iterator[str]:
    """The keys of a mapping and of those in it, so deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is not None:  # as a resolved config has it where nothing is set
                yield str(key)
            if depth:
                yield from _keys(inner, depth - 1)


def _own_parts(config: RunConfig) -> str:
    """The first of the method's parts that is named as a module or a file; empty where none is."""
    named = (kind for kind in ("source", "tailor", "filter") if ":" in (getattr(config.method, kind) or ""))
    return next(named, "")


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    return own | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


def _wait_until_at_work(child: subprocess.Popen[bytes], run_dir: Path, log: Path, from_here: int) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until:
        if child.poll() is not None:
            if child.returncode:
                raise RunDirectoryError(f"The run ended at once. {log_end(log, from_here)}")
            return
        if (found := worker.read(run_dir)) and found.pid == child.pid:
            return
        time.sleep(_LOOK_EVERY)


def log_end(log: Path, start: int = 0) -> str:
    """The end of what a run started from here said, from byte ``start`` on; empty where there is nothing."""
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _LOG_SHOWN))
        return file.read(_LOG_SHOWN).decode("utf-8", "replace").strip()


def who_can_stop(run: Run) -> tuple[worker.Worker | None, str]:
    """The process that the studio may ask to stop this run, or None and why there is none it may ask."""
    found = worker.read(run.folder)
    if found is None or not run_directory.is_held(run.folder):
        return None, "" if found is None else "Nobody is at work on this run any more."
    if found.host != platform.node():
        return None, f"This run works on another machine ({found.host}). Stop it there."
    if not worker.may_hold(found, run.folder / run_directory.LOCK):
        return None, "Another process works on this run than its files tell. Stop it where it was started."
    if not worker.is_here(found):
        return None, "The process that works on this run can't be seen from here. Stop it where it was started."
    if not found.heeds_signals:
        return None, "A program of its own works on this run, through codeclm's Python API. Stop it there."
    return found, ""


def whole_of(run: Run) -> str:
    """The name of the comparison or alignment that a run at work is a part of; empty where it is by itself."""
    own, whole = worker.read(run.folder), worker.read(run.folder.parent)
    together = own is not None and whole is not None and own.pid == whole.pid
    return run.folder.parent.name if together and run_directory.is_held(run.folder.parent) else ""


def may_go_on(run: Run, root: Path) -> tuple[str, Reach | None]:
    """Why a run that ended early can't be started again from here, or an empty text and what it would reach then."""
    try:
        return "", reach_of(check_startable(_config_of(run)), root)
    except ConfigError as error:
        return str(error), None


def _config_of(run: Run) -> Path:
    own = run.folder / run_directory.CONFIG
    return own if own.exists() else run.folder / STARTED_FROM


async def _pause(request: web.Request) -> web.StreamResponse:
    run = await run_of(request)
    flash(request, await asyncio.to_thread(_signal_once, run), "plain")
    raise go_to(request, "run", run=run.key)


async def _stop(request: web.Request) -> web.StreamResponse:
    run = await run_of(request)
    flash(request, await asyncio.to_thread(_signal_twice, run), "plain")
    raise go_to(request, "run", run=run.key)


async def _go_on(request: web.Request) -> web.StreamResponse:
    run = await run_of(request)
    summary = await asyncio.to_thread(summary_of, run)
    if summary.state not in _AGAIN:
        raise RunDirectoryError(f"{run.name} is {summary.state}, so there is nothing to go on with.")
    await asyncio.to_thread(start_run, _config_of(run), run.folder)
    flash(request, "It goes on. Recorded calls are not made again.", "good")
    raise go_to(request, "run", run=run.key)


def _signal_once(run: Run) -> str:
    """The first Ctrl-C, unless it had one: a second would end it at once."""
    found, why = who_can_stop(run)
    if found is None:
        return why or "Nobody is at work on this run."
    if not is_stopping(run):
        if not worker.send(found, signal.SIGINT):
            return "It has just ended."
        _wait(lambda: is_stopping(run) or not worker.is_here(found))
    return "It is stopping: calls in flight end first, then what is kept is written."


def _signal_twice(run: Run) -> str:
    """The first Ctrl-C where it had none, and the second."""
    found, why = who_can_stop(run)
    if found is None:
        return why or "Nobody is at work on this run."
    if not is_stopping(run):
        _signal_once(run)
    if worker.send(found, signal.SIGINT):
        _wait(lambda: not worker.is_here(found))
    return "It was stopped at once: what was in flight is lost, every call that ended is recorded."


def is_stopping(run: Run) -> bool:
    """Whether a run at work was asked to stop."""
    return read_object(run.folder / LIVE).get("stopping") is True


def _wait(reached: Any) -> None:
    until = time.monotonic() + _HEEDED_WITHIN
    while not reached() and time.monotonic() < until:
        time.sleep(_LOOK_EVERY)
