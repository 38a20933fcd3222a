"""Drawing charts for a page, where the packages that draw are there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from markupsafe import Markup

from codeclm.pages.figures import svg
from codeclm.pictures import MissingCharts

CHARTS: Final = "codeclm.reporting.charts"


class Drawing:
    """Draws charts while the packages that draw are there; ``missing`` is what to tell where they are not."""

    def __init__(self) -> None:
        absent = [name for name in ("altair", "vl_convert") if find_spec(name) is None]
        self.missing = f"{' and '.join(absent)} is not installed" if absent else ""

    @property
    def can(self) -> bool:
        """Whether modules of charts can be imported."""
        return not self.missing

    def __call__(self, name: str, title: str, chart: Callable[[Any], Any], module: str = CHARTS) -> Markup | None:
        """The chart as SVG; ``chart`` makes it from the module of charts. None where nothing can be drawn."""
        if self.missing:
            return None
        try:
            return svg(name, title, lambda: chart(import_module(module)))
        except MissingCharts as error:
            self.missing = str(error)
            return None
