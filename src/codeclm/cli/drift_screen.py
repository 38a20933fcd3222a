"""A drift on the terminal: the verdict, the figures and a table of the names that changed, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.cli.display import printable
from codeclm.drifting.drift import Drift
from codeclm.drifting.encoded import KINDS
from codeclm.drifting.moves import Move
from codeclm.drifting.statistics import ALPHA

NONE = "–"

_NAMED = 4  # names of each list
_NAME_WIDTH = 22
_CLIPPED = 60  # characters of a text
_HEADINGS = {"use_cases": "use cases", "skills": "skills"}


def screen(made: Drift) -> Iterator[RenderableType]:
    """What is printed of a drift."""
    yield Text("")
    yield Text(_verdict(made), style="bold yellow" if made.distances.moved else "bold")
    yield _figures(made)
    if not made.distances.moved:
        yield Text("\nThat names come and go as below may be chance.", style="dim")
    for kind in KINDS:
        found, of = made.moves[kind], _HEADINGS[kind]
        for heading, listed, count in (
            (f"new {of}", found.new, found.new_count),
            (f"vanished {of}", found.vanished, found.vanished_count),
            (f"{of} that grew", found.grown, found.grown_count),
            (f"{of} that shrank", found.shrunk, found.shrunk_count),
        ):
            if listed:
                more = f", the first {_NAMED} of them" if count > _NAMED else ""
                yield Text(f"\n{heading}: {count:,}{more}", style="bold")
                yield _table(listed, made.known_as)
    yield from _remarks(made)


def next_step(made: Drift) -> str:
    """What to do next, in one line."""
    covered, by_seeds = made.coverage, made.by_seeds
    if covered.enough and not made.distances.moved:
        return "nothing; look again when there is more traffic."
    if not made.distances.moved and covered.instructions is None:
        return "nothing; no example carries metadata to cover the traffic with."
    if not made.distances.moved and by_seeds.enough:
        return "raise `size` and run the config again, so that more of the metadata has its turn; then look again."
    return (
        f"make a run with these instructions among its {made.known_as}, in a new run_dir with this run's journal: "
        "what is recorded is not paid for again."
    )


def clipped(text: str) -> str:
    """A text on one line, its beginning where it is long, without what a terminal would obey."""
    plain = " ".join(printable(text).split())
    return plain if len(plain) <= _CLIPPED else f"{plain[: _CLIPPED - 1]}…"


def _verdict(made: Drift) -> str:
    p_value = made.distances.p_value
    if made.distances.moved:
        return f"The traffic has moved away from the run's {made.known_as} (p = {p_value:.4f}, below {ALPHA})."
    return f"No sign that the traffic moved away from the run's {made.known_as} (p = {p_value:.4f}, not below {ALPHA})."


def _figures(made: Drift) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(width=20, overflow="fold")
    table.add_column(width=9, justify="right", overflow="fold")
    table.add_column(overflow="fold", style="dim")
    apart, covered = made.distances, made.coverage
    scale = "Jensen-Shannon distance, 0 the same to 1"
    rows = [
        ("traffic", f"{len(made.now.encoded):,}", _left_out(made)),
        (made.known_as, f"{len(made.known.encoded):,}", _unread(made.known.unread)),
        ("use cases away", _number(apart.use_cases), f"from the {made.known_as}; {scale}"),
        ("skills away", _number(apart.skills), f"from the {made.known_as}; chance alone is not 0: see p"),
        ("examples", f"{made.examples:,}", "what coverage is by"),
        ("traffic covered", _percent(covered.instructions), "its use case and all skills occur in the examples"),
        ("use cases covered", _percent(covered.use_cases), "by examples, each as often as the traffic has it"),
        ("skills covered", _percent(covered.skills), "likewise"),
        (f"covered by {made.known_as}", _percent(made.by_seeds.instructions), "what more examples of them could reach"),
    ]
    for name, value, remark in rows:
        table.add_row(name, value, Text(printable(remark)))
    return table


def _table(listed: Sequence[Move], known_as: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold", width=_NAME_WIDTH)
    for name in ("traffic", known_as, "examples"):
        table.add_column(name, justify="right", width=len(name))
    table.add_column("such as", style="dim")
    for move in listed[:_NAMED]:
        counts = (f"{count:,}" for count in (move.traffic, move.known, move.examples))
        shown = move.shown[0] if move.shown else None
        such = clipped(f"{shown.id}: {shown.instruction}" if shown.instruction else shown.id) if shown else ""
        table.add_row(Text(clipped(move.name)), *counts, Text(such, no_wrap=True, overflow="ellipsis"))
    return table


def _remarks(made: Drift) -> Iterator[RenderableType]:
    if made.known_as == "metadata":
        yield Text("")
        yield Text(
            "The run has no seeds: the traffic is held against its metadata written by hand. A list is no sample of "
            "traffic, so even what it was written for may seem to have moved. Go by coverage.",
            style="yellow",
        )
    for one in made.now.unread[:_NAMED]:
        yield Text(clipped(f"Not encoded: {one.id} ({one.cause}): {one.instruction}"), style="yellow")
    if len(made.now.unread) > _NAMED:
        yield Text(f"and {len(made.now.unread) - _NAMED:,} more in drift.json", style="yellow")
    if told := made.edits.told():
        yield Text(told)


def _left_out(made: Drift) -> str:
    duplicates = f"{made.traffic.duplicates:,} repeated" if made.traffic.duplicates else ""
    return "; ".join(part for part in ("instructions encoded", _unread(made.now.unread), duplicates) if part)


def _unread(unread: Sequence[object]) -> str:
    return f"{len(unread):,} could not be encoded" if unread else ""


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"
