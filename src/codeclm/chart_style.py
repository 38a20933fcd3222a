"""One look for every chart of codeclm: colours, sizes and how charts are put beside each other.

It imports altair, so only modules that define charts import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import altair as alt

Chart: TypeAlias = Any  # of whichever kind: altair's methods do not say
Values: TypeAlias = list[dict[str, Any]]

BLUE, ORANGE, GREY = "#3b6ea5", "#d9822b", "#9aa5b1"


def data(values: Values) -> alt.InlineData:
    """Values as a chart takes them; names in them are text, whatever they hold."""
    return alt.InlineData(values=values)


def arranged(lines: Sequence[Sequence[Chart]]) -> alt.TopLevelMixin:
    """Charts in lines, each with its own colours and its own legend below it."""
    drawn = (alt.hconcat(*line, spacing=24).resolve_scale(color="independent", shape="independent") for line in lines)
    return styled(alt.vconcat(*drawn, spacing=24).resolve_scale(color="independent", shape="independent"))


def styled(chart: Any) -> alt.TopLevelMixin:
    """One look for all: light, quiet lines, text that can be read at half the size."""
    # At once: each call of altair's copies the whole chart, with all it draws.
    drawn: alt.TopLevelMixin = chart.configure(
        background="white",
        padding=16,
        font="sans-serif",
        view={"stroke": None},
        axis={"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": "#e6e9ec"},
        axisY={"labelPadding": 5},
        title={"fontSize": 14, "anchor": "start", "fontWeight": "bold"},
        legend={"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    )
    return drawn
