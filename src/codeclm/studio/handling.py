"""What the studio's features are made with: which run a request is about, and how a page is answered.

A feature is a module with ``routes() -> list[web.RouteDef]``; app.py lists them. Its handlers use::

    run = await run_of(request)                          # or a 404 page; nothing of the address becomes a path
    return page(request, "outcome.html", run=run, …)     # a whole page, or the part of one that studio.js asked for
    flash(request, "Saved.", "good")                     # told on the next page
    raise go_to(request, "outcomes", run=run.key)        # after a POST

Every template is given ``request_path``, ``csrf``, ``csrf_token``, ``partial``, ``places``, ``run_places`` and
``flashes``. Put ``{{ csrf }}`` into each form that posts; it needs nothing else: safety.py has looked at it before a
handler sees it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from aiohttp import web
from markupsafe import Markup

from codeclm.pages.rendering import render
from codeclm.studio.folders import Run, RunsFolder

RUNS: Final = web.AppKey("runs", RunsFolder)
RUN_PLACES: Final = web.AppKey("run_places", list[tuple[str, str]])
PLACES: Final = web.AppKey("places", list[tuple[str, str]])
FLASHES: Final = web.AppKey("flashes", dict[str, deque[tuple[str, str]]])

CSRF: Final = web.RequestKey("csrf", str)
SESSION: Final = web.RequestKey("session", str)
PARTIAL: Final = "Studio-Partial"
"""The header by which studio.js asks for a part of a page."""
REFRESH: Final = "Studio-Refresh"
"""The header by which a part says that it is not to be asked for again (``stop``), or that the page is (``reload``)."""

Kind = Literal["good", "warn", "bad", "plain"]

_SESSIONS_WITH_FLASHES = 200


async def run_of(request: web.Request) -> Run:
    """The run that the address names. Raises a 404 where none was found, a 409 where it must not be read."""
    run = await asyncio.to_thread(request.app[RUNS].get, request.match_info["run"])
    if run is None:
        raise web.HTTPNotFound(text="There is no such run below the runs folder. It may have been moved or deleted.")
    if run.problem:
        raise web.HTTPConflict(text=f"{run.name}: {run.problem}")
    return run


def runs_folder(request: web.Request) -> Path:
    """The runs folder, without links in its path."""
    return request.app[RUNS].root


def is_partial(request: web.Request) -> bool:
    """Whether studio.js asked for a part of a page."""
    return PARTIAL in request.headers


def page(request: web.Request, template: str, /, *, status: int = 200, **values: Any) -> web.Response:
    """The page that ``template`` makes of ``values``; templates of whole pages extend ``layout.html``."""
    partial = is_partial(request)
    text = render(
        template,
        request_path=request.path,
        csrf=csrf_field(request),
        csrf_token=request.get(CSRF, ""),
        partial=partial,
        places=request.app[PLACES],
        run_places=request.app[RUN_PLACES],
        flashes=[] if partial else _taken(request),
        **values,
    )
    body = text.encode(errors="replace")  # names of files and of sets may be no Unicode text
    return web.Response(body=body, status=status, content_type="text/html", charset="utf-8")


def csrf_field(request: web.Request) -> Markup:
    """The hidden field that each form that posts must hold."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(request.get(CSRF, ""))


def flash(request: web.Request, text: str, kind: Kind = "good") -> None:
    """Tell this on the next whole page that this browser is shown."""
    sessions = request.app[FLASHES]
    session = request.get(SESSION, "")
    sessions.setdefault(session, deque(maxlen=5)).append((kind, text))
    while len(sessions) > _SESSIONS_WITH_FLASHES:
        del sessions[next(iter(sessions))]


def go_to(
    request: web.Request, route: str, /, *, query: dict[str, str] | None = None, **parts: str
) -> web.HTTPSeeOther:
    """The redirect after a POST, to be raised: to the named route of the studio, and nowhere else."""
    url = request.app.router[route].url_for(**parts)
    return web.HTTPSeeOther(url.with_query(query or {}))


def day(seconds: float, form: str, zone: tzinfo | None = UTC) -> str:
    """A moment, in seconds since 1970, as ``form`` says (strftime); None is the zone of this machine.

    Files and journals may be anybody's: a moment that no calendar has is told as such.
    """
    try:
        return datetime.fromtimestamp(seconds, zone).strftime(form)
    except (ValueError, OverflowError, OSError, TypeError):
        return "at no time there is"


def refuse(text: str) -> NoReturn:
    """Answer with a page, or the part of one, that says why what was asked can't be done."""
    raise web.HTTPBadRequest(text=text)


def _taken(request: web.Request) -> list[tuple[str, str]]:
    return list(request.app[FLASHES].pop(request.get(SESSION, ""), ()))
