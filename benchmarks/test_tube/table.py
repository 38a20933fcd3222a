"""The results as tables, which a page shows and Markdown holds: every cell is text.

Shares are in percent, differences in points, each with its 95 % interval. What nothing is known of is a dash; a table
of which nothing is known is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from benchmarks.test_tube import conditions as of
from benchmarks.test_tube.claims import Checked, check
from benchmarks.test_tube.conditions import ABLATION, BREAKS, CODECLM, NOISY, START, ByCondition
from benchmarks.test_tube.intervals import Estimate
from benchmarks.test_tube.results import Result

_DASH: Final = "–"
_MODELS: Final = ("strong", "target", "judge")
_SERVED_AS: Final = {START: "target", "judge-noisy": "judge"}
"""What models were there as whose names are others: the target of a run is the start checkpoint."""
_TO_ESCAPE: Final = re.compile(r"([\\`*_\[\]<|&])")


@dataclass(frozen=True, slots=True)
class Table:
    """A table under a name of its own; ``about`` says what it holds. Its first ``texts`` columns are words."""

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1


def tables(found: ByCondition) -> list[Table]:
    """Every table that there are results for, the main one first."""
    trained = [name for name in found if name != START]
    start = [START] if START in found else []
    sizes = [name for method in (CODECLM, "wizardlm+") for _, name in of.sizes(found, method)]
    made = [
        _main("main", "Methods", _MAIN, found, [*start, *of.methods(found)]),
        _main("ablation", "Ablation", _ABLATION, found, [name for name in ABLATION if name in found]),
        _claims(check(found)),
        _main("breaks", "Broken on purpose", _BREAKS, found, _beside_codeclm(found, BREAKS)),
        _main("sizes", "By number of pairs", _SIZES, found, sizes if any("@" in name for name in sizes) else []),
        *(_setting(found, setting) for setting in of.SETTINGS.values()),
        _main("noisy", "A noisy judge", _NOISY, found, _beside_codeclm(found, [NOISY])),
        _iterations(found),
        _pairs(found, trained),
        _steps(found),
    ]
    return [table for table in made if table.rows]


def markdown(made: Iterable[Table], notes: Sequence[str], about: Mapping[str, str]) -> str:
    """The tables as Markdown: ``notes`` before them, what was measured on what (``about``) after them."""
    parts = ["# The test tube", *map(_escaped, notes)]
    for table in made:
        head, *body = [f"| {' | '.join(map(_escaped, row))} |" for row in (table.columns, *table.rows)]
        sides = ["---"] * table.texts + ["---:"] * (len(table.columns) - table.texts)
        lines = [head, f"| {' | '.join(sides)} |", *body]
        parts.append(f"## {table.title}\n\n{table.about}\n\n" + "\n".join(lines))
    if about:
        parts.append("\n".join(f"- {_escaped(key)}: {_escaped(value)}" for key, value in about.items()))
    return "\n\n".join(parts) + "\n"


def percent(estimate: Estimate | None) -> str:
    """A share with its interval: ``71.3 (69.2 to 73.4)``."""
    if estimate is None:
        return _DASH
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f} to {100 * estimate.high:.1f})"


def points(estimate: Estimate) -> str:
    """A difference with its interval: ``+4.2 (+1.3 to +7.1)``."""
    return f"{_signed(estimate.value)} ({_signed(estimate.low)} to {_signed(estimate.high)})"


_MAIN: Final = (
    "CRR: the share of items on which the model wins or ties against the strong model, judged in both orders. "
    "Accuracy: right by the exact checker. Still right: of the world's items that the start checkpoint had right. "
    "Calls of each model and tokens of them all, in thousands, are means over the seeds."
)
_ABLATION: Final = "Each row adds one part of codeclm to the one before, as in the paper's Table 3."
_BREAKS: Final = "One part of codeclm broken in each row, beside codeclm whole."
_SIZES: Final = "The same method at other numbers of pairs, as in the paper's Figure 5."
_NOISY: Final = "Codeclm with a judge that errs and leans, beside codeclm with the exact one."


def _beside_codeclm(found: ByCondition, others: Iterable[str]) -> list[str]:
    there = [name for name in others if name in found]
    return [name for name in (CODECLM, *there) if name in found] if there else []


def _main(name: str, title: str, about: str, found: ByCondition, shown: Sequence[str]) -> Table:
    models = _models(found)
    columns = (
        "condition", "pairs", "CRR user", "accuracy user", "CRR world", "accuracy world", "still right",
        *(f"calls {model}" for model in models), "tokens, k",
    )  # fmt: skip
    return Table(name, title, about, columns, tuple(_row(found, each, models) for each in shown))


def _row(found: ByCondition, condition: str, models: Sequence[str]) -> tuple[str, ...]:
    results = list(found[condition].values())
    measures = (of.user_recovered, of.user_right, of.world_recovered, of.world_right)
    tokens = fmean(one.prompt_tokens + one.completion_tokens for one in results) / 1000
    return (
        _named(found, condition),
        f"{fmean(one.pairs for one in results):,.0f}",
        *(percent(of.measured(found, condition, measure)) for measure in measures),
        percent(of.still_right(found, condition)),
        *(f"{fmean(_calls(one).get(model, 0) for one in results):,.0f}" for model in models),
        f"{tokens:,.0f}",
    )


def _models(found: ByCondition) -> list[str]:
    """The models that were called, those of a run of codeclm first."""
    called = {model for of_seeds in found.values() for one in of_seeds.values() for model in _calls(one)}
    return [*_MODELS, *sorted(called - set(_MODELS))]


def _calls(one: Result) -> dict[str, int]:
    """Its calls by what a model was there as."""
    calls: dict[str, int] = {}
    for model, count in one.calls.items():
        role = _SERVED_AS.get(model, model)
        calls[role] = calls.get(role, 0) + count
    return calls


def _named(found: ByCondition, condition: str) -> str:
    """The condition, with the number of its seeds where it lacks some."""
    count = len(found[condition])
    if count == len(of.all_seeds(found)):
        return condition
    return f"{condition} ({count} seed{'s' * (count != 1)})"


def _claims(checked: Sequence[Checked]) -> Table:
    rows = tuple(
        (
            one.claim.text,
            one.claim.kind,
            one.claim.about,
            points(one.difference),
            f"{one.held} of {one.seeds}",
            one.verdict.value,
        )
        for one in checked
    )
    about = (
        "Differences of CRR on the user's task, in points, paired by seed. A claim holds (yes) where all of the 95 % "
        "interval is above 0, fails (no) where all of it is below, and is open where it holds 0. Each interval is of "
        "one claim alone."
    )
    columns = ("claim", "kind", "what it would show", "difference, points", "seeds in which it held", "holds")
    return Table("claims", "Claims", about, columns, rows, texts=3)


def _setting(found: ByCondition, setting: of.Setting) -> Table:
    points = of.settings(found, setting)
    rows = tuple((f"{at:g}", *_row(found, name, _models(found))[1:]) for at, name in points) if len(points) > 1 else ()
    about = f"Of {setting.method}, whose own is {setting.own:g}."
    shape = _main(setting.name, f"By {setting.about}", about, found, ())
    return Table(shape.name, shape.title, about, (setting.about, *shape.columns[1:]), rows)


def _iterations(found: ByCondition) -> Table:
    shares = {name: share for name in found if (share := kept_by_iteration(found, name)) and len(share) > 1}
    most = max(map(len, shares.values()), default=0)
    rows = tuple(
        (name, *(f"{100 * each:.1f}" for each in share), *([_DASH] * (most - len(share))))
        for name, share in shares.items()
    )
    columns = ("condition", *(f"iteration {number}" for number in range(1, most + 1)))
    about = "Percent of the kept pairs by the iteration they were kept at, over all seeds, as in the paper's Figure 3."
    return Table("kept", "Kept by iteration", about, columns, rows)


def kept_by_iteration(found: ByCondition, condition: str) -> list[float]:
    """The shares of a condition's pairs by the iteration they were kept at, over all seeds; empty where not known."""
    counts = [one.by_iteration for one in found.get(condition, {}).values()]
    total = sum(map(sum, counts))
    most = max(map(len, counts), default=0)
    if not total:
        return []
    return [sum(each[place] for each in counts if place < len(each)) / total for place in range(most)]


