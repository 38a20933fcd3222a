"""The command that encodes seeds for a person to correct. Light: everything heavy is imported inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codeclm.cli.endings import Json, Overrides, again, errors


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command()(encode)


def encode(
    config: Annotated[Path, typer.Argument(help="The YAML configuration.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The table: .csv for a spreadsheet, or .jsonl.")
    ] = Path("metadata.csv"),
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Encode the seeds and write their metadata as a table that you can correct.

    Put right what is wrong, mark these rows in the column `corrected`, and name
    the file as `encode_examples` in the config: your rows are then the examples
    that encode is shown. A run of the same config makes none of these calls
    again. Run it again to resume.
    """
    from codeclm.cli.encoded import encode_in_terminal
    from codeclm.config_files import load

    with errors(json=json, resume=again("encode", config, overrides, ["--out", str(out)])):
        encode_in_terminal(load(config, overrides or ()), out, json=json)
