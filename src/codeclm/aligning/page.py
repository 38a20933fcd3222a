"""An alignment as one page: alignment.html beside alignment.json, from which alone it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import FiniteFloat, NonNegativeInt

from codeclm import run_directory
from codeclm.aligning.results import ALIGNMENT
from codeclm.pages.figures import Figure
from codeclm.pages.rendering import clip, visible
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.json_files import Part, read_json
from codeclm.reporting.linked import Page, link_to, runs_below
from codeclm.reporting.report import page
from codeclm.reporting.sendable import sendable

_CHARTS: Final = "codeclm.aligning.charts"
_MOST = 100  # rounds
_REASON = 400  # characters


class _Round(Part):
    name: str
    examples: NonNegativeInt | None = None
    instructions: NonNegativeInt | None = None
    trained_on: NonNegativeInt | None = None
    loss: tuple[FiniteFloat, FiniteFloat] | None = None
    wins: NonNegativeInt
    ties: NonNegativeInt
    losses: NonNegativeInt
    invalid: NonNegativeInt = 0
    crr: FiniteFloat | None = None
    crr_interval: tuple[FiniteFloat, FiniteFloat] | None = None


class _Paired(Part):
    first: str
    second: str
    items: NonNegativeInt = 0
    difference: FiniteFloat | None = None
    interval: tuple[FiniteFloat, FiniteFloat] | None = None
    p: FiniteFloat | None = None


class _Alignment(Part):
    codeclm: str = ""
    benchmark: str
    rule: str = ""
    rounds: tuple[_Round, ...]
    paired: tuple[_Paired, ...] = ()
    best: str = ""
    ended: str = ""


def write_page(folder: Path) -> list[Page]:
    """Write the page of the alignment in ``folder``; none where there is none.

    Raises RunDirectoryError where alignment.json is not one, and OutputError where there is no room.
    """
    path = folder / ALIGNMENT
    found = read_json(path, _Alignment, "align again: nothing is paid for twice")
    if found is None:
        return []
    draw = Drawing()
    rounds = found.rounds[:_MOST]
    content = page(
        "alignment.html",
        draw,
        version=clip(found.codeclm, 40),
        name=folder.resolve().name,
        benchmark=clip(sendable(found.benchmark), 90),
        best=clip(found.best, 90),
        ended=clip(sendable(found.ended), _REASON),
        tiles=_tiles(rounds, found.best),
        links=[(one.name, link_to(folder, one.name)) for one in rounds],
        columns=_COLUMNS,
        rounds=[_cells(one) for one in rounds],
        paired=[_compared(one) for one in found.paired[:_MOST]],
        figures=list(_figures(rounds, draw)),
    )
    target = path.with_suffix(".html")
    run_directory.write(target, content.encode(errors="replace"))
    return [Page(target, runs_below(folder, [one.name for one in rounds]))]


_COLUMNS: Final = (
    "round", "examples", "of instructions", "trained on", "loss, first and last", "wins", "ties", "losses",
    "not scored", "CRR", "95 % interval",
)  # fmt: skip


def _cells(one: _Round) -> tuple[object, ...]:
    loss = None if one.loss is None else f"{one.loss[0]:.3f} to {one.loss[1]:.3f}"
    crr = None if one.crr is None else f"{one.crr:.1%}"
    interval = None if one.crr_interval is None else f"{one.crr_interval[0]:.1%} to {one.crr_interval[1]:.1%}"
    results = (one.wins, one.ties, one.losses, one.invalid)
    return clip(one.name, 90), one.examples, one.instructions, one.trained_on, loss, *results, crr, interval


def _compared(one: _Paired) -> tuple[object, ...]:
    difference = None if one.difference is None else f"{100 * one.difference:+.1f} points"
    interval = None if one.interval is None else f"{100 * one.interval[0]:+.1f} to {100 * one.interval[1]:+.1f}"
    p = None if one.p is None else "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
    return clip(one.first, 90), clip(one.second, 90), one.items, difference, interval, p


def _tiles(rounds: Sequence[_Round], best: str) -> Iterator[tuple[str, str, str]]:
    scored = {one.name: one.crr for one in rounds if one.crr is not None}
    yield "Rounds", f"{max(0, len(rounds) - 1):,}", "after the model as it was"
    if rounds and rounds[0].name in scored:
        yield "CRR at the start", f"{scored[rounds[0].name]:.1%}", ""
    if best in scored:
        yield "CRR of the best", f"{scored[best]:.1%}", visible(clip(best, 40))
    examples = sum(one.examples or 0 for one in rounds)
    yield "Examples made", f"{examples:,}", ""


def _figures(rounds: Sequence[_Round], draw: Drawing) -> Iterator[Figure]:
    rows: list[dict[str, Any]] = [one.model_dump() for one in rounds]
    scored = [row for row in rows if row["crr"] is not None and row["crr_interval"]]
    if scored:
        title = "Capacity recovered, by round"
        about = "The Capacity Recovery Ratio of each round's model with its 95 % interval; first the model as it was."
        table = tuple((row["name"], row["crr"], *row["crr_interval"]) for row in scored)
        drawn = draw("recovered", title, lambda charts: charts.recovered(rows), _CHARTS)
        yield Figure("recovered", title, about, ("round", "CRR", "from", "to"), table, drawn)
    made = [row for row in rows if row["instructions"]]
    if made:
        title = "Of its instructions, kept by the filter"
        about = (
            "How many of a round's instructions its target still fell short of: fewer, where there is less to learn."
        )
        columns = ("round", "examples", "instructions")
        table = tuple((row["name"], row["examples"], row["instructions"]) for row in made)
        drawn = draw("kept", title, lambda charts: charts.kept(rows), _CHARTS)
        yield Figure("kept", title, about, columns, table, drawn)
