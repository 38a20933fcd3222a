"""What a run looks like while it works."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import pytest
from rich.console import Console

from codeclm.amounts import duration
from codeclm.cli.display import line, panel
from codeclm.clients.calls import BatchUnderWay
from codeclm.clients.elsewhere import Place
from codeclm.live_state import Rates, as_values
from codeclm.progress import Progress


@pytest.fixture
def progress() -> Progress:
    made = Progress(500, phase="generate", seeds=175, encoded=175)
    made.counts.update(kept=213, discarded=240, failed=3)
    made.kept_by_iteration.update({1: 150, 2: 63})
    made.failures_by_cause.update(truncated=2, unparseable=1)
    made.calls.made, made.calls.in_flight = 8000, 64
    return made


@pytest.fixture
def rates(progress: Progress) -> Rates:
    """Ten seconds in which 300 calls were made and 10 examples kept."""
    found = Rates()
    progress.calls.made, progress.counts["kept"] = 7700, 203
    progress.slots = 40
    found.sample(progress, 100.0)
    progress.calls.made, progress.counts["kept"] = 8000, 213
    found.sample(progress, 110.0)
    return found


def test_rates_are_per_second_of_the_last_seconds(progress: Progress, rates: Rates) -> None:
    assert rates.per_second("calls") == 30
    assert rates.per_second("found") == 1
    assert rates.eta(progress) == 287
    for second in range(200):
        rates.sample(progress, 111.0 + second)
    assert rates.per_second("calls") == 0
    assert rates.eta(progress) is None


def test_measuring_counts_questions_and_says_nothing_of_examples() -> None:
    measuring = Progress(500, phase="measure", measured=120, to_measure=320)
    assert line(measuring, Rates()).startswith("measuring: 120 of 320 questions, 0 calls made")
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(panel(measuring, Rates()))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "measuring  120 of 320" in shown
    assert "kept" not in shown
    assert as_values(measuring, Rates())["measured"] == 120
    assert "measured" not in as_values(Progress(500), Rates())


def test_no_rate_before_two_samples(progress: Progress) -> None:
    found = Rates()
    assert found.per_second("calls") == 0
    found.sample(progress, 1.0)
    assert found.eta(progress) is None


@pytest.mark.parametrize("width", [40, 80, 160])
def test_the_panel_shows_everything_at_any_width(progress: Progress, rates: Rates, width: int) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(panel(progress, rates))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    words = " ".join(shown.replace("│", " ").split())
    for part in ("213 of 500", "150 in iteration 1", "240 discarded", "8,000 made", "2 truncated", "calls/s", "left"):
        assert part in words or part in shown, shown
    assert max(map(len, shown.splitlines())) <= width


def test_the_line_and_the_event_say_the_same(progress: Progress, rates: Rates) -> None:
    assert "213 of 500 kept, 8000 calls made" in line(progress, rates)
    values = as_values(progress, rates)
    assert values["counts"]["kept"] == 213
    assert values["calls_per_second"] == 30
    assert values["failures_by_cause"] == {"truncated": 2, "unparseable": 1}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (61, "1 min"), (3599, "1 h 00 min"), (11_100, "3 h 05 min")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_calls_that_wait_for_batches_are_shown(progress: Progress, rates: Rates) -> None:
    assert "batches" not in line(progress, rates)
    progress.calls.parked = 1200
    assert "batches: 1,200 calls gathered" in line(progress, rates)
    made_at = time.time() - 720
    progress.calls.batches["a"] = BatchUnderWay("strong", 1000, made_at, done=300)
    progress.calls.batches["b"] = BatchUnderWay("judge", 200, made_at + 60)
    assert "batches: 2 under way for up to 12 min, 300 of 1,200 calls done" in line(progress, rates)
    assert (as_values(progress, rates)["parked"], as_values(progress, rates)["batches"]) == (1200, 2)
    console = Console(width=60, file=io.StringIO(), color_system=None)
    console.print(panel(progress, rates))
    assert isinstance(console.file, io.StringIO)
    assert "300 of 1,200" in console.file.getvalue()


@dataclass
class Cluster:
    """Workers as a display sees them."""

    wanted: int = 4
    working: int = 3
    nodes: int = 1
    lost: int = 0
    dashboard: str = ""

    async def any(self) -> Place:
        raise NotImplementedError


def test_workers_are_shown_where_there_are_any(progress: Progress, rates: Rates) -> None:
    assert "workers" not in line(progress, rates)
    assert as_values(progress, rates)["workers"] is None
    progress.calls.workers = cluster = Cluster()
    assert "workers: 3 of 4 on 1 node," in line(progress, rates)
    cluster.nodes, cluster.lost, cluster.dashboard = 2, 1, "http://127.0.0.1:8265"
    assert "workers: 3 of 4 on 2 nodes, 1 lost so far (http://127.0.0.1:8265)" in line(progress, rates)
    cluster.working = cluster.nodes = 0
    assert "workers: 0 of 4, 1 lost" in line(progress, rates)
    assert as_values(progress, rates)["workers"] == 0
    console = Console(width=60, file=io.StringIO(), color_system=None)
    console.print(panel(progress, rates))
    assert isinstance(console.file, io.StringIO)
    assert "0 of 4, 1 lost" in console.file.getvalue()


def test_a_run_that_gathers_candidates_says_how_many_it_has_of_how_many(progress: Progress) -> None:
    progress.counts.clear()
    progress.kept_by_iteration.clear()
    progress.gather(1000)
    progress.candidates = 300
    found = Rates()
    found.sample(progress, 100.0)
    progress.candidates, progress.slots = 310, 40
    found.sample(progress, 110.0)
    assert found.eta(progress) == 690
    assert line(progress, found).startswith("generating: 310 of 1000 candidates, ")
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(panel(progress, found))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "generating candidates  310 of 1,000" in shown
    assert "selected at the end" in shown
    assert as_values(progress, found)["candidates"] == {"found": 310, "wanted": 1000}
