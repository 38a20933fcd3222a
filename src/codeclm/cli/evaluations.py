"""`codeclm evaluate` on a benchmark, in a terminal: how far it is meanwhile, then tables, files and a picture."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from rich.console import Console

from codeclm import run_directory
from codeclm.cli.display import Display, Style, emit, say, telling
from codeclm.cli.evaluation_screen import screen
from codeclm.cli.running import stop_on_signals
from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.errors import BudgetReached, ConfigError, InputError, Stopped
from codeclm.evaluating import benchmarks, results
from codeclm.evaluating.answer_files import read_answers
from codeclm.evaluating.evaluate import Asked, Evaluated, evaluate, model_named
from codeclm.evaluating.picture import draw
from codeclm.evaluating.verdicts import Rule
from codeclm.pictures import drawn
from codeclm.progress import Progress
from codeclm.records import Answer
from codeclm.reporting.ending import refresh


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the command line asks for, as it was typed."""

    benchmark: str
    candidates: Sequence[str] = ()
    reference: str = "strong"
    rule: Rule = "strict"
    split: benchmarks.Split = "all"
    limit: int | None = None
    answers: Sequence[str] = ()
    accepted: bool = False
    json: bool = False


def as_options(chosen: Chosen) -> list[str]:
    """The options that ask for the same again."""
    options = ["--benchmark", chosen.benchmark, "--rule", chosen.rule]
    options += ["--reference", chosen.reference] if chosen.reference != "strong" else []
    options += ["--split", chosen.split] if chosen.split != "all" else []
    options += ["--limit", str(chosen.limit)] if chosen.limit is not None else []
    options += [part for name in chosen.candidates for part in ("--candidate", name)]
    options += [part for given in chosen.answers for part in ("--answers", given)]
    return options + (["--accept-licence"] if chosen.accepted else [])


def asked_for(config: RunConfig, chosen: Chosen) -> Asked:
    """What is to be evaluated. Raises ConfigError and InputError; makes no call to a model."""
    whole = benchmarks.load(chosen.benchmark, accepted=chosen.accepted)
    benchmark = benchmarks.first(benchmarks.divided(whole, chosen.split, config.seed), chosen.limit)
    given: dict[str, dict[str, Answer]] = {}
    for option in chosen.answers:
        name, equals, path = option.partition("=")
        if not equals or not path or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
            raise ConfigError(
                f"--answers {option}: expected NAME=FILE, with a name of letters, digits, -, _ and points."
            )
        given[name] = read_answers(Path(path), benchmark)
    candidates = tuple(dict.fromkeys(chosen.candidates or _unnamed(config, given, chosen.reference)))
    for name in (*candidates, chosen.reference):
        if name not in given:
            model_named(config, name)
    return Asked(benchmark, candidates, chosen.reference, chosen.rule, given)


def _unnamed(config: RunConfig, given: dict[str, dict[str, Answer]], reference: str) -> list[str]:
    """Who is evaluated where nobody is named: the config's candidates and those whose answers are given."""
    return [name for name in (*config.models.candidates, *given) if name != reference] or ["target"]


def write_seeds(config: RunConfig, chosen: Chosen, path: Path) -> int:
    """Write the instructions that are chosen as seeds for a run, and say how many they are.

    The paper's seeds are a benchmark's validation split (section 5.1). Raises InputError where the file is there
    already with other content: it may be the benchmark itself.
    """
    items = asked_for(config, chosen).benchmark.items
    rows = ({"id": item.id, "instruction": item.instruction} for item in items)
    content = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    if path.is_file() and path.read_bytes() != content:
        raise InputError(f"--write-seeds {path}: is there already, with other content. Name another file.")
    run_directory.write(path, content)
    return len(items)


def evaluate_in_terminal(config: RunConfig, chosen: Chosen) -> tuple[Evaluated, ...]:
    """Evaluate and print what came out. Raises the CodecLMError of whatever ended it, Stopped after Ctrl-C."""
    asked = asked_for(config, chosen)
    console = Console()
    style: Style = "json" if chosen.json else "panel" if console.is_terminal else "lines"
    with Display(style, console) as display:
        try:
            evaluated = asyncio.run(_run(config, asked, display))
        except (Stopped, BudgetReached):
            display.say("Stopped: every call that ended is recorded. The table comes when all is judged.")
            raise
    rows = results.write(config, asked, evaluated)
    paired = results.paired_values(asked, evaluated)
    folder = results.folder_of(config, asked)
    pictures, missing = drawn(lambda: draw(rows, folder))
    if problem := refresh(config.run_dir):
        telling(console, json=chosen.json)(problem)
    if chosen.json:
        emit({"event": "done", "folder": str(folder), "evaluations": rows, "paired": paired})
        return evaluated
    for part in screen(rows, paired):
        console.print(part)
    names = [*(f"{row['candidate']}-vs-{row['reference']}/" for row in rows), *(path.name for path in pictures)]
    say(console, f"\nIn {folder}: {', '.join(names)}, and the answers in other evaluations' formats.")
    if missing:
        say(console, missing)
    return evaluated


async def _run(config: RunConfig, asked: Asked, display: Display) -> tuple[Evaluated, ...]:
    stop = StopSwitch()
    stop_on_signals(stop, display)
    names = ", ".join(asked.candidates)
    display.say(f"{names} against {asked.reference} on {asked.benchmark.name}: {len(asked.benchmark.items)} items")
    progress = Progress(config.size)
    display.watch(progress)
    return await evaluate(config, asked, stop=stop, progress=progress)
