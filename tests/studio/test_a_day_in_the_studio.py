"""The studio and the report as people use them: the real command, a real run, a real browser.

`conftest` fails each of these tests for an error on the console, a request to another host, or a refusal by the content
security policy (tests/browser.py).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
from tests.browser import Accessible
from tests.running import CODECLM, codeclm, rows

from codeclm.reporting import ending

if TYPE_CHECKING:
    from playwright.async_api import Page

WITH_REPORTS = {ending.SWITCH: "on"}
EDITED = "Answer that a person wrote."


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run of the demo in it."""
    folder = tmp_path_factory.mktemp("day") / "runs"
    assert codeclm("demo", "--run-dir", folder / "demo", "--size", "40", env=WITH_REPORTS).status == 0
    return folder


@pytest.fixture
def studio(runs: Path) -> Iterator[str]:
    """Where `codeclm studio` serves them."""
    command = [*CODECLM, "studio", str(runs), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | WITH_REPORTS)
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert found
    yield found[0]
    process.terminate()
    process.stdout.close()
    assert process.wait() == 0


def exported(run: Path) -> dict[str, Any]:
    """What `codeclm export` writes now: rows of examples by id."""
    out = run.parent / "out.parquet"
    assert codeclm("export", run, "--format", "parquet", "--out", out).status == 0
    return {row["id"]: row for row in pyarrow.parquet.read_table(out).to_pylist()}


async def test_examples_are_found_looked_into_edited_dropped_and_exported(
    studio: str, runs: Path, page: Page, accessible: Accessible
) -> None:
    run = runs / "demo"
    examples = rows(run / "examples.jsonl")
    before = (run / "examples.jsonl").read_bytes()
    await page.goto(studio)
    await page.get_by_role("link", name="demo").click()
    await accessible(page)
    await page.get_by_role("link", name="Outcomes").click()
    await page.get_by_label("Status").wait_for()  # the index is there
    await accessible(page)

    await page.get_by_label("Status").select_option("kept")
    await page.get_by_text(f"{len(examples)} of ").wait_for()
    wanted = max(examples, key=lambda row: (row["iteration"], row["id"]))
    words = " ".join(wanted["messages"][0]["content"].split()[-6:])
    await page.get_by_label("Search").fill(f'"{words}"')
    await page.wait_for_url(re.compile("q="))
    await page.locator("#list").get_by_text(re.compile(r"^1 of ")).wait_for()
    await page.locator("table.outcomes a").click()

    await page.get_by_role("heading", name=f"Example {wanted['id']}").wait_for()
    assert await page.locator("ol.way > li").count() == len(wanted["history"])
    assert await page.locator("ins.change").count() >= len(wanted["history"]) - 1
    await page.get_by_text("Every call that led here").click()
    await page.get_by_text("judge", exact=False).last.wait_for()
    await accessible(page)

    await page.get_by_text("Edit the instruction or the answer").click()
    await page.locator("#edit-answer").fill(EDITED)
    await page.get_by_role("button", name="Save the edit").click()
    await page.get_by_text("edited by a person").wait_for()
    await accessible(page)
    written = exported(run)
    assert written[wanted["id"]]["messages"][1]["content"] == EDITED
    assert len(written) == len(examples)

    dropped = next(row["id"] for row in examples if row["id"] != wanted["id"])
    await page.goto(f"{studio}/runs/demo/outcomes/{dropped}")
    await page.get_by_text("Drop the example").click()
    await page.get_by_role("button", name="Drop it").click()
    await page.get_by_text("dropped by a person").wait_for()
    assert exported(run).keys() == {row["id"] for row in examples} - {dropped}
    assert (run / "examples.jsonl").read_bytes() == before, "what the models said was overwritten"


async def test_the_threshold_tells_at_once_what_would_be_kept(
    studio: str, runs: Path, page: Page, accessible: Accessible
) -> None:
    await page.goto(f"{studio}/runs/demo/threshold")
    slider = page.get_by_role("slider")
    await slider.wait_for()
    await accessible(page)
    for threshold in ("6", "0.25"):
        await slider.fill(threshold)
        tile = page.locator(".tiles > div", has_text=f"pass at {threshold}").first
        await tile.wait_for()
        told = int((await tile.locator(".number").inner_text()).replace(",", ""))
        assert told == passing(runs / "demo", float(threshold))


