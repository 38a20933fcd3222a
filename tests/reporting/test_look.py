"""A report in a browser: nothing goes wrong behind it, nobody is kept out, and it fits the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from tests.dataset.samples import KEPT
from tests.reporting.run_files import spoken, write_run, write_spoken
from tests.reporting.test_report import HOSTILE

from codeclm.reporting.report import write_report

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.slow

Accessible = Callable[["Page"], Awaitable[None]]
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a report with everything on it."""
    folder = write_spoken(tmp_path_factory.mktemp("look") / "run", "letters")
    return write_report(write_run(folder, [*KEPT, *(spoken(f"letters {n}", n) for n in range(40))])).as_uri()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(write_spoken(tmp_path_factory.mktemp("hostile") / "run", *HOSTILE)).as_uri()


async def test_it_is_whole_and_accessible(page: Page, accessible: Accessible, report: str) -> None:
    await page.goto(report)
    assert await page.locator("svg.chart").count() >= 12
    assert await page.evaluate(FITS)
    await accessible(page)
    for link in await page.locator("nav a").all():
        name = await link.get_attribute("href")
        assert await page.locator(name or "none").count() == 1
    await page.get_by_text("The figures").first.click()
    assert await page.get_by_role("cell", name="metadata pool").is_visible()


async def test_it_is_as_good_in_the_dark(page: Page, accessible: Accessible, report: str) -> None:
    await page.emulate_media(color_scheme="dark")
    await page.goto(report)
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await accessible(page)
    await page.emulate_media(media="print", color_scheme="dark")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark


async def test_it_fits_a_telephone(phone: Page, accessible: Accessible, report: str) -> None:
    await phone.goto(report)
    assert await phone.evaluate(FITS)
    await accessible(phone)


async def test_no_chart_is_wider_than_its_place_or_loses_a_label(page: Page, report: str) -> None:
    await page.goto(report)
    outside = """[...document.querySelectorAll("svg.chart")].flatMap((chart) => {
      const box = chart.getBoundingClientRect();
      return [...chart.querySelectorAll("text")].filter((text) => {
        const own = text.getBoundingClientRect();
        return own.left < box.left - 1 || own.right > box.right + 1 || own.top < box.top - 1;
      }).map((text) => text.textContent);
    })"""
    assert await page.evaluate(outside) == []


@pytest.mark.parametrize("size", ["page", "phone"])
async def test_hostile_texts_do_nothing(
    size: str, page: Page, phone: Page, accessible: Accessible, hostile: str
) -> None:
    shown = {"page": page, "phone": phone}[size]
    dialogs: list[str] = []
    shown.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await shown.goto(hostile)
    assert (
        await shown.evaluate("document.querySelectorAll('script, img, iframe, base, form, object, embed').length") == 0
    )
    assert await shown.evaluate(FITS)
    assert not dialogs
    await accessible(shown)
