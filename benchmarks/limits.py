"""Measures how well limits find themselves: throughput beside the best fixed setting, and the share of calls refused.

    python -m benchmarks.limits [--seconds 40] [--only NAME ...] [--json OUT]

Real HTTP against `codeclm simulate` processes: servers that work on 4, 32 and 200 calls at once and queue the others,
and one that allows 600 requests a minute, with and without rate-limit headers. A stream of calls without end goes
through the whole client (journal, retries, gate, HTTP) with nothing set, for so many seconds. What counts is the
throughput after the first 20 s, by the replies that arrived. The best fixed setting is measured the same way for a
shorter time: the better of as many calls in flight as the server works on and twice as many; for the limit per minute
it is `requests_per_minute: 600`.
"""

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import simulated
from benchmarks.machine import machine
from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.concurrency import Concurrency
from codeclm.clients.connect import Connections
from codeclm.clients.limited import Gate
from codeclm.config_models import ModelConfig
from codeclm.errors import CallFailed, Stopped
from codeclm.journal import Journal
from codeclm.ledger import Ledger
from codeclm.records import Message, Request

FOUND_S = 20.0
FIXED_S, FIXED_WARM_S = 15.0, 3.0


@dataclass(frozen=True)
class Case:
    """A server, and the settings of ours among which the best is to be found."""

    name: str
    options: dict[str, Any]
    fixed: tuple[int, ...] = ()
    per_minute: int | None = None


CASES = (
    Case("4 at once", {"max_in_flight": 4, "latency": 0.1}, fixed=(4, 8)),
    Case("32 at once", {"max_in_flight": 32, "latency": 0.2}, fixed=(32, 64)),
    Case("200 at once", {"max_in_flight": 200, "latency": 0.5}, fixed=(200, 400)),
    Case(
        "32 at once, exponential",
        {"max_in_flight": 32, "latency": 0.2, "latency_distribution": "exponential"},
        (32, 64),
    ),
    Case("600 a minute, headers", {"requests_per_minute": 600, "latency": 0.2}, per_minute=600),
    Case(
        "600 a minute, no headers", {"requests_per_minute": 600, "latency": 0.2, "rate_headers": False}, per_minute=600
    ),
    Case("32 at once, 10 % refused anyway", {"max_in_flight": 32, "latency": 0.2, "rate_429": 0.1}, fixed=(32, 64)),
)


@dataclass
class Stream:
    """What came of a stream of calls: when replies arrived, and the limit by time."""

    replies: list[float]
    limits: list[tuple[float, int]]
    pace: float | None
    cpu_s: float

    def throughput(self, after: float, until: float) -> float:
        """Replies per second between two times."""
        return sum(after < at <= until for at in self.replies) / (until - after)


async def stream(base_url: str, seconds: float, *, fixed: int | None = None, per_minute: int | None = None) -> Stream:
    """Calls through the whole client for so long; ``fixed`` keeps so many in flight instead of finding out."""
    config = ModelConfig(model="target", base_url=base_url, requests_per_minute=per_minute, max_tokens=64, retries=50)
    with tempfile.TemporaryDirectory(prefix="limits-") as folder, Journal(Path(folder) / "journal.sqlite") as journal:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            calls, stop = Calls(), StopSwitch()
            connections = Connections(session, journal, stop, calls, Budget(Ledger(journal)))
            place = (f"{base_url}/chat/completions", config.model)
            if fixed:
                connections.gates[place] = Gate(Concurrency(fixed, start=fixed))
            client = await connections.connect(config, name="target", base_url=base_url)
            gate, numbers = connections.gates[place], itertools.count()
            found = Stream([], [(0.0, gate.limit)], None, 0.0)
            began, cpu = time.perf_counter(), time.process_time()

            async def work() -> None:
                while time.perf_counter() - began < seconds:
                    request = Request((Message("user", f"Count to {next(numbers)}."),), 0.0, stage="answer")
                    try:
                        await client.complete(request)
                    except (Stopped, CallFailed):
                        continue
                    at = time.perf_counter() - began
                    found.replies.append(at)
                    if gate.limit != found.limits[-1][1]:
                        found.limits.append((round(at, 1), gate.limit))

            workers = {asyncio.create_task(work()) for _ in range(2 * gate.limit + 8)}
            while (left := seconds - (time.perf_counter() - began)) > 0:
                await asyncio.sleep(min(0.05, left))
                workers |= {asyncio.create_task(work()) for _ in range(2 * gate.limit + 8 - len(workers))}
            found.cpu_s, found.pace = time.process_time() - cpu, gate.pace
            stop.press()
            await asyncio.gather(*workers, return_exceptions=True)
            await calls.drain()
    return found


def measure(case: Case, seconds: float) -> dict[str, Any]:
    """One case: what is found, and the best fixed setting. Each stream has a fresh server."""
    with simulated.simulator(**case.options) as base_url:
        found = asyncio.run(stream(base_url, seconds))
        by_status = simulated.stats(base_url)["by_status"]
    best = {}
    for setting in case.fixed:
        with simulated.simulator(**case.options) as base_url:
            best[setting] = asyncio.run(stream(base_url, FIXED_S, fixed=setting)).throughput(FIXED_WARM_S, FIXED_S)
    if case.per_minute:
        with simulated.simulator(**case.options) as base_url:
            paced = asyncio.run(stream(base_url, FIXED_S, per_minute=case.per_minute))
            best[case.per_minute] = paced.throughput(FIXED_WARM_S, FIXED_S)
    throughput = found.throughput(FOUND_S, seconds)
    return {
        "server": case.name,
        "limit": found.limits[-1][1],
        "limits": found.limits,
        "pace": found.pace,
        "calls_per_s": throughput,
        "best_fixed": {"setting": max(best, key=lambda setting: best[setting]), "calls_per_s": max(best.values())},
        "share_of_best": throughput / max(best.values()),
        "share_429": by_status.get("429", 0) / sum(by_status.values()),
        "calls": sum(by_status.values()),
        "cpu_ms_per_call": 1000 * found.cpu_s / len(found.replies),
    }


def report(row: dict[str, Any]) -> str:
    """A case as a line of a table."""
    pace = f"{row['pace']:.1f}/s" if row["pace"] else "-"
    best = row["best_fixed"]
    return (
        f"| {row['server']} | {row['limit']} | {pace} | {row['calls_per_s']:.1f} | "
        f"{best['calls_per_s']:.1f} ({best['setting']}) | {100 * row['share_of_best']:.0f} % | "
        f"{100 * row['share_429']:.2f} % | {row['calls']:,} | {row['cpu_ms_per_call']:.2f} |"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Limits that find themselves, beside the best fixed ones.")
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--only", nargs="+", help="cases whose names contain one of these")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    args = parser.parse_args()
    figures: dict[str, Any] = {
        "machine": machine() | {name: version(name) for name in ("codeclm", "aiohttp")},
        "seconds": args.seconds,
        "cases": [],
    }
    print(figures["machine"])
    print("| server | limit | pace | calls/s after 20 s | best fixed | of it | 429 | calls | CPU ms/call |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for case in CASES:
        if args.only is None or any(part in case.name for part in args.only):
            figures["cases"].append(measure(case, args.seconds))
            print(report(figures["cases"][-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
