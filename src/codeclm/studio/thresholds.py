"""What another threshold would keep, told at once from the recorded gaps: a slider, and where its examples would lie.

Contract. No model is called and nothing is written: the page gives the command that does it. It counts what passes by
its gaps alone, as ``codeclm export --threshold`` decides before it looks at duplicates and the size.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from codeclm import run_directory
from codeclm.config_files import load
from codeclm.records import Status
from codeclm.reselect import why_no_threshold
from codeclm.studio.browsing import list_address
from codeclm.studio.facts import HIGHEST_GAP
from codeclm.studio.filters import Filter
from codeclm.studio.folders import Run
from codeclm.studio.handling import is_partial, page, run_of
from codeclm.studio.index import Index, Passing
from codeclm.studio.index_keeping import Building, from_index

RUN_PLACES: Final = (("/threshold", "Threshold"),)
STEP: Final = 0.25

_MOST_USE_CASES: Final = 15


def routes() -> list[web.RouteDef]:
    """The page, and the part of it that follows the slider."""
    return [web.get("/runs/{run}/threshold", _show, name="threshold")]


@dataclass(frozen=True, slots=True)
class Change:
    """How many outcomes of an iteration, or of a use case, pass at the run's own threshold and at another."""

    name: str
    own: int
    other: int


@dataclass(frozen=True, slots=True)
class Passes:
    """What passes at a threshold: how many, and the mean width of their gaps in points."""

    outcomes: int
    mean_gap: float | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What another threshold would keep, against what the run's own lets pass.

    ``new`` are discarded now and would pass, ``gone`` are kept now and would not; ``aside`` would pass and are
    duplicates or beyond the size now, which an export looks at anew.
    """

    threshold: float
    own: Passes
    other: Passes
    new: int
    gone: int
    aside: int
    by_iteration: list[Change]
    by_use_case: list[Change]
    further_use_cases: int


async def _show(request: web.Request) -> web.Response:
    run = await run_of(request)
    config = load(run.folder / run_directory.CONFIG)
    own = config.method.threshold
    threshold = _asked(request.query.get("threshold", ""), own)
    template = "threshold_part.html" if is_partial(request) else "threshold.html"
    found = await from_index(request, run.folder, lambda index: (index.compared(), kept_at(index, own, threshold)))
    if isinstance(found, Building):
        return page(request, template, run=run, building=found, why_not="", own=own)
    compared, kept = found
    return page(
        request,
        template,
        run=run,
        building=None,
        why_not=why_no_threshold(config, compared=compared),
        own=own,
        kept=kept,
        step=STEP,
        highest=HIGHEST_GAP,
        links=_links(run, threshold),
        command=f"codeclm export {shlex.quote(str(run.folder))} --threshold {threshold:.6g}",
    )


def kept_at(index: Index, own: float, threshold: float) -> Kept:
    """What would be kept at ``threshold`` where the run's is ``own``, both in points from 0 to 9."""
    before, after = index.passing(own), index.passing(threshold)
    cases = _changes(before, after, lambda one: one.use_case)
    cases.sort(key=lambda change: (-abs(change.other - change.own), -change.own, change.name))
    kept_now = index.counts()["kept"]
    return Kept(
        threshold=threshold,
        own=_passes(before),
        other=_passes(after),
        new=_count(after, {"discarded"}),
        gone=kept_now - _count(after, {"kept"}),
        aside=_count(after, {"duplicate", "surplus"}),
        by_iteration=sorted(_changes(before, after, lambda one: str(one.iteration)), key=lambda one: int(one.name)),
        by_use_case=cases[:_MOST_USE_CASES],
        further_use_cases=max(0, len(cases) - _MOST_USE_CASES),
    )


def _asked(text: str, own: float) -> float:
    """The threshold an address asks for; the run's own where that makes no sense."""
    try:
        threshold = float(text.replace(",", "."))
    except ValueError:
        return own
    return threshold if 0 <= threshold <= HIGHEST_GAP else own


def _changes(before: list[Passing], after: list[Passing], name: Callable[[Passing], str]) -> list[Change]:
    own, other = Counter[str](), Counter[str]()
    for counted, passing in ((own, before), (other, after)):
        for one in passing:
            counted[name(one)] += one.outcomes
    return [Change(key, own[key], other[key]) for key in own | other]


def _passes(passing: Iterable[Passing]) -> Passes:
    outcomes, widths = 0, 0.0
    for one in passing:
        outcomes, widths = outcomes + one.outcomes, widths + one.widths
    return Passes(outcomes, widths / outcomes if outcomes else None)


def _count(passing: Iterable[Passing], statuses: set[Status]) -> int:
    return sum(one.outcomes for one in passing if one.status in statuses)


def _links(run: Run, threshold: float) -> dict[str, str]:
    """The lists of those that would be kept anew, and of those that would not be kept any more."""
    return {
        "new": list_address(run, Filter(status="discarded", wider_than=threshold), "widest"),
        "gone": list_address(run, Filter(status="kept", up_to=threshold), "widest"),
    }
