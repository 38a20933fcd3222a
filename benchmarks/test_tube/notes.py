"""What is to be said before the results: how many seeds there are, and what was not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.test_tube import conditions as of
from benchmarks.test_tube.claims import CLAIMS, check
from benchmarks.test_tube.conditions import BREAKS, CODECLM, NOISY, START, ByCondition
from codeclm.methods import METHODS


def notes(found: ByCondition) -> list[str]:
    """Sentences that a reader of the results needs first; the first is on the seeds."""
    if not found:
        return ["There are no results yet."]
    return [_on_seeds(found), *_on_gaps(found)]


def _on_seeds(found: ByCondition) -> str:
    seeds = of.all_seeds(found)
    if len(seeds) == 1:
        return (
            f"One seed ({seeds[0]}): every interval is over the items of its test sets. It tells how much other items "
            "would differ, and not how much another seed would."
        )
    return f"{len(seeds)} seeds ({_listed([str(seed) for seed in seeds])}): intervals are Student's, over the seeds."


def _on_gaps(found: ByCondition) -> Iterator[str]:
    missing = [name for name in (START, *METHODS, *BREAKS, NOISY) if name not in found]
    studies = {
        "other numbers of pairs": len(of.sizes(found, CODECLM)) < 2 and len(of.sizes(found, "wizardlm+")) < 2,
    } | {
        f"{setting.method} by {setting.about}": len(of.settings(found, setting)) < 2 for setting in of.SETTINGS.values()
    }
    missing += [name for name, gone in studies.items() if gone]
    if missing:
        yield f"Not measured, and left out below: {_listed(missing)}."
    told = {one.claim for one in check(found)}
    untold = [claim.text for claim in CLAIMS if claim not in told]
    if untold:
        yield f"Claims that can't be told without them: {_listed(list(dict.fromkeys(untold)))}."
    seeds = of.all_seeds(found)
    fewer = [f"{name} ({len(each)})" for name, each in found.items() if len(each) < len(seeds)]
    if fewer:
        yield f"With fewer seeds than the rest: {_listed(fewer)}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
