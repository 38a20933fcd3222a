"""`codeclm train` in a terminal: signals, the line that shows how far it is, and what is said at the end.

Of several processes the first speaks. The others are silent, unless one ends in an error of its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from codeclm import run_directory
from codeclm.amounts import duration
from codeclm.cli import snippets
from codeclm.cli.display import Style, emit, printable, say
from codeclm.cli.endings import FAILED, INTERRUPTED
from codeclm.config import RunConfig
from codeclm.config_files import load
from codeclm.errors import CodecLMError, ConfigError, OutputError, RunDirectoryError, RunFailed, Stopped
from codeclm.training.devices import is_first
from codeclm.training.progress import Note, Step
from codeclm.training.record import Trained
from codeclm.training.train import train as train_model

_LINES_EVERY = 10.0  # seconds
_WIDTH = 100


def config_for(run_dir: Path, overrides: Sequence[str]) -> RunConfig:
    """The config of a run directory with other training settings. Raises ConfigError and RunDirectoryError."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key != "seed" and not key.startswith("training."):
            raise ConfigError(
                f"--set {override}: training reads only `seed` and the keys of `training`, such as training.epochs=1."
            )
    path = run_dir / run_directory.CONFIG
    if not path.exists():
        raise RunDirectoryError(f"{run_dir}: not a run directory: it has no {run_directory.CONFIG}.")
    return load(path, overrides)


def train_in_terminal(run_dir: Path, model: str, config: RunConfig, out: Path, *, json: bool) -> None:
    """Train and say what came of it. Raises the CodecLMError of whatever stops it, Stopped after Ctrl-C."""
    if not is_first():
        _follow(run_dir, model, config, out)
        return
    console = Console()
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    with _stoppable(console if not json else None) as stop, _Shown(style, console, stop) as shown:
        trained = train_model(run_dir, model, config.training, out, seed=config.seed, tell=shown.tell)
    if json:
        emit({"event": "done", **_as_values(trained)})
    else:
        _say_result(trained, console)


@contextmanager
def first_speaks() -> Iterator[None]:
    """What all processes find alike is said by the first alone; the others leave in silence."""
    try:
        yield
    except (RunFailed, OutputError):  # may be one process's own
        raise
    except CodecLMError as error:
        if is_first():
            raise
        raise typer.Exit(INTERRUPTED if isinstance(error, Stopped) else FAILED) from None


def _follow(run_dir: Path, model: str, config: RunConfig, out: Path) -> None:
    """Train with the first process, which stops them all."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    train_model(run_dir, model, config.training, out, seed=config.seed)


class _Stop:
    """Whether somebody asked to stop."""

    pressed = False


@contextmanager
def _stoppable(console: Console | None) -> Iterator[_Stop]:
    """The first Ctrl-C (or signal) asks to stop after the step at work, a second Ctrl-C leaves at once.

    Not a second signal of another kind: torchrun sends its processes a SIGTERM after the terminal's SIGINT.
    """
    stop = _Stop()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.pressed and number == signal.SIGINT:
            # As safe as any kill: a checkpoint counts only once it is whole.
            os._exit(INTERRUPTED)
        if console and not stop.pressed:
            console.print(
                "Stopping after this step, with a checkpoint. A second Ctrl-C leaves at once.", highlight=False
            )
        stop.pressed = True

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Shown:
    """Shows a training in one of three styles."""

    def __init__(self, style: Style, console: Console, stop: _Stop) -> None:
        self._style = style
        self._console = console
        self._stop = stop
        self._said = float("-inf")
        self._live = Live(console=console, auto_refresh=False, transient=True) if style == "panel" else None

    def __enter__(self) -> _Shown:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def tell(self, told: Note | Step) -> None:
        """Show it. Raises Stopped once somebody has asked to stop."""
        if isinstance(told, Note):
            if self._style == "json":
                emit({"event": "note", "text": told.text})
            else:
                self._console.print(printable(told.text), highlight=False, markup=False, soft_wrap=True)
        else:
            self._show(told)
        if self._stop.pressed:
            raise Stopped("the training was asked to stop")

    def _show(self, step: Step) -> None:
        if self._style == "json":
            emit({"event": "step", **asdict(step)})
        elif self._live:
            self._live.update(_panel(step, min(_WIDTH, self._console.width - 3)), refresh=True)
        elif time.monotonic() - self._said > _LINES_EVERY or step.number in (1, step.of):
            self._said = time.monotonic()
            self._console.print(_line(step), highlight=False, markup=False, soft_wrap=True)


def _line(step: Step) -> str:
    return (
        f"step {step.number:,} of {step.of:,}, loss {step.loss:.4f}, rate {step.learning_rate:.2g}, "
        f"{duration(step.seconds)} elapsed, {duration(step.left)} left"
    )


def _panel(step: Step, width: int) -> Panel:
    head = Table.grid(expand=True)
    head.add_column(ratio=1)
    head.add_column(justify="right", no_wrap=True)
    times = f"{duration(step.seconds)} elapsed, {duration(step.left)} left"
    head.add_row(Text(f"training  step {step.number:,} of {step.of:,}", style="bold"), times)
    speed = step.tokens / max(step.seconds, 1e-9)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("loss", f"{step.loss:.4f}")
    rows.add_row("rate", f"{step.learning_rate:.3g}")
    rows.add_row("tokens", f"{step.tokens:,}, {speed:,.0f} a second")
    body = Table.grid(expand=True)
    body.add_row(head)
    body.add_row(ProgressBar(total=step.of, completed=step.number))
    body.add_row(rows)
    return Panel(body, title="codeclm train", padding=(0, 1), width=width)


def _as_values(trained: Trained) -> dict[str, object]:
    return {
        "folder": str(trained.folder),
        "model": trained.model,
        "objective": trained.objective,
        "adapter": trained.adapter,
        "already": trained.already,
        "steps": trained.steps,
        "first_loss": trained.losses[0][1] if trained.losses else None,
        "last_loss": trained.losses[-1][1] if trained.losses else None,
        "tokens": trained.tokens,
        "seconds": trained.seconds,
    }


def _say_result(trained: Trained, console: Console) -> None:
    """What came of it, where it is, and what to do next."""
    what = "adapter" if trained.adapter else "weights"
    if trained.already:
        say(console, "This training is done already; nothing was done now. Another one: --out FOLDER.\n")
    if trained.losses:
        first, last = trained.losses[0][1], trained.losses[-1][1]
        say(
            console,
            f"{trained.steps:,} steps, loss {first:.4f} at first and {last:.4f} at last, {trained.tokens:,} tokens in "
            f"{duration(trained.seconds)}.",
        )
    folder = os.path.relpath(trained.folder)
    folder = str(trained.folder) if folder.startswith("..") else folder
    say(console, f"The {what} and training.json are in {folder}.\n")
    say(console, "Next, hold it against the strong model. In the config:")
    say(console, f"  models:\n    candidates:\n      tuned: {{{snippets.serve('vllm', folder)}}}")
    say(console, "then: codeclm evaluate CONFIG --benchmark vicuna --candidate tuned")
