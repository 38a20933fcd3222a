"""The list of runs, and the page of one run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from aiohttp import web

from codeclm.studio.folders import RunsFolder
from codeclm.studio.handling import RUNS, page, run_of
from codeclm.studio.summaries import Summary, summary_of

PLACES = (("/", "Runs"),)
RUN_PLACES = (("", "Overview"),)


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.get("/", _list, name="runs"),
        web.get("/runs/{run}", _one, name="run"),
    ]


async def _list(request: web.Request) -> web.Response:
    summaries = await asyncio.to_thread(all_summaries, request.app[RUNS])
    return page(request, "runs.html", runs=summaries, folder=str(request.app[RUNS].root), when=_when)


def all_summaries(folder: RunsFolder) -> list[Summary]:
    """Every run below the runs folder, those at work first, then the one that changed last."""
    return sorted(map(summary_of, folder.find()), key=lambda one: (one.state != "running", -one.changed, one.run.name))


async def _one(request: web.Request) -> web.Response:
    run = await run_of(request)
    summary = await asyncio.to_thread(summary_of, run)
    return page(request, "run.html", run=run, summary=summary, when=_when)


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC") if seconds else ""
