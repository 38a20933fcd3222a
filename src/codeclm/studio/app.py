"""The studio as a web application: its features, its files, and pages for what goes wrong.

A feature is a module of this package with ``routes() -> list[web.RouteDef]``, listed in ``_FEATURES``. It may have
``PLACES``, pairs of an address and a name for the bar on top, and ``RUN_PLACES``, the same for the bar of each run,
where the address is what follows ``/runs/KEY``; and ``prepare(app)``, for what it keeps in the application. What its
handlers are made with is in handling.py; who may ask at all, and with which headers it is answered, in safety.py. The
pages of one run extend ``run_layout.html``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from codeclm.errors import CodecLMError
from codeclm.pages import rendering
from codeclm.studio import (
    blind,
    browsing,
    charts,
    controls,
    live,
    outcomes,
    runs,
    safety,
    starting,
    thresholds,
    together,
)
from codeclm.studio.folders import RunsFolder
from codeclm.studio.handling import FLASHES, PLACES, RUN_PLACES, RUNS, is_partial, page
from codeclm.studio.safety import Door

_LOG: Final = logging.getLogger("codeclm.studio")
_STATIC: Final = Path(__file__).parent / "static"
_LARGEST_BODY: Final = 16 * 2**20  # bytes: seeds that are uploaded
_KINDS: Final = {".css": "text/css", ".js": "text/javascript"}

_FEATURES: Final = (runs, together, charts, live, controls, browsing, thresholds, outcomes, blind, starting)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(folder: Path, door: Door | None = None) -> web.Application:
    """The application for the runs below ``folder``. ``door`` is who may come in: by default this machine alone."""
    app = web.Application(middlewares=[_errors_are_pages], client_max_size=_LARGEST_BODY)
    safety.protect(app, door or Door())
    app[RUNS] = RunsFolder(folder)
    app[FLASHES] = {}
    app[PLACES], app[RUN_PLACES] = [], []
    app.router.add_get("/static/{name}", _static)
    app.router.add_get("/favicon.ico", _no_icon)
    for feature in _FEATURES:
        if prepare := getattr(feature, "prepare", None):
            prepare(app)
        app.add_routes(feature.routes())
        app[PLACES].extend(getattr(feature, "PLACES", ()))
        app[RUN_PLACES].extend(getattr(feature, "RUN_PLACES", ()))
    return app


@web.middleware
async def _errors_are_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a handler raises becomes a page that says so; nothing of the program's inside is shown."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        usual = f"{error.status}: {error.reason}"
        return error_page(request, error.status, error.text if error.text and error.text != usual else "")
    except CodecLMError as error:
        return error_page(request, 409, str(error))
    except ConnectionResetError:
        raise
    except Exception:
        _LOG.exception("%s %s", request.method, request.path)
        return error_page(request, 500, "Something went wrong in the studio. The terminal it runs in tells more.")


def error_page(request: web.Request, status: int, text: str) -> web.Response:
    """A page, or the part of one, that says what went wrong."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    template = "error_part.html" if is_partial(request) else "error.html"
    return page(request, template, status=status, title=title, text=text)


_TITLES: Final = {
    400: "That can't be done",
    403: "Refused",
    404: "Nothing here",
    405: "That can't be done here",
    409: "That can't be done now",
    413: "Too large",
    500: "Something went wrong",
}


async def _static(request: web.Request) -> web.Response:
    """One of our own files, from a list of names made by listing them."""
    name = request.match_info["name"]
    path = _static_files().get(name)
    if path is None:
        raise web.HTTPNotFound
    text = path.read_bytes()
    response = web.Response(body=text, content_type=_KINDS[path.suffix], charset="utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


def _static_files() -> dict[str, Path]:
    own = {path.name: path for path in _STATIC.iterdir() if path.suffix in _KINDS}
    return own | {rendering.STYLES.name: rendering.STYLES}


async def _no_icon(request: web.Request) -> web.Response:
    return web.Response(status=204)
