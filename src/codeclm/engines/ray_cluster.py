"""The Ray cluster that an engine's workers are on: joined, or started here, by this process.

Only a whole process can be part of a cluster. What Ray changes in it on joining is put back where that matters.
"""

from __future__ import annotations

import math
import os
import secrets
import signal
import socket
import threading
from dataclasses import dataclass
from typing import Any

from codeclm.errors import ConfigError, EngineFailed

LOCAL = "local"
"""The address of a cluster that is started on this machine and ended with the run."""

_CONNECTS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the workers are: Ray's ``address``, how many there are to be, and what Ray sets aside for each."""

    address: str = LOCAL
    workers: int = 2
    cpus: float = 1.0
    gpus: float = 0.0


def join(cluster: Cluster) -> tuple[bool, str]:
    """Join the cluster, or start one here: whether it is ours to leave again, and where Ray's dashboard is.

    Raises ConfigError where Ray is not installed, and EngineFailed where there is no cluster.
    """
    local = cluster.address == LOCAL
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell others how it is used
    if local and "RAY_AUTH_MODE" not in os.environ:
        # Ray listens on all addresses of a machine: who has not this token is turned away.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError:
        raise ConfigError("engine.name: ray needs Ray: pip install 'codeclm[ray]'") from None
    if ray.is_initialized():
        return False, _dashboard(ray.get_runtime_context())
    room = {"num_cpus": math.ceil(cluster.workers * cluster.cpus) or 1} if local else {}
    try:
        _check_reachable(cluster.address)
        context = ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR", **room)
    except (RayError, RuntimeError, ValueError, OSError) as error:
        said = " ".join(str(error).split())[:500]
        raise EngineFailed(
            f"engine.address: no Ray cluster can be used at {cluster.address!r}: {said} `ray start --head` starts one; "
            f"`{LOCAL}` starts one on this machine for the run."
        ) from None
    return True, _dashboard(context)


def heed_sigterm() -> None:
    """Leave SIGTERM to whoever heeded it before: Ray, once joined, aborts the process three seconds after one."""
    handler = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)
        signal.siginterrupt(signal.SIGTERM, False)  # as an event loop has it


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing listens at HOST:PORT, which Ray itself would wait for without end."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _CONNECTS_WITHIN).close()


def _dashboard(context: Any) -> str:
    url = getattr(context, "dashboard_url", "")
    return f"http://{url}" if url else ""
