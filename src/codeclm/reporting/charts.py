"""The charts of a run, one definition each, as Vega-Lite; report and studio draw the same.

It imports altair: only functions that draw import this module. Names are data: drawn as text whatever is in them. Every
chart is some 460 pixels wide, so that it can still be read on a telephone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import altair as alt

from codeclm.chart_style import BLUE, GREY, ORANGE, Chart, Values, data, styled

# How the numbers of an axis are written, as expressions of Vega.
COUNTS = "datum.value < 1000 ? format(datum.value, ',d') : format(datum.value, '~s')"
NUMBERS = "format(datum.value, '~r')"
SHARES = "format(datum.value, '.0%')"
DOLLARS = "format(datum.value, '$~r')"

_WIDE = 390
_BESIDE_NAMES = 270
_COLUMNS = 24  # of a name beside a chart; a wide character takes two
_COLUMN = 7.4  # pixels that one takes in a wide font: nobody knows here which font the page will have
_STEP = 24
_CELL = 21
_INK = "#333"
_FLAT = alt.Axis(labelAngle=0)


def bars(values: Values, title: str, *, format: str = COUNTS, colours: Sequence[str] = ()) -> Chart:
    """A bar for each value, named at its left, its ``label`` at its end. Keys: name, value, label.

    ``colours`` are those of the bars where they differ.
    """
    values, names = _labelled(values)
    most = max((value["value"] for value in values), default=0) or 1
    least = 1 if format == COUNTS else 0
    x = alt.X(
        "value:Q",
        title=title,
        axis=alt.Axis(labelExpr=format, tickCount=4, tickMinStep=least),
        scale=alt.Scale(domainMax=most * 1.12),
    )
    base = alt.Chart(data(values)).encode(y=_named(names), x=x)
    marks = base.mark_bar(size=15, color=BLUE)
    if colours:
        scale = alt.Scale(domain=names, range=list(colours))
        marks = base.mark_bar(size=15).encode(color=alt.Color("name:N", scale=scale, legend=None))
    labels = base.mark_text(align="left", dx=5, color=_INK).encode(text="label:N")
    return styled((marks + labels).properties(width=_BESIDE_NAMES, height=_STEP * len(names)))


def parts(values: Values, title: str, order: Sequence[str]) -> Chart:
    """A bar for each name, divided into two parts. Keys: name, part, value. ``order`` names the parts."""
    values, names = _labelled(values)
    x = alt.X("value:Q", title=title, stack="zero", axis=alt.Axis(labelExpr=COUNTS, tickCount=4))
    places = [{**value, "place": order.index(value["part"])} for value in values]
    marks = alt.Chart(data(places)).mark_bar(size=15)
    marks = marks.encode(y=_named(names), x=x, color=_coloured("part", order, (BLUE, ORANGE)), order="place:Q")
    return styled(marks.properties(width=_BESIDE_NAMES, height=_STEP * len(names)))


def columns(values: Values, x: str, y: str, *, format: str = NUMBERS) -> Chart:
    """A column for each value, its ``label`` above it. Keys: name, value, label. ``x`` and ``y`` name the axes."""
    most = max((value["value"] for value in values), default=0) or 1
    base = alt.Chart(data(values)).encode(
        x=alt.X("name:O", title=x, sort=None, axis=_FLAT),
        y=alt.Y(
            "value:Q", title=y, axis=alt.Axis(labelExpr=format, tickCount=5), scale=alt.Scale(domainMax=most * 1.1)
        ),
    )
    marks = base.mark_bar(color=BLUE, size=min(48, 240 // max(1, len(values))))
    labels = base.mark_text(dy=-8, color=_INK).encode(text="label:N")
    return styled((marks + labels).properties(width=_WIDE, height=200))


def gaps(values: Values, threshold: float | None) -> Chart:
    """Instructions by their last gap, kept and not, the threshold on both sides. Keys: from, to, part, instructions."""
    order = ("kept", "not kept")
    x = alt.X("from:Q", title="gap: strong minus target, in points", scale=alt.Scale(domain=[-9, 9]))
    marks = (
        alt.Chart(data(values))
        .mark_bar(binSpacing=1)
        .encode(
            x=x.bin("binned").axis(values=list(range(-9, 10, 3))),
            x2="to:Q",
            y=alt.Y("instructions:Q", title="instructions", axis=alt.Axis(tickCount=5, tickMinStep=1, format=",d")),
            color=_coloured("part", order, (BLUE, GREY)),
        )
    )
    if threshold is None:
        return styled(marks.properties(width=_WIDE, height=200))
    lines: Values = [{"at": side * threshold} for side in (-1, 1)]
    rules = alt.Chart(data(lines)).mark_rule(color=ORANGE, strokeWidth=2, strokeDash=[5, 3]).encode(x="at:Q")
    return styled((marks + rules).properties(width=_WIDE, height=200))


def together(values: Values, rows: Sequence[str], across: Sequence[str], highest: float) -> Chart:
    """A cell for each use case and skill that come together, the fuller the darker. Keys: use case, skill, share.

    ``highest`` is the share of the darkest: charts with the same are alike.
    """
    opacity = alt.Opacity("share:Q", scale=alt.Scale(domain=[0, highest], range=[0.08, 1]), legend=None)
    beside, above = _labels(rows), _labels(across)
    values = [{**one, "use case": beside[one["use case"]], "skill": above[one["skill"]]} for one in values]
    rows, across = list(beside.values()), list(above.values())
    every = [{"use case": one, "skill": other} for one in rows for other in across]
    top = _axis(across, orient="top", labelAngle=-90)
    y = alt.Y("use case:N", title=None, sort=rows, scale=alt.Scale(domain=rows), axis=_axis(rows))
    x = alt.X("skill:N", title=None, sort=across, scale=alt.Scale(domain=across), axis=top)
    empty = alt.Chart(data(every)).mark_rect(color=GREY, opacity=0.12, cornerRadius=2).encode(x=x, y=y)
    marks = alt.Chart(data(values)).mark_rect(color=BLUE, cornerRadius=2).encode(x=x, y=y, opacity=opacity)
    padded = alt.layer(empty, marks).resolve_scale(x="shared", y="shared")
    return styled(padded.properties(width=_CELL * len(across), height=_CELL * len(rows)))


def shares(values: Values) -> Chart:
    """The share of each name among the seeds and among the examples, as two dots. Keys: name, of, share."""
    values, names = _labelled(values)
    order = ("examples", "seeds")
    x = alt.X("share:Q", title="share", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domainMin=0, padding=8))
    y = _named(names, grid=True)
    dots = alt.Chart(data(values)).mark_point(filled=True, size=60, opacity=1)
    legend = alt.Legend(title=None, orient="bottom")
    shape = alt.Shape("of:N", scale=alt.Scale(domain=list(order), range=["circle", "diamond"]), legend=legend)
    dots = dots.encode(y=y, x=x, color=_coloured("of", order, (BLUE, ORANGE)), shape=shape)
    return styled(dots.properties(width=_BESIDE_NAMES, height=20 * len(names)))


def means(values: Values, title: str) -> Chart:
    """The mean of each name as a dot, its interval as a line. Keys: name, mean, low, high; label, at the right."""
    values, names = _labelled(values)
    x = alt.X("mean:Q", title=title, axis=alt.Axis(tickCount=5), scale=alt.Scale(zero=True))
    base = alt.Chart(data(values)).encode(y=_named(names))
    known = alt.Chart(data([value for value in values if value["low"] is not None])).encode(y=_named(names))
    lines = known.mark_rule(color=GREY, strokeWidth=3).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    dots = base.mark_point(filled=True, size=60, opacity=1, color=BLUE).encode(x=x)
    counts = base.mark_text(align="left", color=_INK).encode(x=alt.value(_BESIDE_NAMES + 8), text="label:N")
    nought = alt.Chart(data([{"at": 0}])).mark_rule(color=_INK, strokeWidth=1).encode(x="at:Q")
    return styled((nought + lines + dots + counts).properties(width=_BESIDE_NAMES, height=20 * len(names)))


def _named(labels: Sequence[str], *, grid: bool = False) -> Any:
    return alt.Y(
        "name:N", title=None, sort=list(labels), scale=alt.Scale(domain=list(labels)), axis=_axis(labels, grid=grid)
    )


def _axis(labels: Sequence[str], **settings: Any) -> alt.Axis:
    """An axis with room for the labels in whatever font they are shown."""
    room = max(map(_columns, labels), default=0) * _COLUMN + 8
    shown: dict[str, Any] = {"grid": False, "labelPadding": 6} | settings
    return alt.Axis(labelLimit=0, minExtent=room, ticks=False, domain=False, **shown)


def _labelled(values: Values) -> tuple[Values, list[str]]:
    """The values with labels for names, and the labels in their order."""
    labels = _labels([value["name"] for value in values])
    return [{**value, "name": labels[value["name"]]} for value in values], list(labels.values())


def _labels(names: Sequence[str]) -> dict[str, str]:
    """What each name is called beside a chart: as much of it as there is room for, and each another."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for name in dict.fromkeys(names):
        label, number = _fitted(name, _COLUMNS), 1
        while label in taken:
            number += 1
            label = f"{_fitted(name, _COLUMNS - 3)} {number}"
        taken.add(label)
        labels[name] = label
    return labels


def _fitted(name: str, room: int) -> str:
    if _columns(name) <= room:
        return name
    widths = accumulate(map(_width, name), initial=1)  # the ellipsis takes one
    kept = sum(width <= room for width in widths) - 1
    return f"{name[:kept].rstrip()}…"


def _columns(text: str) -> int:
    """How wide a text is, in columns."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _coloured(field: str, order: Sequence[str], colours: Sequence[str]) -> Any:
    scale = alt.Scale(domain=list(order), range=list(colours))
    return alt.Color(f"{field}:N", scale=scale, legend=alt.Legend(title=None, orient="bottom"))
