"""`codeclm compare` and `codeclm study` in a terminal: the display meanwhile, then tables, files and a picture."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.amounts import dollars, short
from codeclm.cli.display import Display, Style, emit, printable, say, telling
from codeclm.cli.running import stop_on_signals
from codeclm.comparing.pictures import draw
from codeclm.comparing.rows import Row
from codeclm.comparing.side_by_side import SideBySide, as_values, side_by_side
from codeclm.comparing.variants import Study, Variants, methods_of, study_of
from codeclm.config import RunConfig
from codeclm.errors import BudgetReached, ConfigError, Stopped
from codeclm.pictures import drawn
from codeclm.reporting.ending import reported
from codeclm.steps import Interruption, Watching

COMPARISON = "comparison"
FULL_WIDTH = 80
NONE = "–"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a comparison was asked for besides its config: how many examples of each to measure, and JSON or text."""

    measure: int
    json: bool = False


def compare_in_terminal(config: RunConfig, methods: Sequence[str], asked: Asked) -> bool:
    """Compare methods and print what came out; whether each came to its size. Raises the CodecLMError of any run."""
    return _in_terminal(config, methods_of(config, methods), COMPARISON, asked)


def study_in_terminal(config: RunConfig, study: Study, points: Sequence[Fraction], asked: Asked) -> bool:
    """The same for one of the paper's studies."""
    return _in_terminal(config, Variants(study_of(config, study, points)), f"study-{study}", asked)


def shares(text: str) -> tuple[Fraction, ...]:
    """The points in a list such as ``0.2,0.4`` or ``20%,40%``. Raises ConfigError."""
    try:
        return tuple(
            Fraction(point.strip().removesuffix("%")) / (100 if point.strip().endswith("%") else 1)
            for point in text.split(",")
        )
    except (ValueError, ZeroDivisionError):
        raise ConfigError(f"--points {text}: expected shares or percentages, such as 0.2,0.4 or 20%,40%.") from None


def _in_terminal(config: RunConfig, variants: Variants, name: str, asked: Asked) -> bool:
    console = Console()
    style: Style = "json" if asked.json else "panel" if console.is_terminal else "lines"
    runs = [variant.config.run_dir for variant in variants.chosen]
    ending = reported(lambda: [config.run_dir, *runs], telling(console, json=asked.json))
    with ending, Display(style, console) as display, _said_when_stopped(display):
        made = asyncio.run(_run(config, variants, name, display, asked))
    pictures, missing = drawn(lambda: draw(made, config.run_dir))
    if asked.json:
        emit({"event": "done", "run_dir": str(config.run_dir), "comparison": as_values(made)})
        return made.complete
    for part in screen(made, console.width):
        console.print(part)
    page = [path.name] if (path := config.run_dir / f"{name}.html").exists() else []
    names = ", ".join([*page, f"{name}.json", *(path.name for path in pictures)])
    say(console, f"\nIn {config.run_dir}: {names}, and a folder for each run.")
    if missing:
        say(console, missing)
    return made.complete


async def _run(config: RunConfig, variants: Variants, name: str, display: Display, asked: Asked) -> SideBySide:
    stop = Interruption()
    stop_on_signals(stop, display)

    def tell(text: str) -> None:
        if asked.json:
            emit({"event": "step", "text": text})
        display.say(text)

    watching = Watching(tell, display.watch)
    return await side_by_side(config, variants, name=name, measure=asked.measure, stop=stop, watching=watching)


@contextmanager
def _said_when_stopped(display: Display) -> Iterator[None]:
    try:
        yield
    except (Stopped, BudgetReached):
        display.say("Stopped: every call that ended is recorded. The table comes when all runs have ended.")
        raise


def screen(made: SideBySide, width: int = FULL_WIDTH) -> Iterator[RenderableType]:
    """What is printed of a comparison: tables that have room in 60 columns, and what there is to say of them."""
    close = width < FULL_WIDTH
    yield Text("")
    yield _costs(made.rows, close)
    yield Text("")
    yield _by_iteration(made.rows[0]) if made.name == "study-iterations" else _iterations(made.rows, close)
    yield Text("")
    yield _likeness(made.rows, close)
    yield Text("")
    yield Text(
        f"Shared calls made once: {made.calls.made_once:,}. All together used {made.calls.used:,} calls, of which "
        f"{made.calls.distinct:,} were made."
    )
    if any(row.measured for row in made.rows):
        yield Text(f"Measuring: {made.calls.measuring:,} calls, beside those.")
    for row in made.rows:
        if row.problem:
            yield Text(printable(f"{row.name} came to {row.pairs} of {row.size}: {row.problem}"), style="yellow")
    for names, reason in _grouped(made.left_out):
        yield Text(printable(f"Left out: {', '.join(names)} ({reason})."), style="yellow")


