"""`codeclm studio` as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest
from tests.running import CODECLM
from tests.studio.served import made_run

from codeclm.errors import ConfigError
from codeclm.studio.safety import TOKEN_VARIABLE, Door
from codeclm.studio.serve import door_for, serve


@contextmanager
def started(*options: str, cwd: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address that it printed."""
    command = [*CODECLM, "studio", *options, "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | variables
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd, env=environment) as process:
        assert process.stdout
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def test_it_serves_the_runs_here_until_ctrl_c(tmp_path: Path) -> None:
    made_run(tmp_path / "runs" / "mine")
    with started(cwd=tmp_path) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address) as answer:
            assert "/runs/mine" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_token_is_printed_when_made_and_not_when_given(tmp_path: Path) -> None:
    with started(".", "--token", cwd=tmp_path, **{TOKEN_VARIABLE: "given-in-the-environment"}) as (_, address):
        assert address.endswith(f"/?token=${TOKEN_VARIABLE}")
        assert status_of(address.partition("?")[0]) == 401
    made, shown = door_for("127.0.0.1", token=True)
    assert made.token == shown
    assert len(shown) >= 32


def test_other_machines_are_let_in_with_a_token_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert door_for("127.0.0.1")[0].token == ""
    assert door_for("::1")[0].token == ""
    assert door_for("0.0.0.0")[0].token
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(ConfigError, match=TOKEN_VARIABLE):
        door_for("0.0.0.0")


def test_what_can_not_be_served_is_told(tmp_path: Path) -> None:
    def ready(address: str) -> None:
        raise AssertionError(address)

    with pytest.raises(ConfigError, match="nowhere: no such folder"):
        serve(tmp_path / "nowhere", Door(), 0, ready)
    with pytest.raises(ConfigError, match="can't listen there"):
        serve(tmp_path, Door("192.0.2.1", "an-address-of-nobody"), 0, ready)
