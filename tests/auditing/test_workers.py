"""The processes of an audit's checks: they don't outlive the audit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_AUDIT = """
import multiprocessing, os, threading
from concurrent.futures import ProcessPoolExecutor
from codeclm.auditing.checks import end_with_parent

def work():
    print("at work", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        pool.submit(work).result()
"""


def test_an_audit_that_is_killed_leaves_no_process_at_work(tmp_path: Path) -> None:
    script = tmp_path / "audit.py"
    script.write_text(_AUDIT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as audit:
        assert audit.stdout
        assert audit.stdout.readline() == b"at work\n"
        audit.kill()
        rest, _ = audit.communicate(timeout=30)  # the worker has this pipe too: it ends when both are gone
    assert rest == b""
