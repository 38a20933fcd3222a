"""The table and the page, on made-up results: what they say, what they leave out, and that every text is text."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from benchmarks.test_tube import page, report, table
from benchmarks.test_tube.conditions import by_condition
from benchmarks.test_tube.labels import placed
from benchmarks.test_tube.notes import notes
from benchmarks.test_tube.results import Result, Score
from tests.benchmarking.test_tube import made_up
from tests.browser import Accessible
from tests.reporting.test_report import HOSTILE, Parsed

from codeclm.pages.rendering import visible
from codeclm.reporting import drawing

if TYPE_CHECKING:
    from playwright.async_api import Page

ABOUT = {"machine": "two cores", "date": "2026-11-22"}
QUICK = ("start", "codeclm", "metadata+rubrics", "self-instruct", "flipped")
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the packages that draw are not installed: much quicker."""
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)


def rows(results: list[Result], name: str) -> dict[str, tuple[str, ...]]:
    [found] = [one for one in table.tables(by_condition(results)) if one.name == name]
    assert {len(row) for row in found.rows} == {len(found.columns)}
    return {row[0]: row[1:] for row in found.rows}


def known(condition: str, seed: int, user: str, world: str) -> Result:
    """A result with these marks for CRR, and accuracy less the first of them."""
    task, whole = (Score(0, 0, 0, each, "0" + each[1:], "1" * len(each)) for each in (user, world))
    calls = {"strong": 1000 + seed, "other": 5, "start": 20, "judge": 1, "judge-noisy": 6}
    return Result(condition, seed, 60, task, whole, (30, 20, 10), calls, 2500, 1500)


def test_the_main_table_says_what_was_measured() -> None:
    results = [
        known("start", 0, "1000", "1100"), known("start", 1, "1000", "1110"),
        known("codeclm", 0, "1110", "1100"), known("codeclm", 1, "1110", "1000"),
    ]  # fmt: skip
    [found] = [one for one in table.tables(by_condition(results)) if one.name == "main"]
    assert found.columns[-5:] == ("calls strong", "calls target", "calls judge", "calls other", "tokens, k")
    cells = rows(results, "main")
    assert list(cells) == ["start", "codeclm"]
    pairs, crr, accuracy, world, _, still, *spent = cells["codeclm"]
    assert (pairs, crr, accuracy) == ("60", "75.0 (75.0 to 75.0)", "50.0 (50.0 to 50.0)")
    assert world == "37.5 (0.0 to 100.0)"
    assert still == "50.0 (0.0 to 100.0)"  # the one it had right at seed 0, and none of the two at seed 1
    assert spent == ["1,000", "20", "7", "5", "4"]
    assert cells["start"][5] == "–"


def test_the_other_tables() -> None:
    results = made_up.results()
    assert list(rows(results, "ablation")) == ["self-instruct", "metadata-only", "metadata+rubrics", "codeclm"]
    assert list(rows(results, "share")) == ["0.2", "0.4", "0.6", "0.8", "1"]
    assert list(rows(results, "threshold")) == ["0", "1", "3", "5", "7"]
    assert list(rows(results, "sizes"))[3:5] == ["codeclm@240", "wizardlm+@30"]
    assert rows(results, "kept")["codeclm"] == ("45.0", "26.7", "16.7", "11.7")
    assert list(rows(results, "iterations")) == ["2", "3", "4"]
    assert rows(results, "share")["1"] == rows(results, "main")["codeclm"]
    assert rows(results, "steps")["start"][0] > rows(results, "steps")["start"][3]


def test_a_condition_with_fewer_seeds_says_so() -> None:
    results = [*made_up.results(range(3), ["codeclm"]), *made_up.results([1], ["random"])]
    assert list(rows(results, "main")) == ["codeclm", "random (1 seed)"]
    assert "With fewer seeds than the rest: random (1)." in notes(by_condition(results))


def test_one_seed_is_said_to_be_one() -> None:
    [first, *_] = notes(by_condition(made_up.results([4])))
    assert first.startswith("One seed (4): every interval is over the items")
    assert notes(by_condition(made_up.results())) == [
        "5 seeds (0, 1, 2, 3, 4): intervals are Student's, over the seeds."
    ]


