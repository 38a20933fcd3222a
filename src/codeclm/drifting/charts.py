"""The charts of a drift, as Vega-Lite. Only :mod:`codeclm.drifting.picture` imports this.

Names are data in a chart: Vega-Lite draws them as text whatever is in them.
"""

from __future__ import annotations

from collections import Counter

import altair as alt

from codeclm.chart_style import BLUE, ORANGE, Chart, Values, arranged, data
from codeclm.drifting.drift import Drift
from codeclm.drifting.encoded import KINDS, Kind

_WIDTH = 300
_STEP = 16
_NAMES = 14
_LABEL = 170
_TITLES = {"use_cases": "Use cases", "skills": "Skills"}


def drift(made: Drift) -> alt.TopLevelMixin:
    """Use cases and skills whose shares differ the most, those of the traffic beside those of the seeds."""
    return arranged([[panel for kind in KINDS if (panel := _shares(made, kind)) is not None]])


def _shares(made: Drift, kind: Kind) -> Chart | None:
    sides = {made.known_as: made.known.encoded, "traffic": made.now.encoded}
    shares = {
        side: {name: n / len(ones) for name, n in Counter(name for one in ones for name in one.names(kind)).items()}
        for side, ones in sides.items()
    }
    before, now = shares.values()
    change = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in now.keys() | before.keys()}
    if not change:
        return None
    most = sorted(change, key=lambda name: (-abs(change[name]), name))[:_NAMES]
    names = sorted(most, key=lambda name: (-change[name], name))
    values: Values = [
        {"name": name, "of": side, "share": found.get(name, 0.0)} for name in names for side, found in shares.items()
    ]
    y = alt.Y(
        "name:N",
        title=None,
        sort=names,
        scale=alt.Scale(domain=names),
        axis=alt.Axis(labelLimit=_LABEL, ticks=False, domain=False),
    )
    x = alt.X("share:Q", title="share of the instructions", axis=alt.Axis(format="%", tickCount=5))
    legend = alt.Legend(title=None, orient="bottom")
    base = alt.Chart(data(values)).encode(y=y, x=x)
    lines = base.mark_line(color="#c9ced4").encode(detail="name:N")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        color=alt.Color("of:N", scale=alt.Scale(domain=list(sides), range=[ORANGE, BLUE]), legend=legend),
        shape=alt.Shape("of:N", scale=alt.Scale(domain=list(sides)), legend=legend),
    )
    title = f"{_TITLES[kind]} that changed the most"
    return (lines + points).properties(width=_WIDTH, height=_STEP * max(len(names), _NAMES // 2), title=title)
