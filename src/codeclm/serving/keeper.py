"""Keeps one server: starts it, and ends it and all its processes when whoever asked for it is gone, however it ended.

Run as a program of its own, by path: ``python -I keeper.py [--grace SECONDS] COMMAND…``. Its standard input is a pipe
that nobody writes to: when its other end closes, because its owner closed it or was killed, the server is ended:
SIGTERM to its process group, SIGKILL after GRACE seconds, or those given. When the server ends by itself, so does the
keeper, with its status. It imports the standard library alone.

It is two processes, the one that was started and its child, which does all this: Ray kills the children of a worker
that ends, and a keeper that was killed itself would end nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

GRACE = 10.0
"""Seconds a server has to end after SIGTERM."""

_LOOK_EVERY = 0.02
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """Have a child keep the server, and wait for it: the child's status."""
    child = os.fork()
    if not child:
        return keep()
    _on_signals(lambda number, _: os.kill(child, number))
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _on_signals(signal.SIG_IGN)
    return status if status >= 0 else 128 - status


def keep() -> int:
    """Run the command until it ends or is not wanted any more; its status, 128 and the signal where one ended it."""
    own = sys.argv[1] == "--grace"
    grace, command = (float(sys.argv[2]), sys.argv[3:]) if own else (GRACE, sys.argv[1:])
    asked: list[int] = []
    # Until it can be ended nothing may raise. Ignored signals would stay so in the server.
    _on_signals(lambda number, _: asked.append(number))
    # What is run is what the user configured.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603
    try:
        _on_signals(_leave)
        if asked:
            _leave(asked[0], None)
        threading.Thread(target=_watch, daemon=True).start()
        status = server.wait()
        _on_signals(signal.SIG_IGN)
        grace = 0.0  # what it left behind has lost its head
    finally:
        _end(server, grace)
    return status if status >= 0 else 128 - status


def _on_signals(handler: Callable[[int, FrameType | None], object] | signal.Handlers) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _watch() -> None:
    """Leave as soon as the pipe is closed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:
    _on_signals(signal.SIG_IGN)  # a second one must not cut off the end of the server
    raise SystemExit(128 + number)


def _end(server: subprocess.Popen[bytes], grace: float) -> None:
    """End every process of the server's group, gently for so many seconds."""
    with suppress(ProcessLookupError, PermissionError):  # macOS forbids to signal a group of zombies
        if grace:
            os.killpg(server.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                server.poll()  # or it would stay in its group as a zombie
                os.killpg(server.pid, 0)
                time.sleep(_LOOK_EVERY)
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    sys.exit(main())
