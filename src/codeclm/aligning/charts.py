"""The charts of an alignment, as Vega-Lite: its picture, and single ones for a page.

It imports altair: only functions that draw import this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from codeclm.chart_style import BLUE, GREY, Chart, Values, arranged, data, styled

_WIDTH, _HEIGHT = 260, 200
_ALONE = 380

Row = Mapping[str, Any]


def alignment(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """CRR with its interval by round; beside it, how much of what was made the filter kept."""
    return arranged([[_crr(rows), _kept(rows)]])


def recovered(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """CRR with its interval by round, alone."""
    return styled(_crr(rows).properties(title="", width=_ALONE))


def kept(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """How much of each round's instructions the filter kept, alone."""
    return styled(_kept(rows).properties(title="", width=_ALONE))


def _crr(rows: Sequence[Row]) -> Chart:
    values: Values = [
        {"round": row["name"], "crr": row["crr"], "low": row["crr_interval"][0], "high": row["crr_interval"][1]}
        for row in rows
        if row["crr"] is not None and row["crr_interval"]
    ]
    x = _rounds([row["name"] for row in rows])
    scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%", tickCount=5)
    base = alt.Chart(data(values)).encode(x=x)
    line = base.mark_line(color=BLUE, strokeWidth=2).encode(y=alt.Y("crr:Q", title=None, scale=scale, axis=axis))
    spread = base.mark_rule(color=GREY, strokeWidth=3).encode(y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q")
    dots = base.mark_point(filled=True, size=70, opacity=1, color=BLUE).encode(y=alt.Y("crr:Q", scale=scale, axis=axis))
    title = "Capacity recovered, 95 % interval"
    return (spread + line + dots).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _kept(rows: Sequence[Row]) -> Chart:
    """Each round's own run: how many of its instructions its target fell short of."""
    made = [row for row in rows if row["instructions"]]
    values: Values = [
        {
            "round": row["name"],
            "share": row["examples"] / row["instructions"],
            "label": f"{row['examples']:,} of {row['instructions']:,}",
        }
        for row in made
    ]
    y = alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%", tickCount=5))
    base = alt.Chart(data(values)).encode(x=_rounds([row["name"] for row in made]), y=y)
    labels = base.mark_text(dy=-7, color="#333").encode(text="label:N")
    title = "Of its instructions, kept by the filter"
    return (base.mark_bar(color=BLUE, size=36) + labels).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _rounds(names: Sequence[str]) -> Any:
    return alt.X("round:N", title=None, sort=None, scale=alt.Scale(domain=list(names)), axis=alt.Axis(labelAngle=0))
