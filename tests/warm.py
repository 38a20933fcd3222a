"""Commands without their start-up: processes forked from an interpreter that has imported what commands import.

Start-up is half of what a command on a small run takes. Each is still a process of its own, with its arguments,
directory, environment and outputs, which runs ``main`` and ends by itself. Two interpreters take turns: they hash
differently, so that nothing can hang on the order of a set unseen. With ``CODECLM_TESTS_FRESH`` set, as `make test`
sets it, no command is run so.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

import codeclm.cli

SOURCE = Path(__file__).with_name("warm_interpreter.py")
# The modules of the command line import all of codeclm that they need; the others are imported within functions.
MODULES = (
    *sorted(f"codeclm.cli.{file.stem}" for file in Path(codeclm.cli.__path__[0]).glob("[a-z]*.py")),
    *("numpy", "pyarrow.parquet", "altair", "vl_convert", "profanity_check", "vaderSentiment.vaderSentiment"),
    *("genai_prices", "prometheus_client", "rich.traceback", "typer.rich_utils", "jinja2"),
)
# Threads do not survive a fork: numpy is to start none. And outputs are written at once, as `tests.running` asks.
BEGAN = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
# What begins so is read when an interpreter starts or a library is imported, not by a command.
AT_START = ("PYTHON", "LC_", "LANG", "FORCE_COLOR", "TERMINAL_WIDTH", "GITHUB_ACTIONS", "MPL")


class Warm:
    """One interpreter; it runs a command at a time."""

    def __init__(self) -> None:
        self._socket, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SOURCE.read_text(), str(its.fileno()), *MODULES],
                env=BEGAN,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        self._said = self._socket.makefile()
        atexit.register(self.close)

    def run(self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
        """The exit status and the outputs of a command; it is killed where its test is broken off."""
        request = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        with TemporaryFile("w+") as asked, TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            json.dump(request, asked)
            asked.seek(0)
            socket.send_fds(self._socket, [b"."], [asked.fileno(), out.fileno(), err.fileno()])
            child = int(self._said.readline())
            try:
                status = int(self._said.readline())
            except BaseException:
                os.kill(child, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return status, out.read(), err.read()

    def close(self) -> None:
        """End the interpreter."""
        atexit.unregister(self.close)
        self._said.close()
        self._socket.close()
        self._process.wait()


_idle: list[Warm] = []
_unstarted = [Warm, Warm]


def command(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> tuple[int, str, str] | None:
    """The exit status and the outputs of a codeclm command; None where it is to have an interpreter of its own."""
    if "CODECLM_TESTS_FRESH" in environment or _at_start(environment) != _at_start(BEGAN):
        return None
    if not _unstarted and not _idle:
        return None
    warm = _unstarted.pop()() if _unstarted else _idle.pop(0)
    try:
        done = warm.run(arguments, cwd, environment)
    except BaseException:
        warm.close()
        raise
    _idle.append(warm)
    return done


def _at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}
