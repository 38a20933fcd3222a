"""The results as one page of pictures that opens anywhere, without a script and without the network.

It is a pure function of the results and of ``about``: the same give the same bytes. Every text is escaped. What there
are no results for is left out, and the page says what that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from markupsafe import Markup

from benchmarks.test_tube import conditions as of
from benchmarks.test_tube import figures, table
from benchmarks.test_tube.claims import INSTRUMENT, PAPER, Checked, check
from benchmarks.test_tube.conditions import CODECLM, START, ByCondition
from benchmarks.test_tube.intervals import Estimate, Holds
from benchmarks.test_tube.notes import notes
from benchmarks.test_tube.results import Result
from codeclm import run_directory
from codeclm.pages.figures import Figure
from codeclm.pages.rendering import render_from, styles
from codeclm.pictures import INSTALL
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.report import STYLES

_TEMPLATES: Final = Path(__file__).parent / "templates"
_STYLES: Final = """
td.number small { display: block; }
.scroll th.number { white-space: normal; }
@media (min-width: 1000px) { [aria-labelledby="order-title"] .figures > :nth-last-child(3) { grid-row: span 2; } }
"""
"""Tables here have many columns: names may break into lines, and an interval stands below its figure. The first of
three figures has both others beside it."""


@dataclass(frozen=True, slots=True)
class Section:
    """Figures under a title; ``about`` is what they are to tell."""

    name: str
    title: str
    about: str
    figures: tuple[Figure, ...]


def write(path: Path, results: Iterable[Result], about: Mapping[str, str]) -> None:
    """Write the page to ``path``, whole or not at all.

    ``about`` is what it was measured on and with, shown at the end. Raises ValueError for two results of one condition
    at one seed, and OutputError where the page can't be written.
    """
    run_directory.write(path, page(of.by_condition(results), about).encode(errors="replace"))


def page(found: ByCondition, about: Mapping[str, str]) -> str:
    """The page, as HTML."""
    draw, checked = Drawing(), check(found)
    sections = [section for section in _sections(found, checked, draw) if section.figures]
    kinds = chain(["warn" if len(of.all_seeds(found)) < 2 else ""], repeat(""))
    notices = list(zip(kinds, notes(found), strict=False))
    if draw.missing:
        notices.append(("", f"No charts, only their figures: {draw.missing}. {INSTALL} gets what draws them."))
    return render_from(
        _TEMPLATES,
        "test_tube.html",
        styles=Markup(styles()),
        own_styles=Markup(STYLES.read_text(encoding="utf-8") + _STYLES),
        notices=notices,
        version="",
        tiles=_tiles(found, checked),
        sections=sections,
        tables=table.tables(found),
        about=list(about.items()),
    )


def _sections(found: ByCondition, checked: Sequence[Checked], draw: Drawing) -> list[Section]:
    return [
        _section(
            "order", "The claim, and the instrument",
            "Every method was asked for as many pairs, and each trained the same start checkpoint. A test is worth "
            "what it finds: with a part of codeclm broken on purpose, its result has to be worse.",
            figures.methods(found, draw),
            figures.claims(checked, PAPER, "Does each part help?", draw),
            figures.claims(checked, INSTRUMENT, "Is what is broken worse?", draw),
        ),
        _section(
            "reasons", "How it comes about",
            "What the pairs are like, and where they help.",
            figures.iterations(found, draw),
            figures.steps(found, draw),
            *figures.pairs(found, draw),
        ),
        _section(
            "studies", "One thing changed",
            "Codeclm, or another method where it says so, with one thing changed at a time.",
            figures.sizes(found, draw),
            figures.shares(found, draw),
            figures.thresholds(found, draw),
            figures.improved(found, draw),
        ),
        _section(
            "price", "The price",
            "What the model forgot of the rest, and the calls it took.",
            figures.forgetting(found, draw),
            figures.costs(found, draw),
        ),
    ]  # fmt: skip


def _section(name: str, title: str, about: str, *drawn: Figure | None) -> Section:
    return Section(name, title, about, tuple(one for one in drawn if one))


def _tiles(found: ByCondition, checked: Sequence[Checked]) -> list[tuple[str, str, str]]:
    """The few numbers that tell most."""
    tiles = []
    for name, note in ((CODECLM, ""), (START, "before training")):
        if estimate := of.measured(found, name):
            tiles.append((f"{name}, CRR", f"{100 * estimate.value:.1f} %", _told(estimate, note)))
    others = [(name, estimate) for name in of.methods(found) if (estimate := of.measured(found, name))]
    others = [other for other in others if other[0] != CODECLM]
    if others:
        name, estimate = max(others, key=lambda other: other[1].value)
        tiles.append(("best other method", f"{100 * estimate.value:.1f} %", _told(estimate, name)))
    for kind, title in ((PAPER, "the paper’s claims"), (INSTRUMENT, "breaks that are worse")):
        verdicts = [one.verdict for one in checked if one.claim.kind == kind]
        if verdicts:
            missed = [f"{verdicts.count(each)} {each}" for each in (Holds.OPEN, Holds.NO) if each in verdicts]
            note = f"beyond the interval{''.join(f', {each}' for each in missed)}"
            tiles.append((title, f"{verdicts.count(Holds.YES)} of {len(verdicts)}", note))
    return tiles


def _told(estimate: Estimate, note: str) -> str:
    ends = f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f}"
    return f"{note}, {ends}" if note else ends
