"""Who is at work in a run directory: a small file beside its lock while somebody is, so that another can stop them.

Contract. The lock alone says whether somebody is at work; the file says who that is, and may be left behind by a kill.
A process is known by its number and the moment it started, since numbers are given anew. Where the file can't be
written the work goes on without it.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson

NAME: Final = ".worker.json"

_LARGEST: Final = 4096  # bytes

heeds_signals: Final[ContextVar[bool]] = ContextVar("heeds_signals", default=False)
"""Whether signals end the work in hand cleanly: the command line sets it when it has put its handlers in place."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process at work. ``started`` tells it from another that is given its number later.

    ``heeds_signals``: the first SIGINT ends the work cleanly, the second at once.
    """

    pid: int
    host: str
    started: str
    heeds_signals: bool


@contextmanager
def recorded(folder: Path) -> Iterator[None]:
    """This process is told in ``folder`` meanwhile. Only who holds the folder may."""
    path = folder / NAME
    me = Worker(os.getpid(), platform.node(), _started(os.getpid()) or "", heeds_signals.get())
    partial = path.with_name(f"{NAME}.partial")
    with suppress(OSError):
        partial.write_bytes(orjson.dumps(asdict(me)))
        partial.replace(path)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def read(folder: Path) -> Worker | None:
    """Who is told to be at work in ``folder``; None where nobody is, or it can't be read."""
    try:
        with (folder / NAME).open("rb") as file:
            worker = Worker(**orjson.loads(file.read(_LARGEST)))
    except (OSError, ValueError, TypeError):
        return None
    kinds = (type(worker.pid), type(worker.host), type(worker.started), type(worker.heeds_signals))
    return worker if kinds == (int, str, str, bool) and worker.pid > 1 else None


def is_here(worker: Worker) -> bool:
    """Whether the process is on this machine, and still the one that was told."""
    return worker.host == platform.node() and bool(worker.started) and _started(worker.pid) == worker.started


def send(worker: Worker, number: signal.Signals) -> bool:
    """Send it a signal; False where it is no longer there. Where the system can, no other process is ever reached.

    This process sends itself none.
    """
    if worker.pid == os.getpid():
        return False
    try:
        if not hasattr(os, "pidfd_open"):
            if not is_here(worker):
                return False
            os.kill(worker.pid, number)
            return True
        handle = os.pidfd_open(worker.pid)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        if not is_here(worker):
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True


def may_hold(worker: Worker, lock: Path) -> bool:
    """Whether it may be this process that holds the lock: False only where the system tells of others alone.

    The file that names a worker may be anybody's, as the directory is.
    """
    try:
        number, holders = str(lock.stat().st_ino), set()
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()  # 1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF (proc(5)); `->` for who waits
            if "->" not in fields and fields[5].rpartition(":")[2] == number:
                holders.add(fields[4])
    except (OSError, IndexError):
        return True
    return not holders or str(worker.pid) in holders


def _started(pid: int) -> str | None:
    """When a process started, in the system's own words; None where there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]  # in ticks since the machine started: proc(5)
    except FileNotFoundError:
        return _told_by_ps(pid) if not Path("/proc/self/stat").exists() else None
    except (OSError, IndexError):
        return None


def _told_by_ps(pid: int) -> str | None:
    try:
        told = subprocess.run(  # noqa: S603 (a number is all that is given)
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None
