"""Showing a run while it works: a live panel on a terminal, plain lines elsewhere, JSON events on request.

A display only reads the Progress it is given; it runs beside the run in a thread of its own and decides nothing.
"""

from __future__ import annotations

import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from codeclm import endpoint_states
from codeclm.amounts import duration
from codeclm.live_state import PHASES, Rates, as_values, of_what, where
from codeclm.progress import Progress

Style = Literal["panel", "lines", "json"]

_INTERVALS: dict[Style, float] = {"panel": 0.25, "lines": 10.0, "json": 1.0}

_WIDTH = 100
_NONE_YET = {False: "none yet", True: "selected at the end"}


class Display:
    """Shows a run in one of three styles. A context manager; hand :meth:`watch` to the run."""

    def __init__(self, style: Style, console: Console) -> None:
        self._style = style
        self._console = console
        self._progress: Progress | None = None
        self._rates = Rates()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._live = Live(console=console, auto_refresh=False, transient=False) if style == "panel" else None

    def watch(self, progress: Progress | None) -> None:
        """Begin to show this Progress; show nothing where there is none."""
        self._progress = progress
        if progress:
            self._rates = Rates()  # what came before was another's
            self._rates.sample(progress, time.monotonic())
        elif self._live:
            self._live.update("", refresh=True)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with suppress(OSError):
            if self._progress and (kind is None or self._progress.calls.made):
                self._show(self._progress)
            if self._live:
                self._live.stop()

    @property
    def batches(self) -> int:
        """How many batches of the run are under way at providers."""
        return len(self._progress.calls.batches) if self._progress else 0

    def leave_at_once(self, text: str) -> None:
        """Give the terminal back and say a last line; for a process about to end without ceremony."""
        if self._live:
            self._console.show_cursor(True)
        self.say(f"\n{text}")

    def say(self, text: str) -> None:
        """A line for a person, above the panel; nothing in the JSON style, nor to a terminal that is gone."""
        if self._style != "json":
            with suppress(OSError):
                self._console.print(text, markup=False, highlight=False, soft_wrap=not self._live)

    def _tick(self) -> None:
        while not self._ended.wait(_INTERVALS[self._style]):
            if self._progress:
                try:
                    self._show(self._progress)
                except OSError:  # whoever read along has left, or closed the terminal; the run goes on
                    self._ended.set()

    def _show(self, progress: Progress) -> None:
        self._rates.sample(progress, time.monotonic())
        if self._live:
            # Room at the right for an echoed ^C, which would else move the panel down a line.
            self._live.update(panel(progress, self._rates, width=min(_WIDTH, self._console.width - 3)), refresh=True)
        elif self._style == "json":
            emit({"event": "progress"} | as_values(progress, self._rates))
        else:
            self._console.print(line(progress, self._rates), markup=False, highlight=False, soft_wrap=True)


