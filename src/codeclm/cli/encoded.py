"""`codeclm encode` in a terminal: the display while it asks, the table, and what to do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from codeclm.cli.display import Display, Style, emit, say
from codeclm.cli.running import stop_on_signals
from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.dataset.metadata_table import EncodedSeed
from codeclm.encoding import Encoding, causes, encoded, prepared, write_table
from codeclm.errors import BudgetReached, Stopped
from codeclm.progress import Progress


def encode_in_terminal(config: RunConfig, out: Path, *, json: bool) -> None:
    """Encode the config's seeds, write the table and say what is in it. Raises the CodecLMError that stops it."""
    encoding = prepared(config, out)
    progress = Progress(config.size, seeds=len(encoding.inputs.seeds))
    console = Console()
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    with Display(style, console) as display:
        try:
            rows = asyncio.run(_encoded(encoding, progress, display))
        except (Stopped, BudgetReached):
            display.say("Stopped: every call that ended is recorded, and no table was written.")
            raise
    write_table(out, rows)
    _say(rows, out, progress, console, json=json)


async def _encoded(encoding: Encoding, progress: Progress, display: Display) -> tuple[EncodedSeed, ...]:
    stop = StopSwitch()
    stop_on_signals(stop, display)
    display.watch(progress)
    return await encoded(encoding, stop=stop, progress=progress)


def _say(rows: Sequence[EncodedSeed], out: Path, progress: Progress, console: Console, *, json: bool) -> None:
    failed = [row for row in rows if row.metadata is None]
    if json:
        told = [{"id": row.seed.id, "cause": row.cause} for row in failed]
        emit({"event": "done", "out": str(out), "rows": len(rows), "failed": told, "calls": progress.calls.made})
        return
    say(console, f"\nwrote {len(rows):,} seeds with their metadata to {out}")
    if failed:
        say(console, f"{len(failed):,} could not be encoded, and their rows are empty: {causes(rows)}.")
    say(
        console,
        "Correct what is wrong there, mark these rows in the column corrected, and set in the config\n"
        f"  encode_examples: {out.resolve()}\n"
        "A run directory that holds results belongs to the old examples: set another run_dir then.",
    )
