"""A run in a terminal: signals, the display beside it, and what it says at the end."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codeclm import run_directory, worker
from codeclm.cli.display import Display, Style, emit, printable, telling
from codeclm.cli.failures import say_failures
from codeclm.cli.planned import planned_and_actual
from codeclm.cli.spending import shared_line, spent_line
from codeclm.clients.calls import StopSwitch
from codeclm.config import SIMULATOR, RunConfig
from codeclm.errors import BudgetReached, Stopped
from codeclm.event_log import written_to
from codeclm.generate import RunResult, generate
from codeclm.reporting.ending import reported

_INTERRUPTED = 130
# New objects after which the garbage collector looks for cycles. At Python's own 700 that is several percent of a run's
# work; so many are still little memory.
_COLLECT_AFTER = 20_000


def run_in_terminal(config: RunConfig, *, json: bool, retry_failed: bool = False, retrying: str = "") -> None:
    """Run ``config`` with a display and say what came out. Raises the run's CodecLMError, Stopped after Ctrl-C.

    ``retrying`` is the command to try again what failed.
    """
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    console = Console()
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    ending = reported(lambda: [config.run_dir], telling(console, json=json))
    with ending, Display(style, console) as display:
        try:
            result = asyncio.run(_run(config, display, retry_failed=retry_failed))
        except (Stopped, BudgetReached):
            made = (run_directory.read_manifest(config.run_dir) or {}).get("examples", 0)
            path = config.run_dir / run_directory.EXAMPLES
            found = f"{made} examples are in {_short(path)}" if path.exists() else "there are no examples yet"
            display.say(f"Stopped: {found}, and every call that ended is recorded.")
            if display.batches:
                goes_on = "1 batch goes" if display.batches == 1 else f"{display.batches} batches go"
                display.say(f"{goes_on} on at the provider. The next run collects what is paid for there.")
            raise
    if json:
        emit({"event": "done", "run_dir": str(result.run_dir), "manifest": result.manifest})
    else:
        say_result(result, config, console, retrying=retrying)


@contextmanager
def logged(path: Path | None) -> Iterator[None]:
    """Append events to ``path`` meanwhile, if it is given, and say at the end if some could not be written."""
    if path is None:
        yield
        return
    with written_to(path) as log:
        yield
    if log.lost:
        print(f"{path}: {log.lost} lines could not be written. Is there room on the disk?", file=sys.stderr)


async def _run(config: RunConfig, display: Display, *, retry_failed: bool) -> RunResult:
    stop = StopSwitch()
    stop_on_signals(stop, display)
    return await generate(config, stop=stop, watch=display.watch, retry_failed=retry_failed)


class Stoppable(Protocol):
    """What Ctrl-C ends."""

    @property
    def pressed(self) -> bool:
        """Whether it was asked to stop."""

    def press(self) -> None:
        """Ask it to stop."""


def stop_on_signals(stop: Stoppable, display: Display) -> None:
    """From now on the first Ctrl-C (or signal) presses ``stop``, and the second leaves at once. Call it in a loop."""

    def interrupt() -> None:
        if stop.pressed:
            # As safe as any kill: calls are recorded as they end, files are moved in place whole.
            display.leave_at_once("Left at once: what was in flight is lost, every call that ended is recorded.")
            os._exit(_INTERRUPTED)
        stop.press()
        display.say("Stopping: calls in flight end first. A second Ctrl-C (or signal) leaves at once.")

    worker.heeds_signals.set(True)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup means to outlive the terminal
            loop.add_signal_handler(number, interrupt)


def say_result(result: RunResult, config: RunConfig, console: Console, *, retrying: str = "") -> None:
    """What was made, where it is, and what to do next; ``retrying`` is the command to try again what failed."""
    manifest, folder = result.manifest, result.run_dir
    counts, kept = manifest["counts"], manifest["counts"]["kept"]
    calls = sum(row["calls"] for row in manifest["calls"])
    tokens = sum(row["prompt_tokens"] + row["completion_tokens"] for row in manifest["calls"])
    first = manifest["kept_by_iteration"].get("1", 0)
    gap = "" if manifest["mean_gap"] is None else f"; mean gap {manifest['mean_gap']:.1f} of 9"
    spent = f"{printable(line)}.\n" if (line := spent_line(manifest)) else ""
    since = "since the run directory was made"
    if "shared_calls" in manifest:
        since = "were used, whoever made them"
        spent += f"{printable(shared_line(manifest, run_directory.journal_path(config)))}\n"
    console.print(
        f"\n{kept} examples from {counts['instructions']} instructions "
        f"({counts['discarded']} discarded, {counts['failed']} failed, {counts['duplicate']} duplicates, "
        f"{counts['surplus']} beyond the size).\n"
        f"{first / kept:.0%} are as first written{gap}. "
        f"{calls:,} calls and {tokens:,} tokens {since}.\n"
        f"{spent}\nIn {_short(folder)}:",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    files = Table.grid(padding=(0, 2))
    files.add_column(no_wrap=True)
    for name, what in _FILES.items():
        if (folder / name).exists():
            files.add_row(Text(f"  {name}"), Text(what, style="dim"))
    console.print(files)
    if planned := planned_and_actual(folder, manifest):
        console.print("", planned, sep="\n")
    say_failures(folder, retrying, console)
    if SIMULATOR in (config.models.strong.base_url, config.models.target.base_url):
        console.print("Simulated models wrote this: for rehearsal, not for training.", style="yellow")


_FILES = {
    run_directory.EXAMPLES: "the dataset: messages to train on, and where each comes from",
    run_directory.EXAMPLES_PARQUET: "the same as Parquet",
    run_directory.PREFERENCES: "the better and the worse answer, for DPO",
    run_directory.DISCARDED: "what was not kept, with its scores and the reason",
    run_directory.FAILURES: "what failed, by stage and cause",
    run_directory.METADATA: "the metadata pool",
    run_directory.REPORT: "the run as one page, to look at and to send",
    run_directory.CARD: "the dataset card",
    run_directory.PLAN: "what the run was planned to take",
    run_directory.MANIFEST: "counts, calls, tokens, versions, hashes",
    run_directory.CONFIG: "the configuration as it was run",
    run_directory.JOURNAL: "every model call; keep it to resume or grow the run",
}


def _short(path: object) -> str:
    relative = os.path.relpath(str(path))
    return relative if not relative.startswith("..") else str(path)
