"""A run at work, second by second, from what it tells of itself each second (codeclm.live_state)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from codeclm.live_state import NAME, PHASES
from codeclm.studio.controls import who_can_stop, whole_of
from codeclm.studio.folders import Run
from codeclm.studio.handling import REFRESH, page, run_of
from codeclm.studio.summaries import Summary, counts_in, number_in, read_object, summary_of, text_in


@dataclass(frozen=True, slots=True)
class Live:
    """A run at work. Rates are of the last 20 seconds; times are in seconds, None where there is no telling.

    The last are for people: what was spent, the limits found, the workers of a cluster and the address that it shows
    itself at, servers that start, endpoints out of order.
    """

    doing: str = "starting"
    done: int = 0
    total: int = 1
    of_what: str = ""
    eta: float | None = None
    elapsed: float | None = None
    calls_per_second: float = 0.0
    tokens_per_second: float = 0.0
    found_per_minute: float = 0.0
    calls_made: int = 0
    calls_replayed: int = 0
    in_flight: int = 0
    parked: int = 0
    batches: int = 0
    tokens: int = 0
    usd: float | None = None
    stopping: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    kept_by_iteration: Mapping[str, int] = field(default_factory=dict)
    failures_by_cause: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    spent: str = ""
    limits: str = ""
    workers: str = ""
    dashboard: str = ""
    starting: str = ""
    out_of_order: str = ""


@dataclass(frozen=True, slots=True)
class Controls:
    """What may be done about a run at work: whether it can be stopped from here, or why not, and what stops with it."""

    can_stop: bool
    why_not: str
    whole: str


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [web.get("/runs/{run}/live", _live, name="live")]


async def _live(request: web.Request) -> web.Response:
    run = await run_of(request)
    summary, live, controls = await asyncio.to_thread(at_work, run)
    answer = page(request, "live.html", run=run, summary=summary, live=live, controls=controls)
    if summary.state != "running":
        answer.headers[REFRESH] = "reload"
    return answer


def at_work(run: Run) -> tuple[Summary, Live, Controls]:
    """How a run is doing, and what may be done about it."""
    summary = summary_of(run)
    found, why_not = who_can_stop(run)
    return summary, read_live(run), Controls(found is not None, why_not, whole_of(run))


def read_live(run: Run) -> Live:
    """What a run tells of itself; that it starts where it has not told anything yet."""
    values = read_object(run.folder / NAME)
    if not values:
        return Live()
    told = values.get("notes")
    notes = told if isinstance(told, dict) else {}

    def count(name: str) -> int:
        return int(number_in(values, name) or 0)

    return Live(
        doing=PHASES.get(text_in(values, "phase"), "working"),
        done=count("done"),
        total=max(count("total"), 1),
        of_what=text_in(values, "of_what"),
        eta=number_in(values, "eta_seconds"),
        elapsed=number_in(values, "elapsed_seconds"),
        calls_per_second=number_in(values, "calls_per_second") or 0.0,
        tokens_per_second=number_in(values, "tokens_per_second") or 0.0,
        found_per_minute=number_in(values, "found_per_minute") or 0.0,
        calls_made=count("calls_made"),
        calls_replayed=count("calls_replayed"),
        in_flight=count("in_flight"),
        parked=count("parked"),
        batches=count("batches"),
        tokens=count("tokens_made"),
        usd=number_in(values, "usd"),
        stopping=values.get("stopping") is True,
        counts=counts_in(values, "counts"),
        kept_by_iteration=counts_in(values, "kept_by_iteration"),
        failures_by_cause=counts_in(values, "failures_by_cause"),
        retries=counts_in(values, "retries"),
        spent=text_in(notes, "spent"),
        limits=text_in(notes, "limits"),
        workers=text_in(notes, "workers"),
        dashboard=_address(text_in(notes, "dashboard")),
        starting=text_in(notes, "starting"),
        out_of_order=text_in(notes, "out of order"),
    )


def _address(text: str) -> str:
    """An address of a page that may be linked, from a file that may be anybody's; empty for anything else."""
    return text if re.fullmatch(r"http://[\w.-]+:[0-9]+", text, re.ASCII) else ""
