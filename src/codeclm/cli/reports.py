"""`codeclm report` in a terminal: which pages a directory gets, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from codeclm import run_directory
from codeclm.cli.display import emit, say
from codeclm.errors import CodecLMError
from codeclm.pictures import INSTALL
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.ending import ALIGNMENT, COMPARISONS
from codeclm.reporting.linked import Page
from codeclm.reporting.report import write_report


def reports_in_terminal(folders: Sequence[Path], *, json: bool) -> None:
    """Write the pages of each directory and say where they are.

    One that can't be written keeps none of the others back; its error is raised in the end.
    """
    written: list[Path] = []
    problems: list[CodecLMError] = []
    for folder in folders:
        try:
            _write(folder, written)
        except CodecLMError as problem:
            problems.append(problem)
    if json:
        emit({"event": "done", "written": [str(path) for path in written]})
    else:
        console = Console()
        for path in written:
            say(console, f"wrote {path}")
        if written and (missing := Drawing().missing):
            say(console, f"Without charts, since {missing}. {INSTALL} gets what draws them.")
    if problems:
        raise problems[0]


def _write(folder: Path, written: list[Path]) -> None:
    """The pages of a directory: of the run in it, and of what compares or aligns runs in folders below."""
    together = _together(folder)
    written += [page.path for page in together]
    runs = dict.fromkeys(below for page in together for below in page.runs)
    if not together or any((folder / name).exists() for name in (run_directory.MANIFEST, run_directory.EXAMPLES)):
        runs[folder] = None
    written += [write_report(run) for run in runs if run / run_directory.REPORT not in written]


def _together(folder: Path) -> list[Page]:
    """The pages of comparisons and alignments in the directory; their modules are heavy, and seldom needed."""
    found: list[Page] = []
    if any(any(folder.glob(name)) for name in COMPARISONS):
        from codeclm.comparing.page import write_pages

        found += write_pages(folder)
    if (folder / ALIGNMENT).is_file():
        from codeclm.aligning.page import write_page

        found += write_page(folder)
    return found
