"""The middle of a run, and whose time a process's is."""

from pathlib import Path

import pytest
from benchmarks.engines import ROLES, Look, engines, middle, write_config
from hypothesis import given
from hypothesis import strategies as st

from codeclm.config_files import load


@given(
    rate=st.integers(50, 5000),
    cost=st.floats(0.0001, 0.01),
    start=st.floats(0, 30),
    idle=st.integers(0, 50),
)
def test_start_and_end_do_not_count(rate: int, cost: float, start: float, idle: int) -> None:
    """A run of constant speed, however long it took to begin and what that cost, is measured at that speed."""
    working = [
        Look(start + number / 5, number * rate // 5, {"run": start + number * rate / 5 * cost, "server": 1.0})
        for number in range(200)
    ]
    before = [Look(start * place / (idle + 1), 0, {"run": start}) for place in range(idle)]
    after = [Look(start + 40 + place, working[-1].calls, {"run": 1e6, "server": 1.0}) for place in range(idle)]
    found = middle(before + working + after)
    assert found.calls == working[-1].calls
    assert found.calls_per_s == pytest.approx(rate, rel=0.02)
    assert found.cpu_ms["run"] == pytest.approx(1000 * cost, rel=0.02)
    assert found.cpu_ms["workers"] == 0
    assert set(found.cpu_ms) == set(ROLES)
    assert found.cores_busy == pytest.approx(rate * cost, rel=0.02)


@pytest.mark.parametrize("calls", [[], [0, 0], [0, 900], [100, 100, 100]])
def test_a_run_without_a_middle_is_told(calls: list[int]) -> None:
    with pytest.raises(ValueError, match="make more examples"):
        middle([Look(float(place), seen, {}) for place, seen in enumerate(calls)])


def test_each_engine_is_a_config_that_codeclm_takes(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    found = engines((1, 4))
    assert list(found) == ["local", "ray, 1", "ray, 4"]
    for place, engine in enumerate(found.values()):
        path = write_config(tmp_path / f"{place}.yaml", "http://127.0.0.1:9/v1", engine, examples=3, in_flight=8)
        config = load(path)
        assert config.engine.name == ("ray" if engine else "local")
        assert config.engine.workers == engine.get("workers", config.engine.workers)
