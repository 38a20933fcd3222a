"""`codeclm plan` on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.amounts import dollars, duration, short
from codeclm.cli.display import emit, printable
from codeclm.cli.ranges import between, dollars_between
from codeclm.config import RunConfig
from codeclm.planning.estimate import Amount
from codeclm.planning.plan import Plan, as_values, plan
from codeclm.progress import Progress

_WIDE = 84  # columns from which tokens and all ranges have a place


def print_plan(config: RunConfig, rows: int, *, json: bool) -> None:
    """Plan ``config`` with a probe of ``rows`` rows and print the plan. Raises the CodecLMError of either."""
    console = Console()
    if json:
        emit({"event": "plan", **as_values(asyncio.run(plan(config, rows, say=lambda _: None)))})
        return
    with _waiting(console) as waiting:
        made = asyncio.run(plan(config, rows, say=waiting.say, watch=waiting.watch))
    console.print(screen(made, wide=console.width >= _WIDE))


@dataclass(slots=True)
class _Waiting:
    """The line shown while a plan is made."""

    console: Console
    doing: str = ""
    progress: Progress | None = None

    def say(self, doing: str) -> None:
        """What is being done now."""
        self.doing = doing
        if not self.console.is_terminal:
            self.console.print(f"{doing} …", markup=False, highlight=False)

    def watch(self, progress: Progress) -> None:
        """The rehearsal's progress."""
        self.progress = progress

    def __rich__(self) -> Text:
        progress = self.progress
        rehearsing = progress and progress.phase not in ("done", "stopped")
        far = f" ({progress.kept} of {progress.size})" if progress and rehearsing else ""
        return Text(f"{self.doing}{far}")


@contextmanager
def _waiting(console: Console) -> Iterator[_Waiting]:
    waiting = _Waiting(console)
    if console.is_terminal:
        with console.status(waiting):
            yield waiting
    else:
        yield waiting


def screen(made: Plan, *, wide: bool) -> Group:
    """The plan for a terminal of 60 columns, or of more."""
    estimate = made.estimate
    rows = f"after a probe of {made.probed} rows" if made.probed else "without a probe"
    parts: list[RenderableType] = [
        Text(f"{made.config.size:,} examples, planned {rows}", style="bold"),
        Text(""),
        _table(estimate.stages, estimate.total, wide=wide),
        Text(""),
        _summary(made),
    ]
    for note in made.notes:
        parts += [Text(""), Text(printable(note), style="yellow")]
    return Group(*parts)


def _table(stages: Mapping[str, Amount], total: Amount, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    names = ["calls", "90 % range"] + (["tokens in", "tokens out"] if wide else []) + ["dollars"]
    for name in names + (["90 % range"] if wide else []):
        table.add_column(name, justify="right", no_wrap=True)
    for name, amount in [*stages.items(), ("total", total)]:
        cells = [f"{amount.calls.point:,}", between(amount.calls)]
        if wide:
            cells += [short(amount.prompt_tokens.point), short(amount.completion_tokens.point)]
        cells.append(dollars(amount.usd.point) if amount.usd else "unknown")
        if wide:
            cells.append(dollars_between(amount.usd) if amount.usd else "")
        table.add_row(name, *cells, style="bold" if name == "total" else "")
    return table


def _summary(made: Plan) -> Table:
    """What there is to say of the whole run, each on a line of its own."""
    total, estimate = made.estimate.total, made.estimate
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    tokens = f"{short(total.prompt_tokens.point)} in, {short(total.completion_tokens.point)} out"
    rows.add_row("tokens", f"{tokens}; {between(total.tokens)} together")
    if total.usd:
        rows.add_row("dollars", f"{dollars(total.usd.point)}; {dollars_between(total.usd)}")
    seconds = estimate.seconds
    told = (
        f"{duration(seconds.point)}; {duration(seconds.low)} to {duration(seconds.high)}"
        if seconds
        else "known after a probe only"
    )
    rows.add_row("time", told)
    share = estimate.kept_share
    rows.add_row("kept", f"{share.point:.0%} of the instructions; {share.low:.0%} to {share.high:.0%}")
    for role, price in made.prices.items():
        if role in made.config.models.named:
            each = f"{dollars(price.input)} in, {dollars(price.output)} out for a million tokens"
            rows.add_row(f"{role} price", f"{each} ({printable(price.source)})")
    return rows
