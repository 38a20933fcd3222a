"""The command that writes reports. Light: what is heavy is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codeclm.cli.endings import errors


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(report)


def report(
    run_dirs: Annotated[list[Path], typer.Argument(metavar="RUN_DIR...", help="Directories of runs or comparisons.")],
    json: Annotated[bool, typer.Option("--json", help="Write one JSON event instead of text.")] = False,
) -> None:
    """Write a run as one page to look at and to send: report.html.

    It opens anywhere, without the network, and prints well. A comparison or a
    study gets a page of its name, an alignment alignment.html, and each of
    their runs its report. Makes no call. Written at the end of each run too.
    """
    from codeclm.cli.reports import reports_in_terminal

    with errors(json=json):
        reports_in_terminal(run_dirs, json=json)
