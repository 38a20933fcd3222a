"""The figures of the page: what each shows of the results, and a sentence on how to read it.

A figure that there are no results for is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from benchmarks.test_tube import conditions as of
from benchmarks.test_tube.claims import Checked, Kind
from benchmarks.test_tube.conditions import BREAKS, CODECLM, START, ByCondition, measured
from benchmarks.test_tube.intervals import Estimate
from benchmarks.test_tube.results import Result
from benchmarks.test_tube.table import kept_by_iteration, right_by_steps
from codeclm.chart_style import Values
from codeclm.pages.figures import Figure, as_rows
from codeclm.reporting.drawing import Drawing

_PICTURES: Final = "benchmarks.test_tube.pictures"
_CRR: Final = "CRR on the user’s task"


def methods(found: ByCondition, draw: Drawing) -> Figure | None:
    """CRR by method and broken variant, the best first."""
    shown = [name for name in (*of.methods(found), *BREAKS) if name in found]
    rows = [(name, estimate) for name in shown if (estimate := measured(found, name))]
    if not rows:
        return None
    rows.sort(key=lambda row: (-row[1].value, row[0]))
    values = [
        {"name": name, "kind": _kind(name), **_interval(estimate), "label": f"{100 * estimate.value:.1f} %"}
        for name, estimate in rows
    ]
    start = measured(found, START)
    seeds: Values = [{"name": name, "value": value} for name, estimate in rows for value in estimate.by_seed.values()]
    drawn = draw(
        "methods", "Capacity recovered by method",
        lambda charts: charts.dots(values, seeds, _CRR, start.value if start else None),
        _PICTURES,
    )  # fmt: skip
    about = (
        f"The further right, the better: a dot is {_mean(rows[0][1])}, its bar the 95 % interval{_ticks(seeds, rows)}"
    )
    about += "; the dashed line is the model before any training." if start else "."
    table = _without(values, "label")
    if start:
        table.append({"name": START, "kind": "not trained", **_interval(start)})
    return Figure("methods", "Capacity recovered by method", about, *as_rows(table), drawn)


def claims(checked: Sequence[Checked], kind: Kind, title: str, draw: Drawing) -> Figure | None:
    """The differences that claims of a kind are about."""
    rows = [(one, one.difference) for one in checked if one.claim.kind == kind]
    if not rows:
        return None
    values: Values = [
        {
            "name": one.claim.text,
            **{key: 100 * value for key, value in _interval(difference).items()},
            "label": f"{100 * difference.value:+.1f}".replace("-", "−"),
            "holds": one.verdict.value,
        }
        for one, difference in rows
    ]
    seeds: Values = [
        {"name": one.claim.text, "value": 100 * value}
        for one, difference in rows
        for value in difference.by_seed.values()
    ]
    name = "claims-" + kind.split()[-1]
    drawn = draw(
        name, title, lambda charts: charts.differences(values, seeds, "difference of CRR, in points"), _PICTURES
    )
    about = (
        "Right of the line the claim is true: it holds where the whole bar, the 95 % interval, is right of it, and is "
        f"open where the bar crosses it{_ticked(seeds, [(one.claim.text, each) for one, each in rows])}."
    )
    return Figure(name, title, about, *as_rows(_without(values, "label")), drawn)


def iterations(found: ByCondition, draw: Drawing) -> Figure | None:
    """Codeclm's pairs by the iteration they were kept at: the paper's Figure 3."""
    shares = kept_by_iteration(found, CODECLM)
    if not shares:
        return None
    title = "Kept by iteration (the paper’s Figure 3)"
    values = [
        {"name": str(number), "value": share, "label": f"{share:.0%}"} for number, share in enumerate(shares, start=1)
    ]
    drawn = draw(
        "iterations", title,
        lambda charts: charts.columns(values, "iteration", "share of the kept pairs", format=charts.SHARES),
    )  # fmt: skip
    about = (
        "A column is the share of codeclm’s pairs that passed the filter at that iteration; 1 are basic instructions."
    )
    table = as_rows([{"iteration": number, "share": share} for number, share in enumerate(shares, start=1)])
    return Figure("iterations", title, about, *table, drawn)


def shares(found: ByCondition, draw: Drawing) -> Figure | None:
    """CRR by share of the metadata: the paper's Figure 4."""
    points = _points(found, "share")
    about = "The further up, the better, from pairs of equal number made from a part of the user’s metadata; bars are "
    about += "95 % intervals"
    return _curve("shares", about, points, found, draw)


