"""`codeclm drift` in a terminal: how far encoding is, then what changed, the files and what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from codeclm.cli import drift_screen
from codeclm.cli.display import Display, Style, emit, say
from codeclm.cli.running import stop_on_signals
from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.drifting.drift import DRIFT, Drift, Traffic, as_values, drift, made_run, read_traffic, write
from codeclm.drifting.picture import draw
from codeclm.errors import BudgetReached, Stopped
from codeclm.generate import Inputs
from codeclm.pictures import drawn
from codeclm.progress import Progress


def drift_in_terminal(folder: Path, path: Path, field: str | None, overrides: Sequence[str], *, json: bool) -> None:
    """Hold traffic against a run and print what changed. Raises the CodecLMError of whatever stops it."""
    config, inputs = made_run(folder, overrides)
    traffic = read_traffic(path, field or config.seeds_field)
    console = Console()
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    with Display(style, console) as display:
        try:
            made = asyncio.run(_run(config, inputs, traffic, display))
        except (Stopped, BudgetReached):
            display.say("Stopped: every call that ended is recorded. What changed is told when all is encoded.")
            raise
    written = write(folder, made)
    pictures, missing = drawn(lambda: draw(made, written))
    if json:
        emit({"event": "done", "run_dir": str(folder), "folder": str(written), "drift": as_values(made)})
        return
    for part in drift_screen.screen(made):
        console.print(part)
    names = ", ".join([DRIFT, *(one.name for one in pictures)])
    for text in (f"\nIn {written}: {names}", missing, f"Next: {drift_screen.next_step(made)}"):
        if text:
            say(console, text)


async def _run(config: RunConfig, inputs: Inputs, traffic: Traffic, display: Display) -> Drift:
    stop = StopSwitch()
    stop_on_signals(stop, display)
    display.say(f"encoding {len(traffic.instructions):,} instructions of {drift_screen.clipped(traffic.file)}")
    progress = Progress(config.size)
    display.watch(progress)
    return await drift(config, inputs, traffic, stop=stop, progress=progress)
