"""The charts of a comparison, one definition each, as Vega-Lite: its picture, and single ones for a page.

It imports altair: only functions that draw import this module. Names are data in a chart: Vega-Lite draws them as text
whatever is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import altair as alt

from codeclm.chart_style import BLUE, GREY, ORANGE, Chart, Values, arranged, data, styled
from codeclm.comparing.rows import Row

_WIDTH = 190
_ALONE = 300  # of a panel that is a chart of its own
_WIDER = 380
_CHARACTER = 7.4  # pixels of a name, in a wide font
_STEP = 22
_LABEL = 160
_COLUMNS = 3


def comparison(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """All charts of methods that there are figures for, three in a line, the methods' names at the left."""
    panels = [panel for panel in PANELS if panel.has(rows)]
    lines = [panels[start : start + _COLUMNS] for start in range(0, len(panels), _COLUMNS)]
    drawn = [[panel.draw(rows, named=number == 0) for number, panel in enumerate(line)] for line in lines]
    return arranged(drawn)


def iterations(row: Row) -> alt.TopLevelMixin:
    """The share of the kept pairs that came from each iteration (the paper's Figure 3)."""
    values = [
        {"iteration": number, "share": count / row.pairs, "pairs": count}
        for number, count in row.kept_by_iteration.items()
    ]
    x = alt.X("iteration:O", title="iteration", axis=alt.Axis(labelAngle=0))
    base = alt.Chart(data(values)).encode(x=x, y=alt.Y("share:Q", title="share of the kept pairs").axis(format="%"))
    bars = base.mark_bar(color=BLUE, size=48)
    labels = base.mark_text(dy=-7, color="#333").encode(text=alt.Text("share:Q", format=".0%"))
    return styled((bars + labels).properties(width=360, height=220, title=_title("Kept pairs by iteration", row.name)))


def single(panel: Panel, rows: Sequence[Row]) -> alt.TopLevelMixin:
    """One of :data:`PANELS` alone, for a page that says its title."""
    return styled(panel.draw(rows).properties(title="", width=_ALONE))


def curves(study: str) -> dict[str, Callable[[Sequence[Row]], alt.TopLevelMixin]]:
    """What draws each curve of a study alone, by its title, for a page that says it."""
    over_size = study == "size"

    def drawing(title: str, lines: Sequence[_Line]) -> Callable[[Sequence[Row]], alt.TopLevelMixin]:
        return lambda rows: styled(_curve(rows, title, lines, over_size=over_size).properties(title="", width=_WIDER))

    return {title: drawing(title, lines) for title, lines in _CURVES}


def over_shares(rows: Sequence[Row], study: str) -> alt.TopLevelMixin:
    """How the figures go along a study's points: shares of the metadata (Figure 4), or pairs (Figure 5)."""
    over_size = study == "size"
    wanted = [curve for curve in _CURVES if any(value is not None for _, of in curve[1] for value in map(of, rows))]
    drawn = [_curve(rows, title, lines, over_size=over_size) for title, lines in wanted]
    return arranged([drawn[start : start + 2] for start in range(0, len(drawn), 2)])


class Panel:
    """One chart with a line for each method: its title, whether rows have its figures, and how it is drawn."""

    def __init__(self, title: str, values: Callable[[Row], Values], marks: Callable[[alt.Chart, Any], Chart]) -> None:
        self.title = title
        self._values = values
        self._marks = marks

    def has(self, rows: Sequence[Row]) -> bool:
        """Whether there is anything to draw."""
        return any(self._values(row) for row in rows)

    def values(self, rows: Sequence[Row]) -> Values:
        """What is drawn, each with its method."""
        return [{"method": row.name, **value} for row in rows for value in self._values(row)]

    def draw(self, rows: Sequence[Row], *, named: bool = True) -> Chart:
        """The chart, with the methods' names beside it if ``named``."""
        names = [row.name for row in rows]
        room = min(_LABEL, _CHARACTER * max(map(len, names), default=0) + 8)
        axis = alt.Axis(labelLimit=_LABEL, minExtent=room, ticks=False, domain=False) if named else None
        y = alt.Y("method:N", title=None, sort=names, scale=alt.Scale(domain=names), axis=axis)
        chart = self._marks(alt.Chart(data(self.values(rows))), y)
        return chart.properties(width=_WIDTH, height=_STEP * len(rows), title=self.title)


def _bars(measure: str, title: str, format: str) -> Callable[[alt.Chart, Any], Chart]:
    def marks(chart: alt.Chart, y: Any) -> Chart:
        base = chart.encode(y=y, x=alt.X(f"{measure}:Q", title=title, axis=alt.Axis(format=format, tickCount=4)))
        bars = base.mark_bar(color=BLUE, size=13)
        labels = base.mark_text(align="left", dx=4, color="#333").encode(text=alt.Text(f"{measure}:Q", format=format))
        return bars + labels

    return marks


def _by_iteration(chart: alt.Chart, y: Any) -> Chart:
    x = alt.X("share:Q", title="share of the pairs", stack="zero", axis=alt.Axis(format="%", values=[0, 0.5, 1]))
    legend = alt.Legend(title="iteration", orient="bottom", columns=6)
    colour = alt.Color("iteration:O", scale=alt.Scale(scheme="blues", reverse=True), legend=legend)
    return chart.mark_bar(size=13).encode(y=y, x=x.scale(domain=[0, 1]), color=colour, order="iteration:Q")


