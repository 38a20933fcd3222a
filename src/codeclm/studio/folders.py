"""The runs below the runs folder: found by listing it, and known by keys that are safe in an address.

Contract. What a browser names is looked up among what was found; nothing of an address is ever joined to a path. Links
to folders are not followed, and a run directory one of whose files is a link that leads out of the runs folder is told
as broken and not read.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from codeclm import run_directory

STARTED_FROM: Final = "start.yaml"
"""The config of a run that the studio started, until the run has written its own."""

LOG: Final = "run.log"
"""What a run said that the studio started."""

_WRITTEN_IN_PLACE: Final = (run_directory.EDITS, LOG)
_KINDS_THAT_HANG: Final = {"other": "is neither a file nor a folder"}  # to open a pipe is to wait for its other end

DEPTH: Final = 4
"""How many folders below the runs folder a run is looked for: a comparison's and an alignment's runs lie deeper."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory that was found.

    ``key`` names it in addresses and is made of letters, digits and ``._~-`` alone; ``name`` is its path below the runs
    folder, for people. ``problem`` says why it must not be read; empty where it may.
    """

    key: str
    name: str
    folder: Path
    problem: str = ""


class RunsFolder:
    """The runs folder. Used from the server's loop and its threads; finding again replaces all at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._found: dict[str, Run] = {}

    def find(self) -> list[Run]:
        """All runs, by name. A folder that can't be listed is left out."""
        found = {run.key: run for run in _keyed(_runs_in(self.root, self.root, DEPTH), self.root)}
        self._found = found
        return list(found.values())

    def get(self, key: str) -> Run | None:
        """The run of this key, looked at anew; None where there is none any more."""
        run = self._found.get(key)
        if run is None:
            self.find()
            run = self._found.get(key)
        if run is None or run.folder.is_symlink() or run.folder.resolve() != run.folder:
            return None
        listed = _listed(run.folder)
        if listed is None or not _is_run(listed):
            return None
        return Run(run.key, run.name, run.folder, _problem(run.folder, listed, self.root))

    def key_of(self, folder: Path) -> str | None:
        """The key of the run in a folder; None where none is found there."""
        place = folder.resolve()
        return next((run.key for run in self.find() if run.folder == place), None)

    def holds(self, path: Path) -> bool:
        """Whether a path, wherever its links lead, lies in the runs folder."""
        return path.resolve().is_relative_to(self.root)


def _runs_in(folder: Path, root: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """The run directories in ``folder`` and below it, each with what is wrong with it."""
    listed = _listed(folder)
    if listed is None:
        return
    if _is_run(listed):
        yield folder, _problem(folder, listed, root)
    if depth:
        for name in sorted(name for name, kind in listed.items() if kind == "folder" and not name.startswith(".")):
            yield from _runs_in(folder / name, root, depth - 1)


def _listed(folder: Path) -> dict[str, str] | None:
    """What is in a folder, by name: a link, a folder, a file or something else. None where it can't be listed."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: _kind(entry) for entry in entries}
    except OSError:
        return None


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "other"


def _is_run(listed: dict[str, str]) -> bool:
    names = listed.keys()
    return (
        run_directory.MANIFEST in names
        or STARTED_FROM in names
        or {run_directory.CONFIG, run_directory.JOURNAL} <= names
    )


def _problem(folder: Path, listed: dict[str, str], root: Path) -> str:
    """Why a run directory must not be read or written; empty where it may. It may be anybody's."""
    for name, kind in listed.items():
        if problem := _link_problem(folder / name, root) if kind == "link" else _KINDS_THAT_HANG.get(kind, ""):
            return f"{name} {problem}, so the studio doesn't read this run."
        if kind == "folder" and name in run_directory.OWN_FILES:
            return f"{name} is a folder and should be a file, so the studio doesn't read this run."
    return ""


def _link_problem(path: Path, root: Path) -> str:
    try:
        place = path.resolve()
    except (OSError, RuntimeError):  # a loop
        return "is a link that leads nowhere"
    if not place.is_relative_to(root):
        return "is a link that leads out of the runs folder"
    if path.name.startswith(".") or path.name.endswith(".partial") or path.name in _WRITTEN_IN_PLACE:
        return "is a link where codeclm writes"
    return "" if place.is_file() or place.is_dir() or not place.exists() else _KINDS_THAT_HANG["other"]


def _keyed(found: Iterable[tuple[Path, str]], root: Path) -> Iterator[Run]:
    taken: set[str] = set()
    for folder, problem in found:
        name = folder.relative_to(root).as_posix() if folder != root else (root.name or "run")
        key = name.replace("/", "~")
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,120}", key) or key in taken or "~" in name:
            digest = hashlib.blake2b(os.fsencode(name), digest_size=6).hexdigest()
            key = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:80].strip('-') or 'run'}-{digest}"
        taken.add(key)
        yield Run(key, name, folder, problem)
