"""`codeclm align` in a terminal: what it is at meanwhile, then a table of the rounds, files and a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.aligning.align import REFERENCE, Aim, Aligned, align, check
from codeclm.aligning.picture import draw
from codeclm.aligning.results import ALIGNMENT, write
from codeclm.cli import snippets
from codeclm.cli.display import Display, Style, emit, printable, say, telling
from codeclm.cli.evaluation_screen import NONE
from codeclm.cli.evaluations import Chosen, asked_for
from codeclm.cli.running import stop_on_signals
from codeclm.config import RunConfig
from codeclm.errors import BudgetReached, Stopped
from codeclm.pictures import drawn
from codeclm.reporting.ending import reported
from codeclm.steps import Interruption, Watching

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for: how many rounds, whether all of them, and the benchmark as for `evaluate`."""

    rounds: int
    every: bool
    chosen: Chosen


def align_in_terminal(config: RunConfig, asked: Asked) -> None:
    """Align and print what came out. Raises the CodecLMError of whatever ended it, Stopped after Ctrl-C."""
    check(config)
    benchmark = asked_for(config, asked.chosen).benchmark
    aim = Aim(benchmark, asked.rounds, asked.chosen.rule, asked.every)
    console, json = Console(), asked.chosen.json
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    with reported(lambda: [config.run_dir, *sorted(config.run_dir.glob("round-*"))], telling(console, json=json)):
        with Display(style, console) as display, _said_when_stopped(display):
            made = asyncio.run(_run(config, aim, display, json=json))
        values = write(config, made, aim)
    pictures, missing = drawn(lambda: draw(values["rounds"], config.run_dir))
    if json:
        emit({"event": "done", "run_dir": str(config.run_dir), "alignment": values})
        return
    for part in screen(values):
        console.print(part)
    page = [path.name] if (path := (config.run_dir / ALIGNMENT).with_suffix(".html")).exists() else []
    names = ", ".join([*page, ALIGNMENT, *(path.name for path in pictures)])
    say(console, f"\nIn {config.run_dir}: {names}, a folder for each round, and evaluations.")
    say(console, _next(config, made))
    if missing:
        say(console, missing)


async def _run(config: RunConfig, aim: Aim, display: Display, *, json: bool) -> Aligned:
    stop = Interruption()
    stop_on_signals(stop, display)

    def tell(text: str) -> None:
        if json:
            emit({"event": "step", "text": text})
        display.say(text)

    return await align(config, aim, stop=stop, watching=Watching(tell, display.watch))


@contextmanager
def _said_when_stopped(display: Display) -> Iterator[None]:
    try:
        yield
    except (Stopped, BudgetReached):
        display.say("Stopped: finished phases stay, calls are recorded, a training goes on from its last checkpoint.")
        raise


def screen(values: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The rounds as a table, and why there is no further one. ``values`` are results.py's."""
    yield Text("")
    title = f"{values['benchmark']}: {values['rounds'][0]['items']} items against {REFERENCE}, rule {values['rule']}"
    table = Table(
        title=Text(printable(title), style="bold"),
        title_justify="left", box=None, pad_edge=False, header_style="dim",
    )  # fmt: skip
    table.add_column("")
    for name in ("examples", "learnt", "loss", "won / tied / lost", "CRR, interval"):
        table.add_column(name, justify="right", overflow="fold")
    for row in values["rounds"]:
        table.add_row(*_cells(row))
    yield table
    yield from map(Text, _told(values["rounds"]))
    yield Text(f"\nEnded: {values['ended']}. The best is {values['best']}.")


def _cells(row: Row) -> Sequence[str]:
    made = NONE if row["examples"] is None else f"{row['examples']:,} of {row['instructions']:,}"
    trained_on = NONE if row["trained_on"] is None else f"{row['trained_on']:,}"
    loss = NONE if row["loss"] is None else f"{row['loss'][0]:.2f} to {row['loss'][1]:.2f}"
    crr = NONE
    if row["crr"] is not None:
        low, high = row["crr_interval"]
        crr = f"{100 * row['crr']:.1f} % ({100 * low:.0f} to {100 * high:.0f})"
    return row["name"], made, trained_on, loss, f"{row['wins']}/{row['ties']}/{row['losses']}", crr


def _told(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row["invalid"]:
            yield f"{row['name']}: {row['invalid']} items are invalid and not scored."


def _next(config: RunConfig, made: Aligned) -> str:
    """What to do with the best model."""
    serve = made.best.model.serve
    if made.best.number == 0 or serve is None:
        return (
            "No round is better than the model as it was. More examples, other settings of `training`, or another one?"
        )
    return f"To serve the best model, set `{snippets.serve(serve.engine, serve.model)}` on an endpoint."
