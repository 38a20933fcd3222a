"""The command that serves the studio. Light: everything heavy is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codeclm.cli.endings import errors

DEFAULT_RUNS = Path("runs")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(studio)


def studio(
    runs_dir: Annotated[Path, typer.Argument(help="The folder whose runs to show, or one run.")] = DEFAULT_RUNS,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8321,
    host: Annotated[str, typer.Option(help="The address to listen on; any but this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    token: Annotated[bool, typer.Option("--token", help="Ask for a token on this machine's own address too.")] = False,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="Another name this machine is reached by.")
    ] = None,
) -> None:
    """Look at runs in the browser: live while they work, and every example with its whole way.

    Serves pages at an address that it prints, until Ctrl-C. Runs that are
    started there go on without it. A token is taken from the environment
    variable CODECLM_STUDIO_TOKEN, or made and printed.
    """
    from codeclm.studio.serve import door_for, serve

    with errors():
        if runs_dir == DEFAULT_RUNS:
            runs_dir.mkdir(exist_ok=True)
        door, shown = door_for(host, names=name or (), token=token)
        serve(runs_dir, door, port, lambda base: typer.echo(_told(base, shown, runs_dir)))


def _told(base: str, shown: str, runs_dir: Path) -> str:
    address = f"{base}/?token={shown}" if shown else f"{base}/"
    return f"Runs in {runs_dir} at {address}\nCtrl-C ends the studio. Runs at work go on."
