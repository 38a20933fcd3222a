"""`codeclm audit` and `codeclm explain` in a terminal: what the models say, then the table and the files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from codeclm.auditing.audit import AUDIT, AUDITED, Asked, Asking, as_values, audit, check_asked, config_of
from codeclm.auditing.checks import FINDINGS
from codeclm.auditing.embedded import embedded
from codeclm.auditing.embeddings import Embeddings
from codeclm.auditing.explain import as_values as explained_values
from codeclm.auditing.explain import explain
from codeclm.auditing.pictures import draw
from codeclm.auditing.swap import SWAPS, Swapping, check_swap, swapped
from codeclm.cli import audit_screen, explain_screen
from codeclm.cli.display import Display, Style, emit, say, telling
from codeclm.cli.running import stop_on_signals
from codeclm.config import RunConfig
from codeclm.config_models import ModelConfig
from codeclm.edits import read_edits
from codeclm.errors import BudgetReached, ConfigError, Stopped
from codeclm.generate import read_inputs
from codeclm.measuring import measured, measuring_config, sample_of
from codeclm.pictures import drawn
from codeclm.planning.probing import opened
from codeclm.progress import Progress
from codeclm.reporting.ending import refresh
from codeclm.steps import Interruption

_RUN = "run"


@dataclass(frozen=True, slots=True)
class ToAsk:
    """What the models are asked besides: about how many examples, and which model about swapped instructions."""

    measure: int = 0
    swap: str = ""


def audit_in_terminal(folder: Path, asked: Asked, to_ask: ToAsk, *, json: bool) -> None:
    """Audit a run and print what is found. Raises the CodecLMError of whatever stops it."""
    check_asked(folder, asked)
    config = _config(folder, asked, to_ask)
    console = Console()
    style: Style = "json" if json else "panel" if console.is_terminal else "lines"
    asking = Asking()
    if config and (to_ask.measure or to_ask.swap or config.models.embedding):
        with Display(style, console) as display:
            try:
                asking = asyncio.run(_ask(config, to_ask, display))
            except (Stopped, BudgetReached):
                display.say("Stopped: every call that ended is recorded.")
                raise
    try:
        made = audit(folder, asked, asking)
    except KeyboardInterrupt:
        raise Stopped("the audit was asked to stop; nothing was written") from None
    pictures, missing = drawn(lambda: draw(made, folder))
    if problem := refresh(folder):
        telling(console, json=json)(problem)
    if json:
        emit({"event": "done", "run_dir": str(folder), "audit": as_values(made)})
        return
    for part in audit_screen.screen(made):
        console.print(part)
    written = [
        AUDIT,
        FINDINGS,
        *([AUDITED] if made.dropped else []),
        *([SWAPS] if made.swapping else []),
        *(path.name for path in pictures),
    ]
    for text in (f"\nIn {folder}: {', '.join(written)}", missing):
        if text:
            say(console, text)


def _config(folder: Path, asked: Asked, to_ask: ToAsk) -> RunConfig | None:
    """The run's config; None where it can't be had and nothing is asked for that needs it: the audit tells of it."""
    given = {"--measure": to_ask.measure, "--swap": to_ask.swap, "--set": asked.overrides}
    option = next((name for name, value in given.items() if value), "")
    try:
        config = config_of(folder, asked.overrides)
    except ConfigError:
        if option:
            raise
        return None
    if config is None and option:
        raise ConfigError(f"{option}: {folder} has no config.yaml, so there are no models to ask.")
    return config


async def _ask(config: RunConfig, to_ask: ToAsk, display: Display) -> Asking:
    """What the models say, recorded in the run's own journal."""
    if to_ask.swap:
        check_swap(config, to_ask.swap)
    stop = Interruption()
    stop_on_signals(stop, display)
    asking = await _measure(config, to_ask.measure, display, stop) if to_ask.measure else Asking()
    if to_ask.swap:
        asking = replace(asking, swapping=await _swap(config, to_ask.swap, display, stop))
    if config.models.embedding:
        asking = replace(asking, embeddings=await _embed(config, config.models.embedding, display, stop))
    return asking


async def _measure(config: RunConfig, count: int, display: Display, stop: Interruption) -> Asking:
    """What the models say of ``count`` examples."""
    own = measuring_config(config)
    inputs = read_inputs(own)
    sample = sample_of(config.run_dir, count, config.seed, edits=read_edits(config.run_dir))
    display.say(f"asking the models about {len(sample):,} examples")
    progress = Progress(config.size, seeds=len(inputs.seeds))
    display.watch(progress)
    async with opened(own, inputs, stop=stop.switch(), progress=progress) as models:
        found = await measured({_RUN: sample}, inputs, models=models, config=own, progress=progress)
    return Asking(sample, found.of[_RUN], found.seeds)


async def _swap(config: RunConfig, name: str, display: Display, stop: Interruption) -> Swapping:
    """What the model answers to instructions that speak of another group."""
    display.say(f"asking {name} with groups of people swapped")
    progress = Progress(config.size)
    display.watch(progress)
    return await swapped(config, name, stop=stop.switch(), progress=progress)


async def _embed(config: RunConfig, model: ModelConfig, display: Display, stop: Interruption) -> Embeddings:
    """How the examples lie to the seeds by the embedding model."""
    display.say(f"asking models.embedding ({model.model}) about examples and seeds")
    progress = Progress(config.size)
    display.watch(progress)
    return await embedded(config, model, stop=stop.switch(), progress=progress)


def explain_in_terminal(folder: Path, wanted: str, *, full: bool, json: bool) -> None:
    """Explain one instruction of a run. Raises InputError for an unknown id."""
    explained = explain(folder, wanted)
    if json:
        emit({"event": "done", "run_dir": str(folder), "explanation": explained_values(explained)})
        return
    console = Console()
    for part in explain_screen.screen(explained, full=full):
        console.print(part)
