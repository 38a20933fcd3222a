"""The browser of a run's outcomes: filter, search, sort, and what was found as a file.

Contract. A list is its address: without JavaScript it is a plain GET form, with it the list follows what is typed.
Until there is an index, the first outcomes are shown in the order of slots and filters wait for it. Pages are counted
from 1 and hold 50 outcomes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, get_args
from urllib.parse import quote, urlencode

import orjson
from aiohttp import web

from codeclm.edits import read_edits
from codeclm.errors import CodecLMError
from codeclm.records import Status
from codeclm.studio.facets import Facets
from codeclm.studio.filters import SORTS, Asked, Filter, Sort, asked_of, query_of
from codeclm.studio.folders import Run
from codeclm.studio.handling import REFRESH, is_partial, page, run_of
from codeclm.studio.index import Index
from codeclm.studio.index_keeping import Building, from_index, keep_indexes
from codeclm.studio.listing import Listed, first_listed

RUN_PLACES: Final = (("/outcomes", "Outcomes"),)
PAGE: Final = 50

_MOST_CHOICES: Final = 300
_LINES_AT_ONCE: Final = 64


def prepare(app: web.Application) -> None:
    """What this feature and those that show outcomes need."""
    keep_indexes(app)


def routes() -> list[web.RouteDef]:
    """The list, how far its index is, and the list as a file."""
    return [
        web.get("/runs/{run}/outcomes", _browse, name="outcomes"),
        web.get("/runs/{run}/indexing", _indexing, name="indexing"),
        web.get("/runs/{run}/outcomes.jsonl", _download, name="outcomes_file"),
    ]


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that can be chosen, and how many outcomes it leaves."""

    value: str
    outcomes: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A page of the list as it is shown: its rows, how many there are in all, and the choices that are left."""

    rows: list[tuple[Listed, str]]
    total: int
    every: int
    page: int
    pages: int
    choices: dict[str, list[Choice]]
    unreadable: tuple[int, list[tuple[str, int, str]]]
    stale_edits: int
    edits_problem: str


async def _browse(request: web.Request) -> web.Response:
    run = await run_of(request)
    asked = asked_of(request.query)
    values: dict[str, Any] = {"run": run, "asked": asked, "sorts": {name: told for name, (told, _) in SORTS.items()}}
    found = await from_index(request, run.folder, lambda index: _found(run, index, asked))
    if isinstance(found, Building):
        rows, problem = await asyncio.to_thread(_first, run, asked)
        waits = bool(query_of(asked.filter, asked.sort, asked.page))
        values |= {"building": found, "rows": rows, "waits": waits, "edits_problem": problem}
        return page(request, "browse_list_waiting.html" if is_partial(request) else "browse.html", found=None, **values)
    links = {
        name: _address(run, "/outcomes", query_of(asked.filter, asked.sort, number))
        for name, number in _pages(found.page, found.pages).items()
    }
    query = query_of(asked.filter, asked.sort)
    files = {what: _address(run, "/outcomes.jsonl", {**query, "what": what}) for what in ("rows", "ids")}
    values |= {"found": found, "links": links, "files": files, "building": None}
    return page(request, "browse_list.html" if is_partial(request) else "browse.html", **values)


async def _indexing(request: web.Request) -> web.Response:
    """How far the index is, as a part of a page that is loaded anew when it is there."""
    run = await run_of(request)
    index = await from_index(request, run.folder, lambda index: index)
    if isinstance(index, Building):
        return page(request, "browse_indexing.html", building=index)
    response = page(request, "browse_indexing.html", building=None)
    response.headers[REFRESH] = "reload"
    return response


async def _download(request: web.Request) -> web.StreamResponse:
    """What was found, as JSON Lines: the rows as the run wrote them, or their ids alone."""
    run = await run_of(request)
    asked = asked_of(request.query)
    what = "ids" if request.query.get("what") == "ids" else "rows"
    index = await from_index(request, run.folder, lambda index: index)
    if isinstance(index, Building):
        raise web.HTTPConflict(text="The outcomes are still being indexed. Try again in a moment.")
    response = web.StreamResponse()
    response.content_type = "application/jsonl"
    response.headers["Content-Disposition"] = f'attachment; filename="{run.key}.{what}.jsonl"'
    await response.prepare(request)
    lines = _lines(index, asked, what)
    while part := await asyncio.to_thread(lambda: b"".join(islice(lines, _LINES_AT_ONCE))):
        await response.write(part)
    await response.write_eof()
    return response


async def neighbours_of(request: web.Request, run: Run, id: str) -> tuple[str | None, str | None] | None:
    """The ids before and after an outcome in the list that the request's address tells of.

    None while there is no index, and where the outcome is not in that list.
    """
    asked = asked_of(request.query)
    found = await from_index(request, run.folder, lambda index: index.neighbours(id, asked.filter, asked.sort))
    if found is None or isinstance(found, Building):
        return None
    return found.before, found.after


async def row_of(request: web.Request, run: Run, id: str) -> dict[str, Any] | None:
    """The row of an outcome as the run wrote it, by the index. None where there is no such outcome, or no index yet."""
    row = await from_index(request, run.folder, lambda index: index.row(id))
    return None if isinstance(row, Building) else row


def _lines(index: Index, asked: Asked, what: str) -> Iterator[bytes]:
    if what == "rows":
        return index.lines(asked.filter, asked.sort)
    return (orjson.dumps({"id": id}, option=orjson.OPT_APPEND_NEWLINE) for id in index.ids(asked.filter, asked.sort))


def _first(run: Run, asked: Asked) -> tuple[list[tuple[Listed, str]], str]:
    """The first outcomes without an index, and why edits could not be laid over them, if so."""
    try:
        edits, problem = read_edits(run.folder), ""
    except CodecLMError as error:
        edits, problem = {}, str(error)
    rows = first_listed(run.folder, edits, PAGE)
    return [(row, outcome_address(run, row.facts.id, asked.filter, asked.sort)) for row in rows], problem


def _found(run: Run, index: Index, asked: Asked) -> Found:
    facets = index.facets(asked.filter)
    listed = index.page(asked.filter, asked.sort, offset=(asked.page - 1) * PAGE, limit=PAGE)
    pages = max(1, -(-listed.total // PAGE))
    number = min(asked.page, pages)
    if number != asked.page:
        listed = index.page(asked.filter, asked.sort, offset=(number - 1) * PAGE, limit=PAGE)
    return Found(
        rows=[(row, outcome_address(run, row.facts.id, asked.filter, asked.sort)) for row in listed.rows],
        total=listed.total,
        every=index.total,
        page=number,
        pages=pages,
        choices=_choices(asked.filter, facets),
        unreadable=index.unreadable(),
        stale_edits=index.stale_edits,
        edits_problem=index.edits_problem,
    )


def outcome_address(run: Run, id: str, filter: Filter, sort: Sort = "slot") -> str:
    """Where an outcome is shown, within a list."""
    return _address(run, f"/outcomes/{quote(id, safe='')}", query_of(filter, sort))


def list_address(run: Run, filter: Filter, sort: Sort = "slot") -> str:
    """Where a list is shown."""
    return _address(run, "/outcomes", query_of(filter, sort))


def _address(run: Run, place: str, query: dict[str, str]) -> str:
    return f"/runs/{run.key}{place}" + (f"?{urlencode(query)}" if query else "")


def _pages(page: int, pages: int) -> dict[str, int]:
    """Where one can go from a page; those that lead nowhere else are left out."""
    steps = {"First": 1, "Previous": page - 1, "Next": page + 1, "Last": pages}
    return {
        name: number
        for name, number in steps.items()
        if 1 <= number <= pages
        and number != page
        and not (name == "Last" and pages == page + 1)
        and not (name == "First" and page == 2)
    }


def _choices(filter: Filter, facets: Facets) -> dict[str, list[Choice]]:
    chosen = "" if filter.iterations is None else str(filter.iterations)
    statuses = {status: facets.statuses[status] for status in get_args(Status)}
    iterations = {str(number): count for number, count in sorted(facets.iterations.items())}
    return {
        "status": _choice(statuses, filter.status),
        "use_case": _choice(_commonest(facets.use_cases), filter.use_case),
        "skill": _choice(_commonest(facets.skills), filter.skill),
        "iteration": _choice(iterations, chosen),
        "cause": _choice(_commonest(facets.causes), filter.cause),
    }


def _commonest(counted: Counter[str]) -> dict[str, int]:
    named = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return {name: count for name, count in named[:_MOST_CHOICES] if name}


def _choice(counted: dict[str, int], chosen: str) -> list[Choice]:
    if chosen and chosen not in counted:
        counted = {**counted, chosen: 0}
    return [Choice(value, count, value == chosen) for value, count in counted.items() if count or value == chosen]
