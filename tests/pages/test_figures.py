"""Charts inside a page: in its colours, with ids of their own, and with no text that is more than text."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from codeclm.chart_style import BLUE
from codeclm.pages.figures import svg


def _chart(name: str = "a") -> Any:
    import altair as alt

    values = alt.InlineData(values=[{"name": name, "n": 3}, {"name": "b", "n": 5}])
    return alt.Chart(values).mark_bar(color=BLUE, clip=True).encode(x="n:Q", y="name:N")


def test_it_has_the_pages_colours() -> None:
    drawn = svg("one", "How many", _chart)
    assert 'fill="var(--chart-blue)"' in drawn
    assert BLUE not in drawn
    assert 'fill="white"' not in drawn
    assert drawn.startswith('<svg class="chart" role="img" aria-label="How many"')


def test_ids_of_two_charts_differ() -> None:
    ids = [set(re.findall(r'id="([^"]+)"', svg(name, "", _chart))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]
    drawn = svg("one", "", _chart)
    assert set(re.findall(r"url\(#([^)]+)\)", drawn)) <= ids[0]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', 'url(#x) id="y"'])
def test_names_are_text(name: str) -> None:
    elements = ElementTree.fromstring(svg("one", name, lambda: _chart(name))).iter()
    found = [(element.tag, key) for element in elements for key in ("", *element.attrib)]
    assert {tag for tag, _ in found} <= {"svg", "g", "path", "line", "text", "rect", "defs", "clipPath"}
    assert not {key for _, key in found if key.startswith("on") or key in ("style", "href", "src")}
    assert not {(tag, key) for tag, key in found if key.startswith("aria") or key == "role"} - {
        ("svg", "role"),
        ("svg", "aria-label"),
    }


def test_it_is_the_same_each_time() -> None:
    assert svg("one", "", _chart) == svg("one", "", _chart)


def test_a_colour_in_the_data_stays() -> None:
    assert BLUE in svg("one", "", lambda: _chart(BLUE))
