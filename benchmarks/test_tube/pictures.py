"""The charts of the test tube, one definition each, as Vega-Lite.

It imports altair: only functions that draw import this module. Names are data: drawn as text whatever is in them. Every
chart is some 460 pixels wide, so that it can still be read on a telephone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt

from benchmarks.test_tube.labels import placed
from codeclm.chart_style import BLUE, GREY, ORANGE, Chart, Values, data, styled

_WIDE: Final = 390
_BESIDE_NAMES: Final = 240
_HEIGHT: Final = 230
_STEP: Final = 26
_CHARACTER: Final = 7.4  # pixels of a name, in a wide font
_INK: Final = "#333"
_SERIES: Final = (BLUE, ORANGE, GREY)
_KINDS: Final = {"codeclm": BLUE, "other methods": GREY, "broken on purpose": ORANGE, "before training": _INK}
_LOOK: Final[dict[str, Any]] = {
    "orient": "bottom",
    "symbolType": "circle",
    "symbolOpacity": 1,
    "symbolStrokeWidth": 0,
    "columnPadding": 30,
    "labelLimit": 0,
}
_LEGEND: Final = alt.Legend(title=None, **_LOOK)
_ROOM: Final = {"left": 4, "top": 4, "bottom": 4, "right": 22}
"""Pixels round a chart with texts at its right end: nobody knows here which font the page will have."""
_PERCENT: Final = "%"
COUNTS: Final = ",d"


def dots(values: Values, seeds: Values, title: str, start: float | None = None) -> Chart:
    """A dot for each name with its interval, each seed's value as a faint tick, and ``start`` as a dashed line.

    Keys of ``values``: name, kind, value, low, high, label; of ``seeds``: name, value. A kind is one of ``_KINDS``.
    """
    y = _named([value["name"] for value in values])
    axis = alt.Axis(format=_PERCENT, tickCount=4, labelOverlap="greedy", labelSeparation=12)
    lowest = min([value["low"] for value in values] + ([] if start is None else [start]))
    scale = alt.Scale(domainMin=max(0.0, lowest - 0.03), nice=True, zero=False)
    x = alt.X("value:Q", title=title, axis=axis, scale=scale)
    colour = _by_kind(values)
    layers = [] if start is None else [_dashed([{"value": start}], x)]
    base = alt.Chart(data(values)).encode(y=y)
    layers += [
        base.mark_rule(strokeWidth=5, opacity=0.4).encode(x=_x_from("low", title), x2="high:Q", color=colour),
        alt.Chart(data(seeds)).mark_tick(color=_INK, opacity=0.45, thickness=1, size=11).encode(y=y, x=x),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, color=colour),
        base.mark_text(align="left", color=_INK).encode(x=alt.value(_BESIDE_NAMES + 8), text="label:N"),
    ]
    return styled(alt.layer(*layers).properties(width=_BESIDE_NAMES, height=_STEP * len(values), padding=_ROOM))


def differences(values: Values, seeds: Values, title: str) -> Chart:
    """A dot for each name with its interval, coloured by what it comes to, beside the line of no difference.

    Keys of ``values``: name, value, low, high, label, holds (yes, no, open); of ``seeds``: name, value.
    """
    y = _named([value["name"] for value in values])
    x = alt.X(
        "value:Q",
        title=title,
        axis=alt.Axis(tickCount=4, labelOverlap="greedy", labelSeparation=12),
        scale=alt.Scale(zero=True),
    )
    scale = alt.Scale(domain=["yes", "open", "no"], range=[BLUE, GREY, ORANGE])
    colour = alt.Color("holds:N", scale=scale, legend=alt.Legend(title="the claim holds:", **_LOOK))
    base = alt.Chart(data(values)).encode(y=y)
    layers = [
        alt.Chart(data([{"value": 0}])).mark_rule(color=_INK, strokeWidth=1).encode(x=x),
        base.mark_rule(strokeWidth=5, opacity=0.4).encode(x=_x_from("low", title), x2="high:Q", color=colour),
        alt.Chart(data(seeds)).mark_tick(color=_INK, opacity=0.45, thickness=1, size=11).encode(y=y, x=x),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, color=colour),
        base.mark_text(align="left", color=_INK).encode(x=alt.value(_BESIDE_NAMES + 8), text="label:N"),
    ]
    return styled(alt.layer(*layers).properties(width=_BESIDE_NAMES, height=_STEP * len(values), padding=_ROOM))


def curve(values: Values, beside: Values, titles: tuple[str, str], *, x_format: str, doubling: bool = False) -> Chart:
    """A line for each ``of`` through its points, with their intervals; ``beside`` are levels to hold them against.

    Keys of ``values``: at, of, value, and low and high where there are any; of ``beside``: name, value. ``titles`` are
    those of the axes. Each point has its number on the axis; where each is twice the last (``doubling``), all are
    equally far apart.
    """
    series = list(dict.fromkeys(value["of"] for value in values))
    ticks = sorted({value["at"] for value in values})
    scale = alt.Scale(type="log", base=2, padding=24) if doubling else alt.Scale(zero=False, padding=24)
    axis = alt.Axis(values=ticks, format=x_format, labelOverlap=False, grid=False)
    x = alt.X("shown:Q", title=titles[0], scale=scale, axis=axis)
    y = alt.Y("value:Q", title=titles[1], scale=alt.Scale(zero=False, padding=8), axis=_y_percent())
    legend = _LEGEND if len(series) > 1 else None
    colour = alt.Color("of:N", scale=alt.Scale(domain=series, range=list(_SERIES)), legend=legend)
    known = all("low" in value for value in values)
    drawn = (
        _side_by_side(values, series, doubling=doubling) if known else [{**one, "shown": one["at"]} for one in values]
    )
    base = alt.Chart(data(drawn)).encode(x=x, color=colour)
    layers: list[Chart] = []
    width = _WIDE - 90 if beside else _WIDE
    if beside:
        levels = alt.Chart(data(beside))
        layers.append(levels.mark_rule(color=GREY, strokeWidth=1.5, strokeDash=[5, 4]).encode(y=y))
        text = levels.mark_text(align="left", baseline="middle", color=_INK, fontSize=11)
        layers.append(text.encode(x=alt.value(width + 6), y=y, text="name:N"))
    if known:
        layers.append(base.mark_rule(strokeWidth=4, opacity=0.35).encode(y=_y_from("low", titles[1]), y2="high:Q"))
    layers += [
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=60, opacity=1).encode(y=y),
    ]
    return styled(alt.layer(*layers).properties(width=width, height=_HEIGHT, padding=_ROOM))


def scatter(values: Values, titles: tuple[str, str], *, x_format: str, start: bool) -> Chart:
    """A named point for each value with its intervals. Keys: name, kind, x, y, y_low, y_high; x_low, x_high if known.

    With ``start``, dashed lines go through the point of that name. An axis of COUNTS begins at 0.
    """
    ends_x = _ends([value[key] for value in values for key in ("x", "x_low", "x_high") if key in value])
    ends_y = _ends([value[key] for value in values for key in ("y", "y_low", "y_high")])
    if x_format == COUNTS:
        ends_x = (0.0, max(value["x"] for value in values) * 1.08)
    axis = alt.Axis(format=x_format, tickCount=5)
    x = alt.X("x:Q", title=titles[0], axis=axis, scale=alt.Scale(domain=list(ends_x), nice=False))
    y = alt.Y("y:Q", title=titles[1], axis=_y_percent(), scale=alt.Scale(domain=list(ends_y), nice=False))
    colour = _by_kind(values)
    base = alt.Chart(data(values)).encode(x=x, y=y)
    layers: list[Chart] = []
    if start:
        here = alt.Chart(data([value for value in values if value["name"] == "start"]))
        dashed = here.mark_rule(color=GREY, strokeDash=[5, 4])
        layers += [dashed.encode(x=x), dashed.encode(y=y)]
    up = base.mark_rule(strokeWidth=2, opacity=0.35).encode(y=_y_from("y_low", titles[1]), y2="y_high:Q", color=colour)
    layers.append(up)
    if "x_low" in values[0]:
        across = base.mark_rule(strokeWidth=2, opacity=0.35)
        layers.append(across.encode(x=_x_from("x_low", titles[0]), x2="x_high:Q", color=colour))
    layers.append(base.mark_point(filled=True, size=70, opacity=1).encode(color=colour))
    names = alt.Chart(data(_names(values, ends_x, ends_y))).encode(x=x, y=y, text="name:N")
    layers.append(names.mark_text(align="left", baseline="middle", fontSize=11, color=_INK))
    return styled(alt.layer(*layers).properties(width=_WIDE, height=_WIDE * 0.8))


def _names(values: Values, ends_x: tuple[float, float], ends_y: tuple[float, float]) -> Values:
    """Where the names stand, in the chart's own figures."""
    width, height = float(_WIDE), _WIDE * 0.8
    across, up = ends_x[1] - ends_x[0], ends_y[1] - ends_y[0]
    points = {
        value["name"]: ((value["x"] - ends_x[0]) / across * width, (ends_y[1] - value["y"]) / up * height)
        for value in values
    }
    return [
        {"name": name, "x": ends_x[0] + x / width * across, "y": ends_y[1] - y / height * up}
        for name, (x, y) in placed(points, width, height).items()
    ]


