"""What `codeclm evaluate` prints: totals and categories, a column for each candidate, from 60 columns on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.cli.display import printable

NONE = "–"
_MOST_CATEGORIES = 40
_MOST_AT_HIGHEST = 0.85
"""Above this share of answers at the end of the scale the lean was seen to be taken off badly."""
_OTHER = {"strict": "sum", "sum": "strict"}

Row = Mapping[str, Any]


def screen(rows: Sequence[Row], paired: Sequence[Row] = ()) -> Iterator[RenderableType]:
    """The tables of one benchmark, and what there is to say of them. ``rows`` are results.py's values."""
    yield Text("")
    yield _totals(rows)
    if 1 < len(rows[0]["by_category"]) <= _MOST_CATEGORIES:
        yield Text("")
        yield _categories(rows)
    elif rows[0]["by_category"]:
        yield Text(f"{len(rows[0]['by_category'])} categories: see evaluation.json.", style="dim")
    for test in paired:
        yield Text("")
        yield Text(_paired(test))
    for row in rows:
        for line in (*_leaning(row), *_missing(row)):
            yield Text(printable(line), style="yellow")


def _totals(rows: Sequence[Row]) -> Table:
    first = rows[0]
    title = f"{first['benchmark']}: {first['items']} items against {first['reference']}, rule {first['rule']}"
    table = _table(title, rows)
    lines: list[tuple[str, list[str]]] = [
        ("wins / ties / losses", [f"{row['wins']} / {row['ties']} / {row['losses']}" for row in rows]),
        ("invalid, not scored", [str(row["invalid"]) for row in rows]),
        ("CRR", [_share(row["crr"]) for row in rows]),
        ("  95 % interval", [_interval(row["crr_interval"]) for row in rows]),
        (f"  by the rule {_OTHER[first['rule']]}", [_share(row["other_rule"]["crr"]) for row in rows]),
        *_lines_without_lean(rows),
        ("win rate, a tie as half", [_share(row["win_rate"]) for row in rows]),
        ("  length-controlled", [_share(row["length_controlled_win_rate"]) for row in rows]),
        ("judge preferred the first", [str(row["position"]["first_preferred"]) for row in rows]),
        ("  the second", [str(row["position"]["second_preferred"]) for row in rows]),
        ("  neither", [str(row["position"]["even"]) for row in rows]),
        ("  items where swapping flips", [str(row["position"]["flips"]) for row in rows]),
        ("its lean to the first, points", [_points(row["position"]["lean"]) for row in rows]),
    ]
    for name, cells in lines:
        table.add_row(name, *cells)
    return table


def _lines_without_lean(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Only where a lean was taken off: without one the figures are the same."""
    if not any(row["position"]["lean"] and row["without_lean"] for row in rows):
        return []
    found = [row["without_lean"] or {"crr": None, "other_rule": {"crr": None}} for row in rows]
    return [
        ("  without the judge's lean", [_share(each["crr"]) for each in found]),
        (f"    by the rule {_OTHER[rows[0]['rule']]}", [_share(each["other_rule"]["crr"]) for each in found]),
    ]


def _categories(rows: Sequence[Row]) -> Table:
    table = _table("By category: wins / ties / losses, CRR", rows)
    for name in rows[0]["by_category"]:
        cells = []
        for row in rows:
            found = row["by_category"][name]
            cells.append(f"{found['wins']} / {found['ties']} / {found['losses']}  {_share(found['crr']):>7}")
        table.add_row(Text(printable(name) or NONE), *cells)
    return table


def _table(title: str, rows: Sequence[Row]) -> Table:
    heading = Text(printable(title), style="bold")
    table = Table(title=heading, title_justify="left", box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold", min_width=12)
    for row in rows:
        table.add_column(Text(printable(row["candidate"])), justify="right", overflow="fold")
    return table


def _paired(test: Row) -> str:
    names = printable(f"{test['first']} against {test['second']}")
    if test["difference"] is None:
        return f"{names}: no item was scored for both."
    low, high = test["interval"]
    return (
        f"{names}, on the {test['items']} items scored for both: CRR {100 * test['difference']:+.1f} points "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f}), {_p(test['p'])}."
    )


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _leaning(row: Row) -> Iterator[str]:
    """Said where the judge prefers a place by more than chance would: two standard errors of a fair coin."""
    found = row["position"]
    first, second, lean = found["first_preferred"], found["second_preferred"], found["lean"]
    if abs(first - second) > 2 * sqrt(first + second) or lean:
        place = "first" if (lean or first - second) > 0 else "second"
        by = f" by {abs(lean):g} point{'' if abs(lean) == 1 else 's'}" if lean else ""
        yield (
            f"{row['candidate']}: the judge leans to the answer shown {place}{by}: the first preferred {first} times, "
            f"the second {second} times. The rule strict makes ties of what the place decides, and ties count as "
            "recovered; the rule sum does not."
        )
        if lean and row["without_lean"] is None:
            yield f"{row['candidate']}: it does so only where answers are close, so the lean cannot be taken off."
        elif lean and row["without_lean"]["at_highest"] > _MOST_AT_HIGHEST:
            yield f"{row['candidate']}: nearly all stands at 10 there. Without the lean may be off by 10 points."


def _missing(row: Row) -> Iterator[str]:
    for name, causes in row["failed_answers"].items():
        if causes:
            yield f"{row['candidate']}: no answer of {name} to {sum(causes.values())} items ({_counts(causes)})."
    if causes := row["unreadable_judgements"]:
        yield f"{row['candidate']}: {sum(causes.values())} items without a readable judgement ({_counts(causes)})."
    for name, count in row["cut_off_answers"].items():
        if count:
            yield f"{row['candidate']}: {count} answers of {name} were cut off by max_tokens and judged as they are."


def _counts(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in causes.items())


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"


def _points(value: float | None) -> str:
    return NONE if value is None else f"{value:+g}" if value else "0"


def _interval(ends: Sequence[float] | None) -> str:
    return NONE if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def harness_table(rows: Sequence[Row]) -> Table:
    """What lm-evaluation-harness measured, a column for each candidate."""
    table = _table(f"{rows[0]['benchmark']}: {rows[0]['items']} items, by lm-evaluation-harness", rows)
    for name in rows[0]["metrics"]:
        cells = []
        for row in rows:
            found = row["metrics"].get(name, {"value": None, "standard_error": None})
            error = found["standard_error"]
            cells.append(_share(found["value"]) + ("" if error is None else f" ± {100 * error:.1f}"))
        table.add_row(Text(printable(name)), *cells)
    return table