def thresholds(found: ByCondition, draw: Drawing) -> Figure | None:
    """CRR by the filter's threshold."""
    own = of.SETTINGS["threshold"].own
    about = f"How wide a gap must be for a pair to be kept ({own:g} is codeclm’s own): the further up, the better"
    return _curve("thresholds", about, _points(found, "threshold"), found, draw)


def improved(found: ByCondition, draw: Drawing) -> Figure | None:
    """CRR of Self-Rubrics without a filter by how often each instruction goes round."""
    about = (
        "How often metadata+rubrics, which filters nothing, takes each instruction round: the further up, the better"
    )
    return _curve("improved", about, _points(found, "iterations"), found, draw)


def sizes(found: ByCondition, draw: Drawing) -> Figure | None:
    """CRR by the number of pairs: the paper's Figure 5."""
    lines = {method: of.sizes(found, method) for method in (CODECLM, "wizardlm+")}
    points = [(method, at, name) for method, line in lines.items() if len(line) > 1 for at, name in line]
    about = "The further up, the better; the steeper, the more is gained by twice as many pairs"
    return _curve("sizes", about, points, found, draw)


def forgetting(found: ByCondition, draw: Drawing) -> Figure | None:
    """What the user's task gained against what all the world lost."""
    shown = [name for name in (START, *of.methods(found), *BREAKS) if name in found]
    values: Values = []
    for name in shown:
        user, world = measured(found, name, of.user_right), measured(found, name, of.world_right)
        if user and world:
            values.append({"name": name, "kind": _kind(name), **_ends("x", user), **_ends("y", world)})
    if len(values) < 2:
        return None
    title = "The user’s task and all the world"
    titles = ("accuracy on the user’s task", "accuracy on all the world")
    drawn = draw(
        "forgetting", title,
        lambda charts: charts.scatter(values, titles, x_format="%", start=START in found), _PICTURES,
    )  # fmt: skip
    about = "Right is better on the user’s task, up is better on the whole world; what lies below the level line has "
    about += "forgotten more than it has learnt."
    if START not in found:
        about = "Right is better on the user’s task, up is better on the whole world."
    return Figure("forgetting", title, about, *as_rows(values), drawn)


def pairs(found: ByCondition, draw: Drawing) -> list[Figure]:
    """CRR by what a method's pairs are like."""
    made = [
        _pairs("on-task", "Pairs on the user’s task", _ON_TASK, lambda one: one.on_task, found, draw),
        _pairs("length", "How hard the pairs are", _LENGTH, lambda one: one.steps, found, draw),
    ]
    return [figure for figure in made if figure]


def costs(found: ByCondition, draw: Drawing) -> Figure | None:
    """What a method's calls bought."""
    values: Values = []
    for name in of.methods(found):
        calls = [sum(one.calls.values()) for one in found[name].values()]
        estimate = measured(found, name)
        if estimate and any(calls):
            values.append({"name": name, "kind": _kind(name), "x": fmean(calls), **_ends("y", estimate)})
    if len(values) < 2:
        return None
    title = "What the calls bought"
    drawn = draw(
        "costs", title,
        lambda charts: charts.scatter(values, ("calls of a run", _CRR), x_format=charts.COUNTS, start=False), _PICTURES,
    )  # fmt: skip
    about = "Up is better, left is cheaper: all calls of a run, of whichever model, for the same number of pairs."
    return Figure("costs", title, about, *as_rows(values), drawn)


def steps(found: ByCondition, draw: Drawing) -> Figure | None:
    """Accuracy by how many steps an instruction asks for."""
    shown = [name for name in (CODECLM, "self-instruct", START) if name in found]
    values: Values = [
        {"at": number, "of": name, "value": value}
        for name in shown
        for number, value in right_by_steps(found, name).items()
    ]
    if (len(shown) < 2 and CODECLM not in shown) or len({value["at"] for value in values}) < 2:
        return None
    title = "Where it was gained: by number of steps"
    titles = ("steps that an instruction asks for", "accuracy, user’s task")
    drawn = draw("steps", title, lambda charts: charts.curve(values, [], titles, x_format="d"), _PICTURES)
    about = (
        "The further a line is above the start’s, the more was learnt there; a point is over the items of all seeds."
    )
    return Figure("steps", title, about, *as_rows(values), drawn)


