"""A real Ray cluster of two nodes on this machine, whose second node can be killed."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

HAS_RAY = find_spec("ray") is not None

# In a process of its own: Ray keeps threads and settings in whichever process has it.
_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "include_dashboard": False})
second = cluster.add_node(num_cpus=4)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(second, allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
"""


class TwoNodes:
    """The cluster: ``environment`` is what who joins it needs."""

    def __init__(self) -> None:
        self.environment = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            # A node that is gone is noticed within a second or two, not half a minute.
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "2",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | self.environment,
        )
        self.address = self._said()

    def kill_second_node(self) -> None:
        """End the second node with all that runs on it, at once."""
        assert self._process.stdin is not None
        self._process.stdin.write("kill\n")
        self._process.stdin.flush()
        assert self._said() == "killed"

    def stop(self) -> None:
        """End the cluster."""
        self._process.communicate(timeout=60)

    def _said(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.strip() == "killed" or line.split(":")[-1].strip().isdigit():
                return line.strip()
        raise AssertionError("the cluster did not start")


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """A cluster for the length of a test."""
    cluster = TwoNodes()
    try:
        yield cluster
    finally:
        cluster.stop()
