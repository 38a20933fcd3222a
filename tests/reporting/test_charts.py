"""Charts of a run: valid in Vega-Lite's schema, and names in them have room, whatever they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.chart_style import BLUE, Values
from codeclm.pages.figures import svg
from codeclm.reporting import charts

NAMES = ["plain", "a name of ninety characters which is long, " * 3, "a name of ninety characters, another" * 3,
         "مرحبا بالعالم كيف حالك اليوم يا صديقي", "字" * 40, "👩‍🚀🧪 rockets", "<b>&amp;", ""]  # fmt: skip


def _named(**more: float) -> Values:
    return [{"name": name, "value": number, "label": f"{number}", **more} for number, name in enumerate(NAMES)]


def test_each_is_valid_and_shows_its_labels() -> None:
    made = [
        charts.bars(_named(), "how many"),
        charts.bars(_named(), "how many", format=charts.DOLLARS, colours=[BLUE] * len(NAMES)),
        charts.columns(_named(), "iteration", "share", format=charts.SHARES),
        charts.parts([{**one, "part": part} for one in _named() for part in ("in", "out")], "tokens", ("in", "out")),
        charts.shares([{**one, "of": "seeds", "share": 0.2} for one in _named()]),
        charts.means(_named(mean=1.0, low=0.5, high=1.5), "mean gap"),
        charts.gaps([{"from": 1, "to": 1.5, "part": "kept", "instructions": 3}], 3.0),
        charts.gaps([{"from": -9, "to": -8.5, "part": "not kept", "instructions": 1}], None),
        charts.together([{"use case": NAMES[0], "skill": NAMES[1], "share": 0.5}], NAMES, NAMES, 0.5),
    ]
    for chart in made:
        assert chart.to_dict()["$schema"]  # validated on the way


def test_nothing_to_show_is_no_error() -> None:
    assert charts.bars([], "how many").to_dict()
    assert charts.columns([], "iteration", "share").to_dict()


def test_names_beside_a_chart_are_whole_or_end_in_an_ellipsis_and_emoji_stay() -> None:
    drawn = svg("names", "Names", lambda: charts.bars(_named(), "how many"))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert "plain" in texts
    assert "👩‍🚀🧪 rockets" in texts
    assert "a name of ninety charac…" in texts
    assert "&lt;b&gt;&amp;amp;" in texts
    assert not any("\ufffd" in text or "\ue000" <= text[:1] <= "\uf8ff" for text in texts)


@given(st.lists(st.text(min_size=0, max_size=60), max_size=12))
def test_labels_are_short_and_each_is_another(names: list[str]) -> None:
    labels = charts._labels(names)
    assert list(labels) == list(dict.fromkeys(names))
    assert len(set(labels.values())) == len(labels)
    assert all(charts._columns(label) <= charts._COLUMNS for label in labels.values())


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("字字", 4), ("e\u0301", 1), ("🧪", 2), ("a\u200db", 2)])
def test_a_text_is_as_wide_as_it_is_shown(text: str, columns: int) -> None:
    assert charts._columns(text) == columns
