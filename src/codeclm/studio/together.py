"""The pages of comparisons, studies and alignments below the runs folder, as `codeclm compare` and `align` wrote them.

Contract. As for runs: what a browser names is looked up among what listing finds, and links are not followed. A page is
shut off from the studio like a report. Its links to the reports of its runs lead to these.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from codeclm.studio.folders import DEPTH, RunsFolder
from codeclm.studio.handling import RUNS
from codeclm.studio.reports import shut_off

_PAGE: Final = re.compile(r"(comparison|alignment|study-[a-z]{1,20})\.html")


@dataclass(frozen=True, slots=True)
class Together:
    """A page of several runs. ``key`` names it in addresses; ``name`` is its folder below the runs folder."""

    key: str
    name: str
    kind: str
    path: Path


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [
        web.get("/together/{page}/", _page, name="together"),
        web.get("/together/{page}/{run}/report.html", _report),
    ]


def pages_in(root: Path) -> list[Together]:
    """All such pages, by the names of their folders."""
    return [_told(path, root) for path in _found(root, DEPTH)]


def _found(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        if entry.is_file(follow_symlinks=False) and _PAGE.fullmatch(entry.name):
            yield folder / entry.name
        elif depth and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            yield from _found(folder / entry.name, depth - 1)


def _told(path: Path, root: Path) -> Together:
    place = path.relative_to(root)
    key = hashlib.blake2b(os.fsencode(place), digest_size=9).hexdigest()
    name = path.parent.name if path.parent == root else place.parent.as_posix()
    return Together(key, name, path.stem.replace("-", ": "), path)


async def _page(request: web.Request) -> web.Response:
    return await shut_off((await _wanted(request)).path)


async def _report(request: web.Request) -> web.Response:
    """What a link of such a page leads to."""
    together, name = await _wanted(request), request.match_info["run"]
    runs = await asyncio.to_thread(request.app[RUNS].find)
    for run in runs:
        if run.folder.parent == together.path.parent and run.folder.name == name:
            raise web.HTTPSeeOther(request.app.router["report"].url_for(run=run.key))
    raise web.HTTPNotFound(text="The run that this page tells of is not here any more.")


async def _wanted(request: web.Request) -> Together:
    folder: RunsFolder = request.app[RUNS]
    for together in await asyncio.to_thread(pages_in, folder.root):
        if together.key == request.match_info["page"]:
            return together
    raise web.HTTPNotFound(text="There is no such page any more.")
