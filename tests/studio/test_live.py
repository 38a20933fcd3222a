"""A run at work: what it tells of itself each second, and how that is shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.running import write_config
from tests.studio.served import made_run, studio

from codeclm import live_state, run_directory, worker
from codeclm.clients.calls import StopSwitch
from codeclm.config_files import load
from codeclm.errors import Stopped
from codeclm.generate import generate
from codeclm.progress import Progress
from codeclm.studio.folders import Run
from codeclm.studio.live import Live, read_live

TOLD = {
    "phase": "generate", "done": 24, "total": 150, "of_what": "kept", "eta_seconds": 180.0, "elapsed_seconds": 56.0,
    "calls_per_second": 16.4, "tokens_per_second": 7596.2, "found_per_minute": 44.9, "calls_made": 918, "in_flight": 8,
    "counts": {"kept": 24, "discarded": 21, "failed": 2}, "failures_by_cause": {"truncated": 2}, "usd": 1.0,
    "notes": {"spent": "$1.00 of $20", "limits": "strong 8 at once", "out of order": "target for 12 s (timeout)"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("http://127.0.0.1:8265", True),
        ("javascript:alert(1)", False),
        ("http://a:80@evil.example:80", False),
        ("http://127.0.0.1:8265/<script>", False),
        ("", False),
    ],
)
async def test_workers_are_shown_and_their_dashboard_is_linked_where_it_is_an_address(
    tmp_path: Path, address: str, linked: bool
) -> None:
    run = made_run(tmp_path / "one", state="running")
    (run / live_state.NAME).write_text(json.dumps(TOLD | {"notes": {"workers": "3 of 4", "dashboard": address}}))
    async with studio(tmp_path) as browser:
        with run_directory.alone(run):
            part = (await browser.get("/runs/one/live", {"Studio-Partial": "true"})).text
    assert "3 of 4" in part
    assert ("Ray's dashboard" in part) is linked
    assert (f'href="{address}"' in part) is linked


async def test_a_run_at_work_is_shown_and_its_end_loads_the_page_anew(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one", state="running")
    (run / live_state.NAME).write_text(json.dumps(TOLD))
    async with studio(tmp_path) as browser:
        with run_directory.alone(run):
            page = (await browser.get("/runs/one")).text
            assert 'data-refresh="/runs/one/live"' in page
            part = await browser.get("/runs/one/live", {"Studio-Partial": "true"})
            assert "Studio-Refresh" not in part.headers
            for words in (
                "24 of 150 kept", "about 3 min left", "44.9", "16.4", "7,596", "of $20", "2 <bdi>truncated</bdi>",
                "target for 12 s (timeout)", "21 discarded, 2 failed", '<progress max="150" value="24"',
            ):  # fmt: skip
                assert words in part.text, words
                assert words in page, words
        ended = await browser.get("/runs/one/live", {"Studio-Partial": "true"})
        assert ended.headers["Studio-Refresh"] == "reload"
        assert 'data-refresh="/runs/one/live"' not in (await browser.get("/runs/one")).text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"counts": 3, "notes": [], "phase": 5, "done": "x"}'])
async def test_what_can_not_be_read_is_no_error(tmp_path: Path, content: bytes) -> None:
    run = made_run(tmp_path / "one", state="running")
    (run / live_state.NAME).write_bytes(content)
    assert read_live(Run("one", "one", run)).total == 1
    async with studio(tmp_path) as browser:
        with run_directory.alone(run):
            assert (await browser.get("/runs/one/live")).status == 200


async def test_a_run_tells_how_it_goes_and_takes_that_away(tmp_path: Path) -> None:
    seen: list[Live] = []
    workers: list[worker.Worker | None] = []
    run = Run("run", "run", tmp_path / "run")
    stop = StopSwitch()

    config = load(write_config(tmp_path, "simulator", budget={"calls": 100_000}, size=2000))

    def look(progress: Progress) -> None:
        told = read_live(run)
        if told.doing == "generating" and told.calls_made and not seen:
            seen.append(told)
            workers.append(worker.read(run.folder))
            stop.press()

    with pytest.raises(Stopped):
        await _generate_while(config, stop, look)
    assert seen[0].total == 2000
    assert seen[0].spent.endswith("of 100,000 calls")
    assert not seen[0].stopping
    assert workers[0] is not None
    assert not workers[0].heeds_signals  # nobody put handlers in place here
    assert not {live_state.NAME, worker.NAME} & {path.name for path in run.folder.iterdir()}


async def _generate_while(config: Any, stop: StopSwitch, look: Callable[[Progress], None]) -> None:
    """Run, and look at it at each slot it ends."""
    watched: list[Progress] = []
    original = Progress.add_slot

    def add_slot(self: Progress, result: Any) -> None:
        original(self, result)
        look(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Progress, "add_slot", add_slot)
        patch.setattr(live_state, "_EVERY", 0.01)
        await generate(config, stop=stop, watch=watched.append)


def test_what_can_not_be_written_stops_nothing(tmp_path: Path) -> None:
    with live_state.told(tmp_path / "missing", Progress(5), stopping=lambda: False):
        pass
    (tmp_path / f"{live_state.NAME}.partial").mkdir()
    with live_state.told(tmp_path, Progress(5), stopping=lambda: False):
        pass
