"""Serving the studio until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web

from codeclm.errors import ConfigError
from codeclm.studio.app import make_app
from codeclm.studio.safety import TOKEN_VARIABLE, Door, is_loopback, new_token

_GOES_WITHIN = 0.5  # seconds that requests under way have at the end
_IDLE = 30.0  # seconds that a connection may be held without a whole request in them


def door_for(host: str, *, names: Iterable[str] = (), token: bool = False) -> tuple[Door, str]:
    """Who may come in at ``host``, and what to write for the token in the address that is printed.

    A token is asked for where others reach the host, or ``token`` says so. One from the environment is not printed.
    Raises ConfigError where that is too short.
    """
    known = frozenset(name.lower() for name in names)
    if not token and is_loopback(host):
        return Door(host, names=known), ""
    if given := os.environ.get(TOKEN_VARIABLE, ""):
        return Door(host, given, known), f"${TOKEN_VARIABLE}"
    made = new_token()
    return Door(host, made, known), made


def serve(folder: Path, door: Door, port: int, ready: Callable[[str], None]) -> None:
    """Serve the runs below ``folder`` until a signal; ``ready`` is told the address, which ends without a slash.

    Raises ConfigError where there is no such folder, or the port can't be had.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder. Name the one that your run directories are in.")
    asyncio.run(_serve(folder, door, port, ready))


async def _serve(folder: Path, door: Door, port: int, ready: Callable[[str], None]) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    app = make_app(folder, door)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOES_WITHIN, keepalive_timeout=_IDLE)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, door.host, port).start()
        except OSError as error:
            raise ConfigError(
                f"--host {door.host} --port {port}: can't listen there ({os.strerror(error.errno or 0)}). Choose "
                "another port, or 0 for a free one."
            ) from None
        ready(_address(door, runner.addresses[0][1]))
        await stopped.wait()
    finally:
        await runner.cleanup()


def _address(door: Door, port: int) -> str:
    everywhere = door.host in ("0.0.0.0", "::", "")  # noqa: S104 (compared, not listened on)
    host = socket.gethostname() if everywhere else door.host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
