"""The picture of a drift: ``drift.png`` and ``drift.svg`` beside ``drift.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codeclm.drifting.drift import Drift
from codeclm.pictures import draw_as

NAME = "drift"


def draw(made: Drift, folder: Path) -> tuple[Path, ...]:
    """Write the picture. Raises MissingCharts."""

    def chart() -> Any:
        from codeclm.drifting import charts

        return charts.drift(made)

    return draw_as(NAME, folder, chart)
