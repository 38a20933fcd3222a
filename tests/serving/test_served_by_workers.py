"""A target that every worker of a Ray cluster has its own server of."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tests.ray_cluster import HAS_RAY
from tests.running import CODECLM, codeclm, manifest, rows, same_bytes, simulator_process, write_config
from tests.serving.engines import Alive, fake, starts

pytestmark = [pytest.mark.skipif(not HAS_RAY, reason="needs ray"), pytest.mark.timeout(300), pytest.mark.slow]


def test_each_worker_starts_its_own_asks_it_and_ends_it(tmp_path: Path, alive: Alive) -> None:
    seen = tmp_path / "seen"
    target = {"serve": fake("tiny", "--alive", alive.path, "--seen", seen), "retries": 3}
    engine = {"name": "ray", "workers": 2, "serve": "workers"}
    with simulator_process("latency=0.3") as simulator:  # so slow that the second worker is there before the end
        models = {"strong": {"model": "strong", "base_url": simulator.base_url, "max_in_flight": 8}, "target": target}
        values = {"models": models, "size": 60, "method": {"pool": 0}}
        done = codeclm("run", write_config(tmp_path / "ray", "", engine=engine, **values))
        assert done.status == 0, done
        alive.wait_until_gone()
        assert len(starts(seen)) == 2
        local = codeclm("run", write_config(tmp_path / "local", "", **values))
        assert local.status == 0, local
    folder = tmp_path / "ray" / "run"
    assert {row["history"][-1]["target_answer"] for row in rows(folder / "examples.jsonl")} == {"An answer of tiny."}
    assert len(list(folder.glob("workers/*/servers/target.log"))) == 2
    assert manifest(folder)["models"]["target"]["served"].startswith("vllm tiny")
    assert same_bytes([folder, tmp_path / "local" / "run"])


def test_a_server_that_can_not_start_on_a_worker_ends_the_run_and_is_told(tmp_path: Path) -> None:
    target = {"serve": fake("tiny", "--exits", "3"), "retries": 1}
    models = {"strong": {"model": "strong", "base_url": "simulator"}, "target": target}
    engine = {"name": "ray", "workers": 1, "serve": "workers"}
    done = codeclm("run", write_config(tmp_path, "", engine=engine, models=models, size=5, method={"pool": 0}))
    assert done.status == 1, done
    assert "models.target" in done.error
    assert "target.log" in done.error
    assert "Traceback" not in done.error


def test_when_the_runs_process_is_killed_the_workers_servers_end_too(tmp_path: Path, alive: Alive) -> None:
    seen = tmp_path / "seen"
    target = {"serve": fake("tiny", "--alive", alive.path, "--seen", seen), "retries": 3}
    engine = {"name": "ray", "workers": 2, "serve": "workers"}
    with simulator_process("latency=0.3") as simulator:
        models = {"strong": {"model": "strong", "base_url": simulator.base_url, "max_in_flight": 8}, "target": target}
        config = write_config(tmp_path / "ray", "", engine=engine, models=models, size=200, method={"pool": 0})
        run = subprocess.Popen([*CODECLM, "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(starts(seen)) < 2:
            assert run.poll() is None, "the run ended before it was killed"
            with suppress(subprocess.TimeoutExpired):
                run.wait(0.05)
        run.kill()
        run.wait()
        alive.wait_until_gone()
