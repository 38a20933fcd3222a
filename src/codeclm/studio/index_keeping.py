"""Which index is there for a run: the one in its directory, or the one that is being built.

Contract. An index is built in a process of its own, one for each run at a time, so the studio goes on answering. It is
``.studio.sqlite`` in the run directory, or in a temporary folder of the studio's own where that can't be written to.
:meth:`IndexKeeper.close` ends what is being built.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aiohttp import web

from codeclm.studio.index import Index, IndexBroken, open_index
from codeclm.studio.indexing import Signature, signature_of

T = TypeVar("T")

NAME: Final = ".studio.sqlite"

_OPEN: Final = 8
_TOLD: Final = 500
_AGAIN_AFTER_S: Final = 10.0


@dataclass(slots=True)
class Building:
    """An index on its way: bytes read so far, and in all. ``problem`` says why there will be none."""

    signature: Signature
    done: int = 0
    total: int = 0
    problem: str = ""
    ended: float = 0.0

    def fail(self, problem: str) -> None:
        """Note why there will be no index."""
        self.problem, self.ended = problem, time.monotonic()

    def is_over(self, signature: Signature) -> bool:
        """Whether to try again: it failed, and that is a while ago or the files are others now."""
        return bool(self.problem) and (self.signature != signature or time.monotonic() - self.ended > _AGAIN_AFTER_S)


class IndexKeeper:
    """The indexes of the runs that the studio shows. Used from its event loop."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, tuple[Signature, Index]] = OrderedDict()
        self._retired: list[Index] = []
        self._building: dict[Path, Building] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._temporary: Path | None = None

    async def index_of(self, run_dir: Path) -> Index | Building:
        """The index of a run as it is now, or how far it is being built."""
        signature = await asyncio.to_thread(signature_of, run_dir)
        known = self._open.get(run_dir)
        if known and known[0] == signature:
            self._open.move_to_end(run_dir)
            return known[1]
        building = self._building.get(run_dir)
        if building and not building.is_over(signature):
            return building
        for path in self._places(run_dir):
            index = await asyncio.to_thread(open_index, path, run_dir, signature)
            if index:
                self._remember(run_dir, signature, index)
                return index
        return self._begin(run_dir, signature)

    def forget(self, run_dir: Path, index: Index) -> None:
        """This index turned out to be broken: it is to be built anew, unless that was done."""
        known = self._open.get(run_dir)
        if known is None or known[1] is not index:
            return
        self._retire(self._open.pop(run_dir)[1])
        for path in self._places(run_dir):
            with suppress(OSError):
                path.unlink()

    async def close(self) -> None:
        """End what is being built, and let go of all files."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for index in (*self._retired, *(index for _, index in self._open.values())):
            index.close()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _places(self, run_dir: Path) -> list[Path]:
        own = [run_dir / NAME]
        if self._temporary:
            own.append(self._temporary / _name_of(run_dir))
        return own

    def _begin(self, run_dir: Path, signature: Signature) -> Building:
        building = Building(signature, total=sum(size for _, size, _ in signature))
        self._building[run_dir] = building
        task = asyncio.create_task(self._build(run_dir, building))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return building

    async def _build(self, run_dir: Path, building: Building) -> None:
        target = run_dir / NAME
        if not os.access(run_dir, os.W_OK):
            self._temporary = self._temporary or Path(tempfile.mkdtemp(prefix="codeclm-studio-"))
            target = self._temporary / _name_of(run_dir)
        # -P: no module is taken from wherever the studio was started.
        command = (sys.executable, "-P", "-m", "codeclm.studio.indexing", str(run_dir), str(target))
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            building.fail(f"The index can't be built ({error.strerror}).")
            return
        try:
            _, said = await asyncio.gather(_follow(process, building), _last_words(process))
            if await process.wait():
                building.fail(f"The index could not be built. {said}")
            elif self._building.get(run_dir) is building:
                del self._building[run_dir]  # and if the files have changed meanwhile, the next look begins anew
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _remember(self, run_dir: Path, signature: Signature, index: Index) -> None:
        if run_dir in self._open:
            self._retire(self._open.pop(run_dir)[1])
        self._open[run_dir] = (signature, index)
        self._building.pop(run_dir, None)
        while len(self._open) > _OPEN:
            self._retire(self._open.popitem(last=False)[1][1])

    def _retire(self, index: Index) -> None:
        """Close it when the next one is: a request may still be reading it."""
        for old in self._retired:
            old.close()
        self._retired = [index]


INDEXES: Final = web.AppKey("indexes", IndexKeeper)


def keep_indexes(app: web.Application) -> None:
    """Let an application have indexes, and let go of them when it ends."""
    app[INDEXES] = IndexKeeper()

    async def close(app: web.Application) -> None:
        await app[INDEXES].close()

    app.on_cleanup.append(close)


async def from_index(request: web.Request, run_dir: Path, read: Callable[[Index], T]) -> T | Building:
    """What ``read`` gives for the index of a run, called in a thread; or how far the index is being built."""
    keeper = request.app[INDEXES]
    index = await keeper.index_of(run_dir)
    if isinstance(index, Building):
        return index
    try:
        return await asyncio.to_thread(read, index)
    except IndexBroken:
        keeper.forget(run_dir, index)
        raise web.HTTPConflict(
            text="The index of this run could not be read. It is built anew: load the page again."
        ) from None


async def _follow(process: asyncio.subprocess.Process, building: Building) -> None:
    assert process.stdout is not None  # noqa: S101 (a pipe was asked for)
    async for line in process.stdout:
        done, _, total = line.partition(b" ")
        building.done, building.total = int(done), int(total)


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None  # noqa: S101 (a pipe was asked for)
    said = (await process.stderr.read()).decode(errors="replace").strip()
    return said.splitlines()[-1][:_TOLD] if said else ""


def _name_of(run_dir: Path) -> str:
    return hashlib.blake2b(os.fsencode(run_dir.resolve()), digest_size=12).hexdigest() + ".sqlite"
