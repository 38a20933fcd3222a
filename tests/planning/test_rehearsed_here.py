"""A plan needs no cluster: what a run has of one is not for its rehearsal."""

from __future__ import annotations

from pathlib import Path

from codeclm.config import RunConfig
from codeclm.generate import read_inputs
from codeclm.planning.rehearsal import rehearse


async def test_a_run_on_a_cluster_is_rehearsed_in_this_process(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.txt"
    seeds.write_text("Write a poem about rain.\nSum the numbers 1 to 9.\n")
    models = {name: {"model": name, "base_url": "http://127.0.0.1:9/v1"} for name in ("strong", "target")}
    engine = {"name": "ray", "address": "127.0.0.1:9"}
    values = {"seeds": seeds, "run_dir": tmp_path / "run", "size": 2, "models": models, "engine": engine}
    config = RunConfig.model_validate(values)
    rehearsed, first = await rehearse(config, read_inputs(config), 2)
    assert rehearsed
    assert first