def passing(run: Path, threshold: float) -> int:
    """How many outcomes have an iteration whose gap is wider, counted by hand."""
    outcomes = rows(run / "examples.jsonl") + rows(run / "discarded.jsonl")
    return sum(any(_passes(one, threshold) for one in row["history"]) for row in outcomes)


def _passes(iteration: dict[str, Any], threshold: float) -> bool:
    better = "strong" if iteration["gap"] > 0 else "target"
    return abs(iteration["gap"]) > threshold and not iteration[f"{better}_truncated"]


async def test_ten_comparisons_by_keyboard_are_read_by_evaluate(
    studio: str, runs: Path, page: Page, accessible: Accessible
) -> None:
    await page.goto(f"{studio}/runs/demo/compare")
    await page.get_by_label("Items").fill("10")
    await page.get_by_role("button", name="Draw a set and begin").click()
    await page.get_by_label("Your name").fill("ada")
    start = page.url
    await accessible(page)
    await page.keyboard.press("Enter")
    for number, key in enumerate("1202a0bt12", start=1):
        await page.get_by_role("heading", name=f"Item {number} of 10").wait_for()
        if number == 1:
            await accessible(page)
        if number == 6:  # gone and come back: it goes on where it was
            await page.goto(studio)
            await page.goto(start)
            await page.get_by_role("link", name="ada").first.click()
            await page.get_by_role("heading", name="Item 6 of 10").wait_for()
        content = await page.content()
        assert not re.search(r"\b(strong|target)\b", content), "the page tells whose answers they are"
        await page.keyboard.press(key)
    await page.get_by_role("heading", name="Results").wait_for()
    await accessible(page)
    told = as_evaluate_reads(runs)
    assert (told["ratings"], told["raters"], told["refused"]) == (10, 1, [])
    assert (told["wins"] + told["losses"], told["ties"]) == (7, 3)


def as_evaluate_reads(runs: Path) -> dict[str, Any]:
    """What `codeclm evaluate --human` makes of the one file of ratings."""
    (ratings,) = runs.rglob("*.ada.jsonl")
    told: dict[str, Any] = json.loads(codeclm("evaluate", "--human", ratings, "--json").out)
    return told


async def test_a_run_is_started_and_watched_to_its_end(
    studio: str, runs: Path, page: Page, accessible: Accessible
) -> None:
    await page.goto(f"{studio}/new")
    await page.get_by_label("Name", exact=True).fill("../out")
    await page.locator("#wrong-name").wait_for(state="visible")
    await page.get_by_label("Name", exact=True).fill("mine")
    await page.locator("#wrong-name").wait_for(state="hidden")
    await page.get_by_label("One instruction per line").fill("Write a limerick.\nWrite a haiku about rain.")
    await page.get_by_label("Examples").fill("12")
    await accessible(page)
    await page.get_by_role("button", name="Plan the run").click()
    await page.get_by_role("button", name="Start the run").click()
    await page.locator(".badge.complete").wait_for(timeout=60_000)
    await accessible(page)
    assert len(rows(runs / "mine" / "examples.jsonl")) == 12
    report = page.get_by_role("link", name="Report")
    while not await report.count():  # it is written when all else is
        await page.reload()
    await report.click()
    await page.get_by_role("heading", level=1, name="mine").wait_for()
    await page.goto(studio)  # a page that may run no script never comes to rest


@pytest.mark.parametrize("path", ["", "/runs/demo", "/runs/demo/outcomes", "/runs/demo/threshold", "/new", "/compare"])
async def test_pages_have_room_on_a_phone(studio: str, phone: Page, path: str, accessible: Accessible) -> None:
    await phone.goto(studio + path)
    await phone.wait_for_load_state("networkidle")
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
    await accessible(phone)


async def test_the_report_opens_from_its_file_alone(
    runs: Path, page: Page, phone: Page, accessible: Accessible
) -> None:
    report = runs / "demo" / "report.html"
    assert report.stat().st_size < 3_000_000
    for visited in (page, phone):
        await visited.goto(report.as_uri())
        await visited.get_by_role("heading", level=1).wait_for()
        assert await visited.locator("script").count() == 0
        assert await visited.locator("svg.chart").count() >= 6
        await accessible(visited)
    assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