def _boxes(title: str, domain: tuple[int, int]) -> Callable[[alt.Chart, Any], Chart]:
    """Least to greatest as a line, the middle half as a bar, the median as a gap in it, the mean as a dot."""

    def marks(chart: alt.Chart, y: Any) -> Chart:
        scale = alt.Scale(domain=list(domain))

        def x(field: str) -> Any:
            return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=5))

        whiskers = chart.mark_rule(color=GREY).encode(y=y, x=x("least"), x2="greatest:Q")
        box = chart.mark_bar(color=BLUE, size=13).encode(y=y, x=x("lower"), x2="upper:Q")
        median = chart.mark_tick(color="white", thickness=2, size=13).encode(y=y, x=x("median"))
        mean = chart.mark_point(color=ORANGE, filled=True, size=34, opacity=1).encode(y=y, x=x("mean"))
        return whiskers + box + median + mean

    return marks


def _distances(chart: alt.Chart, y: Any) -> Chart:
    legend = alt.Legend(title=None, orient="bottom")
    colour = alt.Color("of:N", scale=alt.Scale(range=[BLUE, ORANGE]), legend=legend)
    x = alt.X("distance:Q", title="Jensen-Shannon distance", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5))
    shape = alt.Shape("of:N", legend=legend)
    return chart.mark_point(filled=True, size=55, opacity=1).encode(y=y, x=x, color=colour, shape=shape)


def _one(name: str, of: Callable[[Row], float | None]) -> Callable[[Row], Values]:
    return lambda row: [] if of(row) is None else [{name: of(row)}]


def _shares(row: Row) -> Values:
    return [{"iteration": int(n), "share": count / row.pairs} for n, count in row.kept_by_iteration.items()]


def _of_spread(name: str) -> Callable[[Row], Values]:
    marks = ("least", "lower", "median", "upper", "greatest", "mean")
    return lambda row: [{mark: getattr(found, mark) for mark in marks}] if (found := getattr(row, name)) else []


def _distance_values(row: Row) -> Values:
    found = {"use cases": row.use_case_distance, "skills": row.skill_distance}
    return [{"of": of, "distance": distance} for of, distance in found.items() if distance is not None]


PANELS = (
    Panel("Kept by iteration", _shares, _by_iteration),
    Panel("Calls per kept pair", _one("calls", lambda row: row.calls_per_pair), _bars("calls", "calls", ".3~r")),
    Panel("Gap (quartiles, mean)", _of_spread("gap"), _boxes("strong minus target", (-9, 9))),
    Panel("Difficulty (quartiles, mean)", _of_spread("difficulty"), _boxes("judged, 1 to 10", (1, 10))),
    Panel("Away from the seeds", _distance_values, _distances),
    Panel("Diversity", _one("distinct", lambda row: row.distinct_2), _bars("distinct", "distinct-2", ".2f")),
    Panel("Capacity recovered", _one("crr", lambda row: row.crr), _bars("crr", "CRR", ".1%")),
)


def points(title: str, rows: Sequence[Row], study: str) -> Values:
    """What a curve of a study draws; empty where nothing is known of it."""
    found = [
        {"method": row.name, "at": row.pairs if study == "size" else row.share, "of": name, "value": of(row)}
        for row in rows
        for name, of in dict(_CURVES)[title]
    ]
    return found if any(value["value"] is not None for value in found) else []


_Line: TypeAlias = tuple[str, Callable[[Row], float | None]]

# On an axis of its own range, since it differs by little; every other begins at 0.
_CRR: tuple[_Line, ...] = (("CRR", lambda row: row.crr),)

_CURVES: tuple[tuple[str, tuple[_Line, ...]], ...] = (
    ("Capacity Recovery Ratio", _CRR),
    (
        "Distance from the seeds",
        (("use cases", lambda row: row.use_case_distance), ("skills", lambda row: row.skill_distance)),
    ),
    ("Mean gap", (("gap", lambda row: row.gap.mean if row.gap else None),)),
    ("Mean difficulty", (("difficulty", lambda row: row.difficulty.mean if row.difficulty else None),)),
    ("Calls", (("calls", lambda row: row.cost.calls),)),
)


def _curve(rows: Sequence[Row], title: str, lines: Sequence[_Line], *, over_size: bool) -> Chart:
    values = [
        {"at": row.pairs if over_size else row.share, "of": name, "value": of(row)}
        for row in rows
        for name, of in lines
    ]
    axis = alt.Axis(format=",d" if over_size else "%", tickCount=5)
    x = alt.X("at:Q", title="pairs" if over_size else "share of the metadata", axis=axis)
    legend = alt.Legend(title=None, orient="bottom") if len(lines) > 1 else None
    colour = alt.Color("of:N", scale=alt.Scale(range=[BLUE, ORANGE]), legend=legend)
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=lines is not _CRR), axis=alt.Axis(tickCount=5))
    mark = alt.Chart(data(values)).mark_line(point=alt.OverlayMarkDef(filled=True, size=50))
    return mark.encode(x=x, y=y, color=colour).properties(width=280, height=170, title=title)


def _title(text: str, beneath: str) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=beneath)
