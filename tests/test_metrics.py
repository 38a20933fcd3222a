"""Metrics: a real run, a real scrape, and nothing left of the server afterwards."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.running import BUNDLED_SEEDS, codeclm, manifest, write_config

from codeclm.clients.budget import Budget
from codeclm.clients.calls import BatchUnderWay
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import ConfigError
from codeclm.generate import generate
from codeclm.journal import Journal
from codeclm.ledger import Ledger
from codeclm.metrics import served
from codeclm.prices import Price
from codeclm.progress import Progress
from codeclm.records import Completion, Usage

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def config_in(folder: Path, **values: Any) -> RunConfig:
    simulated = {name: {"model": name, "base_url": "simulator"} for name in ("strong", "target")}
    base = {"seeds": str(BUNDLED_SEEDS), "size": 8, "run_dir": "run", "models": simulated}
    return from_mapping(base | values, folder=folder)


@pytest.fixture
async def scraper() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def scrape(session: aiohttp.ClientSession, port: int) -> Samples:
    async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(await response.text())
        return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_a_run_is_scraped_while_it_works_and_its_server_ends_with_it(
    scraper: aiohttp.ClientSession, tmp_path: Path
) -> None:
    port = free_port()
    threads = threading.active_count()
    seen: list[Samples] = []
    run = asyncio.create_task(generate(config_in(tmp_path, metrics_port=port)))
    while not run.done():
        try:
            seen.append(await scrape(scraper, port))
        except aiohttp.ClientError:  # not there yet, or gone already
            await asyncio.sleep(0)
    await run
    assert len(seen) > 3
    counts = [sum(v for (name, _), v in samples.items() if name == "codeclm_calls_total") for samples in seen]
    recorded = sum(row["calls"] for row in manifest(tmp_path / "run")["calls"])
    assert counts == sorted(counts)
    assert 0 < counts[-1] <= recorded
    assert {phase for samples in seen for (name, labels), on in samples.items() if name == "codeclm_phase" and on
            for _, phase in labels} >= {"encode", "generate"}  # fmt: skip
    assert value(seen[-1], "codeclm_examples_wanted") == 8
    assert value(seen[-1], "codeclm_limit", endpoint="strong") >= 4
    assert value(seen[-1], "codeclm_outage_seconds", endpoint="target") == 0
    assert value(seen[-1], "codeclm_spent_tokens") > 0
    assert not any(name == "codeclm_spent_dollars" for name, _ in seen[-1])  # simulated models have no price
    with pytest.raises(aiohttp.ClientConnectorError):
        await scrape(scraper, port)
    assert threading.active_count() <= threads + 1  # the event loop's own pool at most


async def test_every_number_is_the_runs_own(scraper: aiohttp.ClientSession, journal: Journal) -> None:
    port, progress = free_port(), Progress(20, seeds=3)
    completion = Completion("text of a model", usage=Usage(10, 5), latency=0.5)
    for number, stage in enumerate(["encode", "judge", "judge"]):
        await asyncio.shield(journal.put(number.to_bytes(16), completion, stage=stage, model='m"\n\\'))
    progress.calls.made, progress.calls.replayed, progress.calls.in_flight = 3, 4, 5
    progress.calls.faults.update(server=2, rate=1)
    progress.calls.retries.update(server=1)
    progress.failures_by_cause.update(refused=6)
    progress.counts.update(kept=7, discarded=1)
    progress.phase = "generate"
    progress.calls.parked = 9
    progress.calls.batches["token"] = BatchUnderWay("m", 9, 0.0)
    price = Price(Decimal(1), Decimal(2), "the test")
    account = (ledger := Ledger(journal)).account(b"e", 'm"\n\\')
    progress.budget = Budget(ledger, prices={account.endpoint: price})
    async with served(port, progress, journal):
        samples = await scrape(scraper, port)
        progress.calls.made = 30
        again = await scrape(scraper, port)
        async with scraper.get(f"http://127.0.0.1:{port}/other") as response:
            assert response.status == 404
    assert value(samples, "codeclm_calls_total", stage="judge", model='m"\n\\') == 2
    assert value(samples, "codeclm_call_seconds_total", stage="judge", model='m"\n\\') == 1.0
    assert value(samples, "codeclm_tokens_total", stage="encode", model='m"\n\\', kind="prompt") == 10
    assert value(samples, "codeclm_tokens_total", stage="judge", model='m"\n\\', kind="completion") == 10
    assert value(samples, "codeclm_process_calls_total", source="made") == 3
    assert value(samples, "codeclm_process_calls_total", source="replayed") == 4
    assert value(again, "codeclm_process_calls_total", source="made") == 30
    assert value(samples, "codeclm_calls_in_flight") == 5
    assert value(samples, "codeclm_failed_attempts_total", cause="server") == 2
    assert value(samples, "codeclm_retries_total", cause="server") == 1
    assert value(samples, "codeclm_failures_total", cause="refused") == 6
    assert value(samples, "codeclm_instructions_total", status="kept") == 7
    assert value(samples, "codeclm_batches") == 1
    assert value(samples, "codeclm_calls_in_batches") == 9
    assert value(samples, "codeclm_requests") == 3
    assert value(samples, "codeclm_spent_tokens") == 45
    assert value(samples, "codeclm_spent_dollars") == pytest.approx((30 * 1 + 15 * 2) / 1e6)
    assert value(samples, "codeclm_phase", phase="generate") == 1
    assert value(samples, "codeclm_phase", phase="encode") == 0
    assert value(samples, "codeclm_run_seconds") >= 0
    assert not any("text of a model" in str(key) for key in samples)
    documented = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text()
    assert not [name for name, _ in samples if f"`{name}`" not in documented]


async def test_only_this_machine_is_served(scraper: aiohttp.ClientSession, journal: Journal) -> None:
    port = free_port()
    async with served(port, Progress(1), journal):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)  # the same machine, by another address
        assert await scrape(scraper, port)


async def test_a_visitor_who_says_nothing_does_not_hold_the_run_up(journal: Journal) -> None:
    port = free_port()
    async with served(port, Progress(1), journal):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /met")
        await writer.drain()
    writer.close()


def test_a_port_that_is_taken_is_told_before_any_call(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = codeclm("run", write_config(tmp_path, "http://127.0.0.1:1/v1", metrics_port=port))
    assert done.status == 2
    assert f"metrics_port: can't listen on 127.0.0.1:{port}" in done.error
    assert "--set metrics_port=" in done.error
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match=r"pip install 'codeclm\[metrics\]'"):
        asyncio.run(generate(config_in(tmp_path, metrics_port=free_port())))
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_run_without_metrics_does_not_import_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    asyncio.run(generate(config_in(tmp_path, size=2)))