def emit(values: dict[str, Any]) -> None:
    """Write one JSON event to standard output."""
    sys.stdout.buffer.write(orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def say(console: Console, text: str) -> None:
    """Print a line that is broken only where the terminal breaks it, so that paths and commands can be copied whole."""
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def telling(console: Console, *, json: bool) -> Callable[[str], None]:
    """What tells a person something beside the result: a line, or an event of its own."""

    def tell(text: str) -> None:
        if json:
            emit({"event": "note", "text": text})
        else:
            say(console, text)

    return tell


def printable(text: str) -> str:
    """Text from anywhere without what a terminal would obey rather than show."""
    return "".join(c for c in text if c == "\n" or unicodedata.category(c)[0] != "C")


def line(progress: Progress, rates: Rates) -> str:
    """The run's state as one line of text."""
    calls = progress.calls
    done, total = where(progress)
    parts = [
        f"{done} of {total} {of_what(progress)}",
        f"{calls.made} calls made{_replayed(progress)}",
        f"{calls.in_flight} in flight",
        f"{_speed(progress, rates):.1f} calls/s",
    ]
    notes = {
        "spent": endpoint_states.spent(progress.budget) if progress.budget else "",
        "batches:": _batches(progress),
        "workers:": endpoint_states.workers(calls),
        "starting": endpoint_states.starting(calls),
        "out of order:": endpoint_states.out_of_order(calls),
        "failures:": _counts(progress.failures_by_cause),
    }
    parts += [f"{name} {text}" for name, text in notes.items() if text]
    return f"{PHASES[progress.phase]}: {', '.join(parts)}, {_eta(progress, rates)}"


def panel(progress: Progress, rates: Rates, *, width: int | None = None) -> Panel:
    """The run's state as a panel for a terminal of any width from 40 columns."""
    calls = progress.calls
    done, total = where(progress)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    counts = {name: progress.counts[name] for name in ("discarded", "failed", "duplicate") if progress.counts[name]}
    by_iteration = {f"in iteration {number}": n for number, n in sorted(progress.kept_by_iteration.items())}
    retries = f", sent again {_counts(calls.retries)}" if calls.retries else ""
    if not progress.to_measure:
        rows.add_row("kept", Text(_counts(by_iteration) or _NONE_YET[progress.gathering]))
        rows.add_row("not kept", Text(_counts(counts) or "none"))
    rows.add_row("calls", Text(f"{calls.made:,} made{_replayed(progress)}, {calls.in_flight} in flight{retries}"))
    rows.add_row("speed", Text(f"{rates.per_second('calls'):,.1f} calls/s, {rates.per_second('tokens'):,.0f} tokens/s"))
    if batches := _batches(progress):
        rows.add_row("batches", Text(batches))
    if workers := endpoint_states.workers(calls):
        rows.add_row("workers", Text(workers))
    if limits := endpoint_states.limits(calls):
        rows.add_row("limits", Text(limits))
    if progress.budget and (spent := endpoint_states.spent(progress.budget)):
        rows.add_row("spent", Text(spent))
    if starting := endpoint_states.starting(calls):
        rows.add_row("starting", Text(starting))
    if waiting := endpoint_states.out_of_order(calls):
        rows.add_row("out of order", Text(waiting, style="red"))
    if progress.failures_by_cause:
        rows.add_row("failures", Text(_counts(progress.failures_by_cause), style="yellow"))
    head = Table.grid(expand=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    doing = PHASES[progress.phase] + (" candidates" if progress.gathering else "")
    head.add_row(Text(f"{doing}  {done:,} of {total:,}", style="bold"), _eta(progress, rates))
    bar = Table.grid(expand=True)  # a bar by itself does not end its line
    bar.add_row(ProgressBar(total=total, completed=min(done, total)))
    return Panel(Group(head, bar, rows), title="codeclm", padding=(0, 1), width=width)


def _replayed(progress: Progress) -> str:
    """What a resumed run had recorded before; nothing for a first run."""
    return f", {progress.calls.replayed:,} from the journal" if progress.calls.replayed else ""


def _batches(progress: Progress) -> str:
    """What waits for batches; nothing in a live run."""
    batches, parked = list(progress.calls.batches.values()), progress.calls.parked
    if not batches:
        return f"{parked:,} calls gathered" if parked else ""
    done, held = sum(batch.done for batch in batches), sum(batch.calls for batch in batches)
    oldest = duration(max(0.0, time.time() - min(batch.made_at for batch in batches)))
    return f"{len(batches)} under way for up to {oldest}, {done:,} of {held:,} calls done"


def _speed(progress: Progress, rates: Rates) -> float:
    """Calls per second now; of the whole run once it is done."""
    if progress.phase == "done":
        return progress.calls.made / max(time.monotonic() - progress.started, 1e-9)
    return rates.per_second("calls")


def _eta(progress: Progress, rates: Rates) -> str:
    elapsed = duration(time.monotonic() - progress.started)
    eta = rates.eta(progress) if progress.phase in ("generate", "measure", "evaluate") else None
    return f"{elapsed} elapsed" + (f", {duration(eta)} left" if eta is not None else "")


def _counts(counts: dict[str, int]) -> str:
    # A copy: the run adds to the counts meanwhile.
    return ", ".join(f"{count:,} {name}" for name, count in dict(counts).items())
