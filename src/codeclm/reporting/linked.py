"""What the pages of comparisons and alignments share: links to the reports of the runs they are made of."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from codeclm import run_directory


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written, and the directories of the runs it links to."""

    path: Path
    runs: tuple[Path, ...]


def runs_below(folder: Path, names: list[str]) -> tuple[Path, ...]:
    """The folders of that name in ``folder`` that hold a run. A name that would lead elsewhere is none."""
    return tuple(folder / name for name in names if _is_run(folder, name))


def _is_run(folder: Path, name: str) -> bool:
    if name in ("", ".", "..") or Path(name).name != name:
        return False
    return os.path.isfile(folder / name / run_directory.MANIFEST)  # False too where no file can have the name


def link_to(folder: Path, name: str) -> str:
    """The address of a run's report as seen from a page in ``folder``; empty where there is no such run."""
    return f"./{quote(name)}/{run_directory.REPORT}" if runs_below(folder, [name]) else ""
