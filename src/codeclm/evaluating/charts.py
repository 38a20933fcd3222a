"""The charts of an evaluation, as Vega-Lite: its picture, and single ones for a page.

It imports altair: only functions that draw import this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from codeclm.chart_style import BLUE, GREY, ORANGE, Chart, Values, arranged, data, styled

_WIDTH = 240
_ALONE = 320  # of a chart that stands by itself
_LABEL = 180
_CHARACTER = 7.4  # pixels of a name, in a wide font
_STEP = 24
_MOST_CATEGORIES = 40

Row = Mapping[str, Any]


def evaluation(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """Results, CRR with its interval and the judge's liking for a place, by candidate; then results by category."""
    names = [row["candidate"] for row in rows]
    top = [
        _parts(_results(rows, "candidate"), names, "Results", _RESULTS, height=_STEP * len(rows)),
        _crr(rows, names),
        _parts(_places(rows), names, "Preferred by the judge", _PLACES, height=_STEP * len(rows)),
    ]
    return arranged([top, *_by_category(rows)])


def results(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """Wins, ties and losses by candidate, alone."""
    names = [row["candidate"] for row in rows]
    chart = _parts(_results(rows, "candidate"), names, "", _RESULTS, height=_STEP * len(rows))
    return styled(chart.properties(width=_ALONE))


def recovered(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """CRR with its interval by candidate, alone."""
    return styled(_crr(rows, [row["candidate"] for row in rows]).properties(title="", width=_ALONE))


_RESULTS = (("wins", BLUE), ("ties", GREY), ("losses", ORANGE))
_PLACES = (("the first", BLUE), ("neither", GREY), ("the second", ORANGE))


def _by_category(rows: Sequence[Row]) -> list[list[Chart]]:
    """A line of charts, one for each candidate; none where there are no categories, or too many to be read."""
    if not 1 < len(rows[0]["by_category"]) <= _MOST_CATEGORIES:
        return []
    charts = []
    for row in rows[:3]:
        found = row["by_category"]
        values = _results([{"name": name, **found[name]} for name in found], "name")
        title = f"{row['candidate']} by category"
        charts.append(_parts(values, list(found), title, _RESULTS, height=_STEP * len(found)))
    return [charts]


def _parts(values: Values, names: Sequence[str], title: str, parts: Sequence[tuple[str, str]], *, height: int) -> Chart:
    """One bar for each name, divided into the parts, which together are the whole."""
    order = [part for part, _ in parts]
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=order, range=[colour for _, colour in parts]),
        legend=alt.Legend(title=None, orient="bottom"),
    )
    base = alt.Chart(data(values)).encode(
        y=_named(names),
        x=alt.X("share:Q", title=None, stack="zero", axis=alt.Axis(format="%", values=[0, 0.5, 1])).scale(
            domain=[0, 1]
        ),
        order="place:Q",
    )
    bars = base.mark_bar(size=15).encode(color=colour)
    labels = (
        alt.Chart(data([value for value in values if value["share"] > 0.07]))
        .mark_text(color="white", fontSize=11)
        .encode(y=_named(names), x="middle:Q", text="count:Q")
    )
    return (bars + labels).properties(width=_WIDTH, height=height, title=title)


def _named(names: Sequence[str]) -> Any:
    room = min(_LABEL, _CHARACTER * max(map(len, names), default=0) + 8)
    axis = alt.Axis(labelLimit=_LABEL, minExtent=room, ticks=False, domain=False)
    return alt.Y("name:N", title=None, sort=list(names), scale=alt.Scale(domain=list(names)), axis=axis)


def _crr(rows: Sequence[Row], names: Sequence[str]) -> Chart:
    values = [
        {"name": row["candidate"], "crr": row["crr"], "low": row["crr_interval"][0], "high": row["crr_interval"][1]}
        for row in rows
        if row["crr"] is not None and row["crr_interval"]
    ]
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5)
    base = alt.Chart(data(values)).encode(y=_named(names))
    line = base.mark_rule(color=GREY, strokeWidth=3).encode(
        x=alt.X("low:Q", title=None, scale=scale, axis=axis), x2="high:Q"
    )
    dot = base.mark_point(filled=True, size=70, opacity=1, color=BLUE).encode(x=alt.X("crr:Q", scale=scale, axis=axis))
    title = "Capacity recovered, 95 % interval"
    return (line + dot).properties(width=_WIDTH, height=_STEP * len(rows), title=title)


def _results(rows: Sequence[Row], name: str) -> Values:
    return [value for row in rows for value in _shares(row[name], [(part, row[part]) for part, _ in _RESULTS])]


def _places(rows: Sequence[Row]) -> Values:
    return [
        value
        for row in rows
        for value in _shares(
            row["candidate"],
            [
                (part, row["position"][key])
                for (part, _), key in zip(_PLACES, ("first_preferred", "even", "second_preferred"), strict=True)
            ],
        )
    ]


def _shares(name: str, counts: Sequence[tuple[str, int]]) -> Values:
    total, before, values = sum(count for _, count in counts), 0, []
    for place, (part, count) in enumerate(counts):
        if total:
            middle = (before + count / 2) / total
            values.append(
                {"name": name, "part": part, "place": place, "count": count, "share": count / total, "middle": middle}
            )
        before += count
    return values
