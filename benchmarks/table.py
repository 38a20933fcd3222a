"""The suite's figures for people: what was measured, what a change did, and how figures went, each as one table.

Tables are 80 columns wide, or as wide as the terminal where it is wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.figures import Figure
from benchmarks.ratios import Ratio
from benchmarks.suite import Measured

WIDTH = 80
_LATEST = 5  # records beside each other in a table of the history
_STYLES = {"better": "green", "worse": "red", "noise": "dim", "same": "dim", "unclear": "yellow", "failed": "red"}
_SAID = {"same": "the same", "noise": "noise", "better": "BETTER", "worse": "WORSE", "unclear": "unclear"}


def console() -> Console:
    """Where tables go: this terminal, or 80 columns where there is none."""
    out = Console(highlight=False)
    if not out.is_terminal or out.width < WIDTH:
        out.width = WIDTH
    return out


def number(value: float) -> str:
    """A value with three digits that count, or whole where it is large."""
    if value and abs(value) < 0.001:
        return f"{value:.1e}"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def listing(out: Console, suite: Mapping[str, str], scripts: Mapping[str, str]) -> None:
    """Benchmarks by name, each with what its module says of itself."""
    for title, those in (("the suite", suite), ("by itself: python -m benchmarks.NAME", scripts)):
        table = _table("benchmark", "what it measures")
        for name, about in those.items():
            table.add_row(name, Text(about))
        out.print(f"{title}:")
        out.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        left = column in ("benchmark", "figure", "unit", "best", "this is")
        folds = column in ("figure", "what it measures")
        table.add_column(column, justify="left" if left or folds else "right", overflow="fold", no_wrap=not folds)
    return table


def _reason(measured: Measured) -> Text | None:
    if measured.failed:
        return Text(f"FAILED: {measured.failed}", style=_STYLES["failed"])
    return Text(f"skipped: {measured.unavailable}") if measured.unavailable else None


def _notes(out: Console, all_measured: Sequence[Measured]) -> None:
    for one in all_measured:
        if reason := _reason(one):
            out.print(Text(f"{one.name} ").append_text(reason))


def _spread(one: Figure) -> str:
    return "" if one.low == one.high else f"{number(one.low)}-{number(one.high)}"


def measured(out: Console, all_measured: Sequence[Measured]) -> None:
    """What was measured, and below it why a benchmark has no figures."""
    table = _table("benchmark", "figure", "value", "unit", "range", "best")
    for one in all_measured:
        for place, row in enumerate(one.figures):
            name = one.name if place == 0 else ""
            table.add_row(name, row.name, number(row.value), row.unit, _spread(row), row.better.removesuffix("er"))
        if one.figures:
            table.add_section()
    out.print(table)
    _notes(out, all_measured)


def compared(out: Console, found: Sequence[tuple[Measured, Mapping[str, Ratio]]]) -> None:
    """What a change did: medians of both, the ratio with its 95 % interval, and whether that is outside the noise."""
    table = _table("benchmark", "figure", "base", "this", "ratio", "95 %", "this is")
    for measured, rows in found:
        for place, (name, row) in enumerate(rows.items()):
            interval = "" if row.low is None or row.high is None else f"{row.low:.2f}-{row.high:.2f}"
            table.add_row(
                measured.name if place == 0 else "",
                name,
                number(row.base),
                number(row.this),
                "" if row.ratio is None else f"{row.ratio:.3f}",
                interval,
                Text(_SAID[row.verdict], style=_STYLES[row.verdict]),
            )
        if rows:
            table.add_section()
    out.print(table)
    _notes(out, [measured for measured, _ in found])


def _cell(record: Mapping[str, Any], benchmark: str, name: str) -> str:
    kept = record["benchmarks"].get(benchmark, {})
    if one := kept.get("figures", {}).get(name):
        return number(one["value"])
    if one := kept.get("ratios", {}).get(name):
        mark = "" if one["verdict"] in ("better", "worse") else "~"
        return "" if one["ratio"] is None else f"{mark}x{one['ratio']:.2f}"
    return ""


def _title(record: Mapping[str, Any]) -> str:
    commit = record["commit"][:7] + ("*" if record["dirty"] else "")
    against = record.get("against")
    return f"{record['date'][5:10]}\n{commit}" + (f"\n/{against['commit'][:7]}" if against else "")


def over_time(out: Console, records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """How the named benchmarks' figures went over the latest records, oldest first.

    A commit with ``*`` had changes that are not in it. ``x0.93`` is a ratio to another commit, ``/`` and its name,
    measured in one sitting; ``~x0.98`` is one within the noise.
    """
    for name in names:
        rows = [record for record in records if set(record["benchmarks"].get(name, {})) & {"figures", "ratios"}]
        latest = rows[-_LATEST:]
        table = _table("figure", *map(_title, latest))
        units: dict[str, str] = {}
        for record in latest:
            kept = record["benchmarks"][name]
            units |= {figure: "" for figure in kept.get("ratios", {}) if figure not in units}
            units |= {figure: one["unit"] for figure, one in kept.get("figures", {}).items()}
        for figure, unit in units.items():
            table.add_row(f"{figure}, {unit}" if unit else figure, *(_cell(record, name, figure) for record in latest))
        out.print(f"{name}: {len(latest)} of {len(rows)} records")
        if units:
            out.print(table)
