"""Drawing charts for a page, where the packages that draw are there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from markupsafe import Markup

from codeclm.pages.figures import svg
from codeclm.pictures import MissingCharts

CHARTS: Final = "codeclm.reporting.charts"


class Drawing:
    """Draws charts while the packages that draw are there; ``missing`` is what to tell where they are not."""

    def __init__(self) -> None:
        self.missing = ""

    def __call__(self, name: str, title: str, chart: Callable[[Any], Any], module: str = CHARTS) -> Markup | None:
        """The chart as SVG; ``chart`` makes it from the module of charts. None where nothing can be drawn."""
        if self.missing:
            return None
        try:
            return svg(name, title, lambda: chart(import_module(module)))
        except MissingCharts as error:
            self.missing = str(error)
            return None