def _ends(numbers: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis with some room at each; shares stay what they are."""
    low, high = min(numbers), max(numbers)
    room = max(0.02, (high - low) * 0.08)
    return low - room, high + room


def _side_by_side(values: Values, series: Sequence[str], *, doubling: bool) -> Values:
    """Points of two lines at the same place stand a little apart, so that both intervals are seen."""
    across = max(value["at"] for value in values) - min(value["at"] for value in values)
    shift = {name: place - (len(series) - 1) / 2 for place, name in enumerate(series)}
    return [
        {
            **value,
            "shown": value["at"] * 1.04 ** shift[value["of"]]
            if doubling
            else value["at"] + 0.012 * across * shift[value["of"]],
        }
        for value in values
    ]


def _by_kind(values: Values) -> Any:
    """A colour for each kind there is, named below the chart."""
    kinds = [kind for kind in _KINDS if any(value["kind"] == kind for value in values)]
    scale = alt.Scale(domain=kinds, range=[_KINDS[kind] for kind in kinds])
    told = [kind for kind in kinds if kind != "before training"]  # its point is named
    return alt.Color("kind:N", scale=scale, legend=alt.Legend(title=None, values=told, **_LOOK))


def _dashed(values: Values, x: Any) -> Chart:
    return alt.Chart(data(values)).mark_rule(color=GREY, strokeWidth=1.5, strokeDash=[5, 4]).encode(x=x)


def _x_from(field: str, title: str) -> Any:
    """The same axis as a chart's, at another field."""
    return alt.X(f"{field}:Q", title=title)


def _y_from(field: str, title: str) -> Any:
    return alt.Y(f"{field}:Q", title=title)


def _y_percent() -> alt.Axis:
    return alt.Axis(format=_PERCENT, tickCount=5)


def _named(names: Sequence[str]) -> Any:
    """An axis of names, with room for them in whatever font they are shown."""
    room = _CHARACTER * max(map(len, names), default=0) + 8
    axis = alt.Axis(labelLimit=0, minExtent=room, ticks=False, domain=False, grid=False, labelPadding=6)
    return alt.Y("name:N", title=None, sort=list(names), scale=alt.Scale(domain=list(names)), axis=axis)
