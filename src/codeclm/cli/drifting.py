"""`codeclm drift`. Light: what is heavy is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codeclm.cli.endings import Json, Overrides, again, errors


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(drift)


def drift(
    run_dir: Annotated[Path, typer.Argument(help="A run directory.")],
    traffic: Annotated[
        Path, typer.Option("--traffic", metavar="FILE", help="New instructions, in any format that seeds may have.")
    ],
    field: Annotated[
        str | None,
        typer.Option("--field", help="The field that holds the instruction; as for the run's seeds unless said."),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """See whether new instructions have moved away from what a run covers.

    The strong model reads each new instruction once; doing it again makes no
    call. A permutation test holds the traffic against the run's seeds: below
    p = 0.01 it has moved. Coverage holds it against the run's examples. Names
    what is new, gone, grown and shrunk. Leaves with 0 whether it moved or not.
    Writes drift/NAME/drift.json, by the file's name, and a picture.
    """
    from codeclm.cli.drifted import drift_in_terminal

    options = ["--traffic", str(traffic), *(["--field", field] if field else [])]
    with errors(json=json, resume=again("drift", run_dir, overrides, options)):
        drift_in_terminal(run_dir, traffic, field, overrides or (), json=json)