_ON_TASK: Final = "steps of the pairs that are of the user’s skills"
_LENGTH: Final = "steps in a pair, on average"


def _pairs(
    name: str, title: str, axis: str, value: Callable[[Result], float | None], found: ByCondition, draw: Drawing
) -> Figure | None:
    values: Values = []
    for method in (*of.methods(found), *(each for each in BREAKS if each in found)):
        known = [each for one in found[method].values() if (each := value(one)) is not None]
        estimate = measured(found, method)
        if known and estimate:
            values.append({"name": method, "kind": _kind(method), "x": fmean(known), **_ends("y", estimate)})
    if len(values) < 2:
        return None
    form = "~g" if axis == _LENGTH else "%"
    drawn = draw(
        name, title, lambda charts: charts.scatter(values, (axis, _CRR), x_format=form, start=False), _PICTURES
    )
    told = f"Up is better; to the right there are more {axis}. Where points rise to the right, the two go together."
    return Figure(name, title, told, *as_rows(values), drawn)


@dataclass(frozen=True, slots=True)
class _Study:
    """A setting that codeclm was run with more than one value of, and the condition it is held against."""

    title: str
    axis: str
    format: str
    against: str
    being: str


_STUDIES: Final = {
    "sizes": _Study("Capacity recovered by pairs (Figure 5)", "pairs", ",d", START, "before any training"),
    "shares": _Study(
        "Capacity recovered by share of the metadata (Figure 4)", "share of the metadata", ".0%", "no-metadata",
        "with none of it",
    ),
    "thresholds": _Study(
        "Capacity recovered by threshold", "threshold", "~g", "metadata+rubrics", "without a filter"
    ),
    "improved": _Study(
        "Capacity recovered by times round", "iterations", "~g", "metadata-only", "where none is improved"
    ),
}  # fmt: skip


def _points(found: ByCondition, setting: str) -> list[tuple[str, float, str]]:
    one = of.SETTINGS[setting]
    return [(one.method, at, name) for at, name in of.settings(found, one)]


def _curve(
    name: str, about: str, points: Sequence[tuple[str, float, str]], found: ByCondition, draw: Drawing
) -> Figure | None:
    values: Values = [
        {"at": at, "of": line, **_interval(estimate)}
        for line, at, condition in points
        if (estimate := measured(found, condition))
    ]
    if len({value["at"] for value in values}) < 2:
        return None
    study = _STUDIES[name]
    level = measured(found, study.against)
    beside: Values = [{"name": study.against, "value": level.value}] if level else []
    titles = (study.axis, _CRR)
    drawn = draw(
        name, study.title,
        lambda charts: charts.curve(values, beside, titles, x_format=study.format, doubling=name == "sizes"), _PICTURES,
    )  # fmt: skip
    about += f"; the dashed line is {study.against}, {study.being}." if level else "."
    return Figure(name, study.title, about, *as_rows(values), drawn)


def _interval(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _ends(axis: str, estimate: Estimate) -> dict[str, float]:
    return {axis: estimate.value, f"{axis}_low": estimate.low, f"{axis}_high": estimate.high}


def _kind(name: str) -> str:
    """Whose colour of :mod:`benchmarks.test_tube.pictures` it has."""
    return {START: "before training", CODECLM: CODECLM}.get(
        name, "broken on purpose" if name in BREAKS else "other methods"
    )


def _mean(estimate: Estimate) -> str:
    return "the mean over the seeds" if estimate.over == "seeds" else "one seed"


def _ticks(seeds: Values, rows: Sequence[tuple[str, Estimate]]) -> str:
    return ", and each tick one seed" if len(seeds) > len(rows) else ""


def _ticked(seeds: Values, rows: Sequence[tuple[str, Estimate]]) -> str:
    return "; each tick is one seed" if len(seeds) > len(rows) else ""


def _without(values: Values, key: str) -> Values:
    return [{name: value for name, value in one.items() if name != key} for one in values]
