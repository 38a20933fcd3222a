"""The list of runs, and the page of one run."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from codeclm.amounts import duration
from codeclm.studio import controls
from codeclm.studio.folders import Run, RunsFolder
from codeclm.studio.handling import RUNS, day, is_partial, page, run_of
from codeclm.studio.live import at_work
from codeclm.studio.reports import shut_off
from codeclm.studio.summaries import REPORT, STATES, Summary, summary_of
from codeclm.studio.together import pages_in

PLACES = (("/", "Runs"),)
RUN_PLACES = (("", "Overview"),)

_RECENT: Final = 24 * 3600.0  # seconds


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.get("/", _list, name="runs"),
        web.get("/runs", _rows, name="runs-rows"),
        web.get("/runs/{run}", _one, name="run"),
        web.get("/runs/{run}/report", _report, name="report"),
        web.get("/runs/{run}/log", _log, name="log"),
    ]


async def _list(request: web.Request) -> web.Response:
    return await _listed(request, "runs_part.html" if is_partial(request) else "runs.html")


async def _rows(request: web.Request) -> web.Response:
    return await _listed(request, "runs_rows.html")


async def _listed(request: web.Request, template: str) -> web.Response:
    query, state = request.query.get("q", "")[:200], request.query.get("state", "")
    every = await asyncio.to_thread(all_summaries, request.app[RUNS])
    shown = [one for one in every if _matches(one, query) and state in ("", one.state)]
    return page(
        request,
        template,
        runs=shown,
        every=every,
        together=await asyncio.to_thread(pages_in, request.app[RUNS].root),
        at_work=any(one.state == "running" for one in every),
        folder=str(request.app[RUNS].root),
        query=query,
        state=state,
        states=STATES,
        refresh=str(request.app.router["runs-rows"].url_for().with_query(q=query, state=state)),
        when=when,
    )


def all_summaries(folder: RunsFolder) -> list[Summary]:
    """Every run below the runs folder, those at work first, then the one that changed last."""
    return sorted(map(summary_of, folder.find()), key=lambda one: (one.state != "running", -one.changed, one.run.name))


def _matches(one: Summary, query: str) -> bool:
    """Whether each word of the query is in what the list shows of the run."""
    shown = " ".join((one.run.name, one.method, *one.models.values())).casefold()
    return all(word in shown for word in query.casefold().split())


async def _one(request: web.Request) -> web.Response:
    run = await run_of(request)
    return page(request, "run.html", **await asyncio.to_thread(_facts, run, request.app[RUNS].root), when=when)


def _facts(run: Run, root: Path) -> dict[str, Any]:
    summary, live, may = at_work(run)
    again = summary.state in ("stopped", "failed", "killed")
    why_not, reach = controls.may_go_on(run, root) if again else ("", None)
    return {
        "run": run,
        "summary": summary,
        "live": live,
        "controls": may,
        "funnel": _funnel(summary),
        "again": again,
        "why_not_again": why_not,
        "reach": reach,
        "log": (run.folder / controls.LOG).exists(),
        "folder": str(run.folder),
    }


def _funnel(summary: Summary) -> list[tuple[str, int, str]]:
    """What came in and what it became: names, counts and what they are."""
    counts = summary.counts
    steps = [
        ("seeds", "seeds", "instructions of the user's task"),
        ("entries", "entries of the pool", "use cases and skills"),
        ("instructions", "instructions", "written from the entries"),
        ("kept", "kept", "examples to train on"),
        ("discarded", "discarded", "passed in no iteration"),
        ("duplicate", "duplicates", "too like another, or a test item"),
        ("surplus", "beyond the size", "passed, but there was enough"),
        ("undecided", "undecided", "candidates, selected at the end"),
        ("failed", "failed", "a call gave nothing of use"),
    ]
    always = ("seeds", "entries", "instructions", "kept", "discarded", "failed")
    return [
        (name, counts[key], about) for key, name, about in steps if key in counts and (counts[key] or key in always)
    ]


async def _report(request: web.Request) -> web.Response:
    run = await run_of(request)
    return await shut_off(
        run.folder / REPORT, f"{run.name} has no report yet. `codeclm report {run.folder}` writes one."
    )


async def _log(request: web.Request) -> web.Response:
    """What a run that was started from the studio said."""
    run = await run_of(request)
    text = await asyncio.to_thread(controls.log_end, run.folder / controls.LOG)
    return page(request, "log.html", run=run, log=text)


def when(seconds: float) -> str:
    """A moment, in seconds since 1970, for people: how long ago, or the day."""
    if not seconds:
        return ""
    ago = time.time() - seconds
    if ago < 0 or ago > _RECENT:
        return day(seconds, "%Y-%m-%d %H:%M", None)
    return "just now" if ago < 5 else f"{duration(ago)} ago"