def _pairs(found: ByCondition, trained: Sequence[str]) -> Table:
    measures: tuple[tuple[Callable[[Result], float | None], float, str], ...] = (
        (lambda one: one.on_task, 100, ".1f"),
        (lambda one: one.latent, 100, ".1f"),
        (lambda one: one.steps, 1, ".2f"),
        (lambda one: None if one.steps is None else one.tested, 1, ".1f"),
    )
    rows = []
    for name in trained:
        cells = []
        for measure, scale, form in measures:
            values = [value for one in found[name].values() if (value := measure(one)) is not None]
            cells.append(f"{scale * fmean(values):{form}}" if values else _DASH)
        if set(cells) != {_DASH}:
            rows.append((name, *cells))
    about = (
        "On task: percent of the pairs' steps that are of the user's skills. Latent: percent that are of skills which "
        "pre-training left latent. In a test: pairs that have the very instruction of a test item. All are means over "
        "the seeds."
    )
    columns = ("condition", "on task", "latent", "steps", "in a test")
    return Table("pairs", "What the pairs are like", about, columns, tuple(rows))


def _steps(found: ByCondition) -> Table:
    shown = [name for name in (START, *of.methods(found)) if name in found]
    by_name = {name: right_by_steps(found, name) for name in shown}
    steps = sorted({number for shares in by_name.values() for number in shares})
    rows = tuple(
        (name, *(f"{100 * shares[number]:.1f}" if number in shares else _DASH for number in steps))
        for name, shares in by_name.items()
    )
    columns = ("condition", *(f"{number} step{'s' * (number != 1)}" for number in steps))
    about = "Accuracy on the user's task by the number of steps that an instruction asks for, over all seeds' items."
    return Table("steps", "By number of steps", about, columns, rows if len(steps) > 1 else ())


def right_by_steps(found: ByCondition, condition: str) -> dict[int, float]:
    """The share of the user's items that are right, by their number of steps, over the items of all seeds."""
    items = [
        (int(steps), mark == "1")
        for one in found.get(condition, {}).values()
        for steps, mark in zip(one.user.steps, one.user.right, strict=True)
    ]
    numbers = sorted({steps for steps, _ in items})
    return {number: fmean(right for steps, right in items if steps == number) for number in numbers}


def _signed(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return ("0.0" if text in ("+0.0", "-0.0") else text).replace("-", "\u2212")


def _escaped(text: str) -> str:
    """A text that Markdown shows as it is, in one line."""
    return _TO_ESCAPE.sub(r"\\\1", " ".join(str(text).split()))
