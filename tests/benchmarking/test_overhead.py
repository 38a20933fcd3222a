"""The floor that a run's cost is held against: the same requests, and as many, by a bare client."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from benchmarks.overhead import HERE, Run, cost, running_server


def test_http_alone_sends_what_was_kept_as_often_as_it_is_told(tmp_path: Path) -> None:
    sent = [
        {"messages": [{"role": "user", "content": text}], "user": "target", "temperature": 0, "seed": 0}
        for text in "ab"
    ]
    bodies, kept = tmp_path / "bodies", tmp_path / "kept"
    bodies.write_text("".join(f"{json.dumps(body)}\n" for body in sent))
    with running_server(0.0, None, keep=kept) as server:
        subprocess.run([sys.executable, HERE / "http_alone.py", server, "5", "2", bodies], check=True)
        with urllib.request.urlopen(server.replace("/v1", "/stats")) as response:
            assert json.load(response)["calls"] == 5
    found = [json.loads(line) for line in kept.read_text().splitlines()]
    assert sorted(body["messages"][0]["content"] for body in found) == ["a", "a", "a", "b", "b"]
    assert all(body in sent for body in found)


def test_the_cost_of_a_call_is_less_the_start() -> None:
    start, whole = Run(2.0, 100.0, 400, 8, 1.0), Run(3.0, 100.0, 2400, 64, 5.0)
    assert cost(whole, start) == pytest.approx(0.5)