def test_markdown_is_a_table_whatever_is_in_it() -> None:
    results = [replace(made_up.result("codeclm", 0), calls={"a|b\n<i>": 3})]
    text = table.markdown(table.tables(by_condition(results)), ["a *note*"], {"made <on>": "x\ny"})
    assert "a \\*note\\*" in text
    assert "- made \\<on>: x y" in text
    lines = [line for line in text.splitlines() if line.startswith("| condition") or line.startswith("| codeclm")]
    assert "calls a\\|b \\<i>" in lines[0]
    assert len({line.replace("\\|", "").count("|") for line in lines[:2]}) == 1


def test_the_files_are_the_same_for_the_same_results_in_whichever_order(tmp_path: Path, no_charts: None) -> None:
    results = made_up.results(range(2))
    report.write(tmp_path / "one", results, ABOUT)
    shuffled = random.Random(0).sample(results, len(results))
    report.write(tmp_path / "other", shuffled, ABOUT)
    names = {"table.md", "page.html", "results.json"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name
    held = json.loads((tmp_path / "one" / "results.json").read_text())
    assert len(held["results"]) == len(results)
    assert [claim["worse"] for claim in held["claims"]][4:9] == [
        "metadata+rubrics",
        "metadata-only",
        "flipped",
        "no-metadata",
        "shuffled",
    ]
    parsed = Parsed((tmp_path / "one" / "page.html").read_text())
    assert parsed.links() == {"#content"}
    for told in ("Capacity recovered by method", "codeclm > flipped", "two cores", "Figure 4", "Where it was gained"):
        assert told in parsed.text, told


def test_what_is_missing_is_left_out_and_said(no_charts: None) -> None:
    text = Parsed(page.page(by_condition(made_up.results([0], QUICK)), ABOUT)).text
    for gone in ("Figure 4", "Figure 5", "recovered by threshold", "A noisy judge"):
        assert gone not in text, gone
    assert "Not measured, and left out below: metadata-only, alpagasus" in text
    assert "codeclm by share of the metadata, codeclm by threshold, metadata+rubrics by iterations." in text
    assert "can't be told without them: metadata+rubrics > metadata-only" in text
    assert "Is what is broken worse?" in text
    assert "The dot" not in text


@pytest.mark.parametrize("conditions", [(), ("start",), ("codeclm",), ("flipped",), ("random", "shuffled")])
def test_there_is_a_page_of_whatever_there_is(tmp_path: Path, conditions: tuple[str, ...], no_charts: None) -> None:
    report.write(tmp_path, made_up.results(range(2), conditions), {})
    told = Parsed((tmp_path / "page.html").read_text()).text
    assert ("How it comes about" in told) == (len(conditions) > 1 or "codeclm" in conditions)
    assert "One thing changed" not in told
    assert (tmp_path / "table.md").read_text().startswith("# The test tube\n")


def test_hostile_texts_are_text(no_charts: None) -> None:
    results = made_up.results(range(2), QUICK)
    results += [replace(results[0], condition=f"codeclm:{text}", calls={text: 1}) for text in HOSTILE]
    parsed = Parsed(page.page(by_condition(results), {text: text for text in HOSTILE}))
    assert parsed.links() == {"#content"}
    for text in HOSTILE:
        assert visible(text) in parsed.text, text


def test_names_keep_off_each_other_where_there_is_room() -> None:
    points = {"one": (50.0, 50.0), "another": (58.0, 52.0), "last": (395.0, 100.0)}
    found = placed(points, 400, 200)
    assert found["last"][0] + 4 * 6.9 <= 400
    (x, y), (other, below) = found["one"], found["another"]
    assert abs(y - below) >= 14 or x + 3 * 6.9 <= other or other + 7 * 6.9 <= x


@pytest.mark.slow
def test_a_picture_is_the_same_each_time() -> None:
    found = by_condition(made_up.results())
    text = page.page(found, ABOUT)
    assert text.count("<svg") == 13
    assert page.page(found, ABOUT) == text
    parsed = Parsed(text)
    assert parsed.links() == {"#content"}
    assert "script" not in parsed.tags
    for drawn in ("codeclm > flipped", "metadata+rubrics", "+6.2", "72.2 %", "the claim holds:"):
        assert drawn in parsed.text, drawn


@pytest.mark.slow
async def test_the_page_fits_its_screens(page: Page, phone: Page, accessible: Accessible, tmp_path: Path) -> None:
    report.write(tmp_path, made_up.results(), ABOUT)
    address = (tmp_path / "page.html").as_uri()
    for screen in (page, phone):
        await screen.goto(address)
        assert await screen.evaluate(FITS)
        await accessible(screen)
    assert await page.locator("svg.chart").count() == 13
    await page.emulate_media(color_scheme="dark")
    await accessible(page)