def _costs(rows: Sequence[Row], close: bool) -> Table:
    """What each took."""
    columns = ("pairs", "written", "calls", "shared", "tokens", "dollars", "calls/pair")
    table = _table("What it took", *columns, close=close)
    for row in rows:
        cost = row.cost
        table.add_row(
            _name(row, close),
            f"{row.pairs:,}",
            f"{row.instructions:,}",
            short(cost.calls),
            short(cost.shared_calls),
            short(cost.prompt_tokens + cost.completion_tokens),
            NONE if cost.usd is None else dollars(Decimal(str(cost.usd))),
            _number(row.calls_per_pair, 1),
        )
    return table


def _iterations(rows: Sequence[Row], close: bool) -> Table:
    """What was kept, iteration by iteration, with a place for each from the first on."""
    columns = ("% of the pairs", "words", "difficulty, 1-10")
    table = _table("Kept by iteration (1/2/3/…)", *columns, close=close)
    for row in rows:
        last = max(map(int, row.kept_by_iteration), default=0)
        kept = {number: 100 * count / row.pairs for number, count in row.kept_by_iteration.items()}
        table.add_row(
            _name(row, close),
            _places(kept, last, 0),
            _places(row.words_by_iteration, last, 0),
            _places(row.difficulty_by_iteration, last, 1),
        )
    return table


def _by_iteration(row: Row) -> Table:
    """The same of one run, a line for each iteration: the paper's Figure 3."""
    table = _table(f"Kept by iteration ({row.name})", "pairs", "share", "words", "difficulty, 1-10")
    for number, count in row.kept_by_iteration.items():
        words, rating = row.words_by_iteration.get(number), row.difficulty_by_iteration.get(number)
        table.add_row(number, f"{count:,}", f"{count / row.pairs:.0%}", _number(words, 0), _number(rating, 1))
    return table


def _likeness(rows: Sequence[Row], close: bool) -> Table:
    """What the examples are like: gaps, diversity, and how near they are to the seeds."""
    evaluated = any(row.crr is not None for row in rows)
    columns = ("gap", "25–75 %", "distinct", "bits", "copied", "alike", "away", *(["CRR"] if evaluated else []))
    table = _table("What it is like", *columns, close=close)
    table.caption, table.caption_justify = _LEGEND, "left"
    for row in rows:
        gap = row.gap
        crr = [] if not evaluated else [NONE if row.crr is None else f"{row.crr:.1%}"]
        table.add_row(
            _name(row, close),
            _number(gap.mean if gap else None, 1),
            f"{gap.lower:.1f}–{gap.upper:.1f}" if gap else NONE,
            _number(row.distinct_2, 2),
            _number(row.use_case_entropy, 1),
            NONE if row.seed_overlap is None else f"{row.seed_overlap:.0%}",
            _number(row.seed_likeness, 2),
            f"{_number(row.use_case_distance, 2)}/{_number(row.skill_distance, 2)}",
            *crr,
        )
    return table


_LEGEND = (
    "gap: strong minus target, mean and quartiles; distinct: pairs of words; bits: of the use cases; copied: share 8 "
    "words with a seed; alike: the nearest seed; away: from the seeds' use cases/skills"
)


def _table(title: str, *columns: str, close: bool = False) -> Table:
    """A table with room for the names; with ``close``, one space between columns and headings in two lines."""
    heading = Text(printable(title), style="bold")
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.collapse_padding = close
    table.add_column("", overflow="fold", min_width=_NAME)
    for column in columns:
        table.add_column(_LONG.get(column, column) if close else column, justify="right", no_wrap=True)
    return table


_NAME = 9  # of which no word of a name is longer
# Headings that are longer than what stands below them.
_LONG = {"calls/pair": "calls\n/pair", "difficulty, 1-10": "difficulty,\n1-10", "% of the pairs": "% of the\npairs"}


def _name(row: Row, close: bool) -> Text:
    """A method's name; where room is short, a long one is broken between its words."""
    name = printable(row.name)
    if close and len(name) > _NAME:
        name = re.sub(r"(?<=-)|(?=\+)", "\n", name)
    return Text(name, style="yellow" if row.problem else "")


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _places(values: dict[str, float], last: int, digits: int) -> str:
    """The values of iterations 1 to ``last``, one after another; where there are none, nothing is known."""
    if not values:
        return NONE
    return "/".join(_number(values.get(str(number)), digits) for number in range(1, last + 1))


def _grouped(left_out: Iterable[tuple[str, str]]) -> Iterable[tuple[list[str], str]]:
    """The names left out for each reason."""
    names = defaultdict(list)
    for name, reason in left_out:
        names[reason].append(name)
    return [(found, reason) for reason, found in names.items()]
