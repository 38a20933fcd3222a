"""A comparison or a study as one page: NAME.html beside its NAME.json, from which alone it is made.

Its parts are those of a run's report, to whose pages it links. No text of a model is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from codeclm import run_directory
from codeclm.amounts import dollars
from codeclm.comparing.rows import Row
from codeclm.errors import RunDirectoryError
from codeclm.pages.figures import Figure, as_rows
from codeclm.pages.rendering import clip
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.linked import Page, link_to, runs_below
from codeclm.reporting.report import page
from codeclm.reporting.sendable import sendable

COMPARISON: Final = "comparison"
STUDY: Final = "study-"

_CHARTS: Final = "codeclm.comparing.charts"
_MOST = 40  # rows
_REASON = 400  # characters
_ROWS: Final = TypeAdapter(list[Row])
_LEFT_OUT: Final = TypeAdapter(list[dict[str, str]])

_ABOUT: Final = {
    "Kept by iteration": "The share of a method's pairs from each iteration; 1 are basic instructions.",
    "Calls per kept pair": "All calls that the run used, those it shares with others included, by the pairs it kept.",
    "Gap (quartiles, mean)": "Strong minus target. The bar is the middle half with the median, the dot the mean.",
    "Difficulty (quartiles, mean)": "The judge's rating of sampled instructions, 1 to 10; drawn like the gap.",
    "Away from the seeds": "How far use cases and skills are from those of the seeds: 0 the same, 1 nothing in common.",
    "Diversity": "Different pairs of neighbouring words among the first 2,000: the more, the more varied.",
    "Capacity recovered": "The share of a benchmark's items on which a model trained on it holds its own.",
}


def write_pages(folder: Path) -> list[Page]:
    """Write the page of each comparison and study in ``folder``; none where there is none.

    Raises RunDirectoryError where a file of that name is none, and OutputError where there is no room.
    """
    paths = [folder / f"{COMPARISON}.json", *sorted(folder.glob(f"{STUDY}*.json"))]
    return [_written(path) for path in paths if path.is_file()]


def _written(path: Path) -> Page:
    rows, left_out, calls = _read(path)
    draw = Drawing()
    study = path.stem.removeprefix(STUDY) if path.stem.startswith(STUDY) else ""
    content = page(
        "comparison.html",
        draw,
        notices=[*_notices(rows), *(("warn", text) for text in left_out)],
        version="",
        name=path.parent.resolve().name,
        title=f"A study: {study}" if study else "Methods side by side",
        links=[(row.name, link_to(path.parent, row.name)) for row in rows],
        tiles=_tiles(rows, calls),
        took=_known(_TOOK, [_took(row) for row in rows]),
        like=_known(_LIKE, [_like(row) for row in rows]),
        figures=list(_of_study(rows, study, draw) if study else _of_methods(rows, draw)),
    )
    target = path.with_suffix(".html")
    run_directory.write(target, content.encode(errors="replace"))
    return Page(target, runs_below(path.parent, [row.name for row in rows]))


def _read(path: Path) -> tuple[list[Row], list[str], dict[str, int]]:
    """The rows, what was left out and why, and the counts of calls."""
    try:
        values = orjson.loads(path.read_bytes())
        rows = _ROWS.validate_python(values["rows"])
        left_out = [
            f"Left out: {one['name']} ({one['reason']})." for one in _LEFT_OUT.validate_python(values["left_out"])
        ]
        calls = {name: int(values["calls"][name]) for name in ("used", "distinct", "made_once", "measuring")}
    except OSError as error:
        raise RunDirectoryError(f"{path}: can't read it ({error.strerror}). Mend its permissions.") from None
    except (ValidationError, ValueError, LookupError, TypeError) as error:
        why = " ".join(str(error).split())
        raise RunDirectoryError(
            f"{path}: not what codeclm compare or study wrote ({why:.120}). Move it away, or compare again."
        ) from None
    return rows[:_MOST], [clip(sendable(text), _REASON) for text in left_out[:_MOST]], calls


def _notices(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    for row in rows:
        if row.problem:
            yield (
                "bad",
                clip(
                    f"{row.name} came to {row.pairs:,} of {row.size:,}: {sendable(row.problem[: 2 * _REASON])}", _REASON
                ),
            )


def _tiles(rows: Sequence[Row], calls: dict[str, int]) -> list[tuple[str, str, str]]:
    measuring = f"and {calls['measuring']:,} to measure" if calls["measuring"] else ""
    return [
        ("Runs", f"{len(rows):,}", ""),
        ("Pairs kept", f"{sum(row.pairs for row in rows):,}", ""),
        ("Calls made", f"{calls['distinct']:,}", measuring),
        ("Calls made once for several", f"{calls['made_once']:,}", f"of {calls['used']:,} used"),
    ]


_TOOK: Final = ("run", "pairs", "instructions", "calls", "shared calls", "tokens", "dollars", "calls per pair")
_LIKE: Final = (
    "run", "mean gap", "middle half", "distinct-2", "bits of use cases", "copied from seeds", "likeness to seeds",
    "use cases away", "skills away", "difficulty", "kept by iteration, %", "CRR",
)  # fmt: skip


def _known(columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> tuple[list[str], list[tuple[object, ...]]]:
    """A table without the columns that nothing is known of."""
    known = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    return [columns[place] for place in known], [tuple(row[place] for place in known) for row in rows]


def _took(row: Row) -> tuple[object, ...]:
    cost = row.cost
    usd = None if cost.usd is None else dollars(Decimal(str(cost.usd)))
    tokens = cost.prompt_tokens + cost.completion_tokens
    return row.name, row.pairs, row.instructions, cost.calls, cost.shared_calls, tokens, usd, row.calls_per_pair


def _like(row: Row) -> tuple[object, ...]:
    gap = row.gap
    return (
        row.name,
        gap and gap.mean,
        gap and f"{gap.lower:.1f} to {gap.upper:.1f}",
        row.distinct_2,
        row.use_case_entropy,
        None if row.seed_overlap is None else f"{row.seed_overlap:.0%}",
        row.seed_likeness,
        row.use_case_distance,
        row.skill_distance,
        row.difficulty and row.difficulty.mean,
        " / ".join(f"{100 * count / row.pairs:.0f}" for count in row.kept_by_iteration.values()) or None,
        None if row.crr is None else f"{row.crr:.1%}",
    )


def _of_methods(rows: Sequence[Row], draw: Drawing) -> Iterator[Figure]:
    """A figure for each chart of methods that there are figures for."""
    if not draw.can:
        return
    from codeclm.comparing import charts

    for number, panel in enumerate(charts.PANELS):
        if panel.has(rows):
            title = panel.title
            drawn = draw(f"panel-{number}", title, _single(number, rows), _CHARTS)
            yield Figure(f"panel-{number}", title, _ABOUT.get(title, ""), *as_rows(panel.values(rows)), drawn)


def _of_study(rows: Sequence[Row], study: str, draw: Drawing) -> Iterator[Figure]:
    """A figure for each curve, or the paper's Figure 3 for the study of iterations."""
    if study == "iterations" and rows and rows[0].pairs:
        kept = rows[0].kept_by_iteration
        values: list[dict[str, Any]] = [
            {"name": number, "value": count / rows[0].pairs, "label": f"{count / rows[0].pairs:.0%}"}
            for number, count in kept.items()
        ]
        title = "Kept pairs by iteration"
        drawn = draw(
            "iterations", title,
            lambda charts: charts.columns(values, "iteration", "share of the kept pairs", format=charts.SHARES),
        )  # fmt: skip
        table = tuple((number, count, count / rows[0].pairs) for number, count in kept.items())
        about = "The iteration in which pairs were kept, as in the paper's Figure 3."
        yield Figure("iterations", title, about, ("iteration", "pairs", "share"), table, drawn)
    elif study in ("metadata", "size") and draw.can:
        from codeclm.comparing import charts

        for number, title in enumerate(charts.curves(study)):
            if found := charts.points(title, rows, study):
                drawn = draw(f"curve-{number}", title, _curve(study, title, rows), _CHARTS)
                about = (
                    "How it goes with the share of the metadata."
                    if study == "metadata"
                    else "How it goes with the size."
                )
                yield Figure(f"curve-{number}", title, about, *as_rows(found), drawn)


def _single(number: int, rows: Sequence[Row]) -> Callable[[Any], Any]:
    return lambda charts: charts.single(charts.PANELS[number], rows)


def _curve(study: str, title: str, rows: Sequence[Row]) -> Callable[[Any], Any]:
    return lambda charts: charts.curves(study)[title](rows)
