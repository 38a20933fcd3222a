"""Figures for a page: a chart as SVG inside it, what it shows in words, and the same as a table.

A chart is drawn once for light, dark and print: its colours are the page's CSS variables. There is no script in it and
nothing in it refers to another place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from codeclm.pictures import VEGA_LITE, MissingCharts, without_unprintable

# The colours of chart_style.py by what the page calls them. Written so that no chart has to know of pages.
_COLOURS: Final = {
    "#3b6ea5": "var(--chart-blue)",
    "#d9822b": "var(--chart-orange)",
    "#9aa5b1": "var(--chart-grey)",
    "#333": "var(--ink)",
    "#e6e9ec": "var(--line)",
    "white": "var(--paper)",
}
_LOOK: Final[dict[str, Any]] = {
    "background": None,
    "padding": 4,
    "font": "system-ui, sans-serif",
    "aria": False,  # the page says what it shows, and has its figures as a table
    "title": {"color": "var(--ink)", "fontSize": 14, "anchor": "start", "fontWeight": 600},
    "style": {"guide-label": {"fill": "var(--ink)"}, "guide-title": {"fill": "var(--ink)"}},
    "text": {"color": "var(--ink)"},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--quiet)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--quiet)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
    "header": {"labelColor": "var(--ink)", "titleColor": "var(--quiet)"},
    "view": {"stroke": None},
}
_TAG: Final = re.compile("<[^>]*>")
_ROLES: Final = re.compile(' (?:role|aria-[a-z]+)="[^"]*"')
_IDS: Final = re.compile(r'\b(id="|url\(#)([A-Za-z_][\w-]*)')
_SIZE: Final = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)" viewBox="([-\d. ]+)"[^>]*>')


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, named for its page; ``about`` says how to read it. ``columns`` and ``rows`` are what it draws.

    ``drawn`` is None where the packages that draw are missing: its table then stands in its place.
    """

    name: str
    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    drawn: Markup | None = None


def svg(name: str, title: str, chart: Callable[[], Any]) -> Markup:
    """The chart that ``chart`` makes as an SVG element; ``name`` keeps its ids apart from those of others in the page.

    Raises MissingCharts. ``chart`` imports what it is made with when it is called: altair is heavy and optional.
    """
    try:
        import vl_convert

        stand_ins = _StandIns()
        spec = _as_page(without_unprintable(stand_ins.put(chart().to_dict())))
    except ModuleNotFoundError as missing:
        raise MissingCharts(f"{missing.name} is not installed") from None
    spec["config"] = _merged(spec.get("config", {}), _LOOK)
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    drawn = _within_a_page(drawn, name)
    found = _SIZE.match(drawn)
    if found is None:  # another renderer than the one this was written for
        raise ValueError("the renderer's SVG has no size")
    head = Markup('<svg class="chart" role="img" aria-label="{}" width="{}" height="{}" viewBox="{}">').format(
        title, found[1], found[2], found[3]
    )
    return head + Markup(stand_ins.taken_back(drawn[found.end() :]))  # noqa: S704  # the renderer escapes its texts


class _StandIns:
    """Characters beyond U+FFFF, such as emoji, which the renderer may tear: it draws one of private use for each."""

    _PRIVATE: Final = range(0xE000, 0xF900)
    _OTHERS: Final = re.compile("[\ue000-\uf8ff\U00010000-\U0010ffff]")

    def __init__(self) -> None:
        self._by_character: dict[str, str] = {}

    def put(self, value: Any) -> Any:
        """The specification with stand-ins; U+FFFD for what there are none left for."""
        match value:
            case str():
                return self._OTHERS.sub(self._stand_in, value)
            case dict():
                return {key: self.put(one) for key, one in value.items()}
            case list():
                return [self.put(one) for one in value]
        return value

    def _stand_in(self, found: re.Match[str]) -> str:
        known = self._by_character
        if found[0] not in known and len(known) >= len(self._PRIVATE):
            return "\ufffd"
        return known.setdefault(found[0], chr(self._PRIVATE[0] + len(known)))

    def taken_back(self, drawn: str) -> str:
        """What was drawn, with the characters themselves."""
        characters = {ord(stand_in): character for character, stand_in in self._by_character.items()}
        return drawn.translate(characters)


def _within_a_page(drawn: str, name: str) -> str:
    """With ids of this figure alone, and without what it says to those who can't see it, which the page does.

    The renderer counts its ids on through the process: they would differ from page to page, and meet in one.
    """
    numbers: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + numbers.setdefault(found[2], f"{name}-{len(numbers) + 1}")

    return _TAG.sub(lambda tag: _IDS.sub(renamed, _ROLES.sub("", tag[0])), drawn)


def _as_page(value: Any) -> Any:
    """The specification with the page's colours for those of charts as files."""
    match value:
        case str():
            return _COLOURS.get(value, value)
        case dict():
            return {key: one if key in ("values", "datasets") else _as_page(one) for key, one in value.items()}
        case list():
            return [_as_page(one) for one in value]
    return value


def _merged(one: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``one`` with everything that ``over`` says."""
    merged = dict(one)
    for key, value in over.items():
        merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged


def as_rows(values: Sequence[dict[str, Any]]) -> tuple[tuple[str, ...], tuple[tuple[object, ...], ...]]:
    """Values of a chart as a table: the names of its columns, and its rows."""
    columns = tuple(values[0]) if values else ()
    return columns, tuple(tuple(row.get(column) for column in columns) for row in values)
