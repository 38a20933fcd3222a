"""The charts of a run, on its page: drawn by the report's own definitions, in a process of their own.

What draws weighs a hundred megabytes and takes seconds, so the server neither loads it nor waits for it: a process
draws one run's charts and ends. They are kept as long as the run's files are as they were. Run as a module, with a run
directory as its argument, this is that process: it writes a part of a page to its standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Final

from aiohttp import web

from codeclm import run_directory
from codeclm.pages.rendering import render
from codeclm.studio.folders import Run
from codeclm.studio.handling import run_of
from codeclm.studio.safety import TOKEN_VARIABLE
from codeclm.studio.summaries import AUDIT, EVALUATION

State = tuple[tuple[str, int, int], ...]

_KEPT: Final = 16  # runs whose charts are kept
_DRAWN_WITHIN: Final = 120.0  # seconds
_DRAWN_FROM: Final = (
    run_directory.MANIFEST, run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES,
    run_directory.METADATA, run_directory.EDITS, AUDIT, EVALUATION,
)  # fmt: skip


class Charts:
    """What was drawn, by run and the state of its files. One is drawn at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[State, bytes]] = OrderedDict()
        self._at_work = asyncio.Lock()

    async def of(self, run: Run) -> bytes:
        """The charts of a run as a part of a page. Raises a 500 where they can't be drawn."""
        async with self._at_work:
            state = _state(run.folder)
            kept = self._kept.get(run.folder)
            if kept is None or kept[0] != state:
                kept = self._kept[run.folder] = (state, await _drawn(run.folder))
            self._kept.move_to_end(run.folder)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return kept[1]


CHARTS: Final = web.AppKey("charts", Charts)


def prepare(app: web.Application) -> None:
    """Give the application what is kept."""
    app[CHARTS] = Charts()


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return [web.get("/runs/{run}/charts", _charts, name="charts")]


async def _charts(request: web.Request) -> web.Response:
    run = await run_of(request)
    drawn = await request.app[CHARTS].of(run)
    return web.Response(body=drawn, content_type="text/html", charset="utf-8")


def _state(folder: Path) -> State:
    """What the charts are drawn from, as it stands."""
    found = []
    for name in _DRAWN_FROM:
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        found.append((name, status.st_size, status.st_mtime_ns))
    return tuple(found)


async def _drawn(folder: Path) -> bytes:
    own = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    # -P: no module is taken from wherever the studio was started.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "codeclm.studio.charts", str(folder),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=own,
    )  # fmt: skip
    try:
        drawn, said = await asyncio.wait_for(process.communicate(), _DRAWN_WITHIN)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise web.HTTPInternalServerError(text=f"The charts can't be drawn: {last}")
    return drawn


def main() -> None:
    """Write the charts of the run in the directory that is the first argument."""
    from codeclm.errors import CodecLMError

    try:
        drawn = charts_of(Path(sys.argv[1]))
    except CodecLMError as error:
        raise SystemExit(" ".join(str(error).split())) from None
    sys.stdout.buffer.write(drawn.encode(errors="replace"))


def charts_of(folder: Path) -> str:
    """The charts of a run as a part of a page. Raises RunDirectoryError where its files are no run's."""
    from codeclm.pages.figures import Figure
    from codeclm.pictures import INSTALL
    from codeclm.reporting import cost_figures, figures, judged_figures
    from codeclm.reporting.drawing import Drawing
    from codeclm.reporting.facts import read_facts

    facts, draw = read_facts(folder), Drawing()
    sections: list[tuple[str, list[Figure | None]]] = [
        ("What it became", [one(facts, draw) for one in (figures.funnel, figures.by_iteration, figures.gap_histogram)]),
        ("What it is about", [figures.use_cases(facts, draw), figures.skills(facts, draw)]),
        ("Where the target is weak", [figures.weak_spots(facts, draw)]),
        ("How instructions grow", [figures.lengths(facts, draw), figures.demands(facts, draw)]),
        ("Evaluations and audit", [*judged_figures.evaluations(facts, draw), judged_figures.findings(facts, draw)]),
        ("What failed", [figures.failures(facts, draw)]),
        ("What it took", list(cost_figures.calls(facts, draw))),
    ]
    shown = [(title, [one for one in found if one is not None]) for title, found in sections]
    return render("charts.html", sections=[pair for pair in shown if pair[1]], missing=draw.missing, install=INSTALL)


if __name__ == "__main__":
    main()
