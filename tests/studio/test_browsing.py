"""The browser of outcomes and the threshold's page: by real requests, and in a browser."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.browser import Accessible, Serve
from tests.studio.indexed_runs import indexed, iteration, outcome, write_outcomes
from tests.studio.served import Answer, Browser, studio

from codeclm import edits, run_directory
from codeclm.edits import Edit
from codeclm.records import Metadata, Outcome
from codeclm.reselect import export_run
from codeclm.studio.app import make_app
from codeclm.studio.index_keeping import NAME

if TYPE_CHECKING:
    from playwright.async_api import Page

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\u202e\x07\"' autofocus onfocus='alert(3)"


def outcomes(count: int = 120) -> list[Outcome]:
    """In turns: two kept, a discarded, a duplicate and a failed one."""
    made = []
    for number in range(count):
        status = ("kept", "kept", "discarded", "duplicate", "failed")[number % 5]
        gap = 2.0 if status == "discarded" else 3.5 + number % 3
        times = [
            iteration(0.5, f"Basic task {number}.", reason="gap within the threshold"),
            iteration(gap, f"Task {number}."),
        ]
        case = Metadata(("letters", "tables")[number % 2], ("tone",))
        made.append(outcome(f"{number:06d}.0", status, times, case))  # type: ignore[arg-type]
    return made


async def ready(browser: Browser, path: str = "/runs/one/outcomes") -> Answer:
    """The page once there is an index."""
    for _ in range(600):
        if "are indexed" in (await browser.get("/runs/one/indexing")).text:
            break
        await asyncio.sleep(0.05)
    answer = await browser.get(path)
    assert answer.status == 200, answer
    return answer


def ids(answer: Answer) -> list[str]:
    return re.findall(r'<small class="quiet"><bdi>([^<]+)</bdi>', answer.text)


async def test_the_first_outcomes_are_there_before_the_index(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "one", outcomes())
    async with studio(tmp_path) as browser:
        first = await browser.get("/runs/one/outcomes")
        assert "are being indexed" in first.text
        assert ids(first) == [f"{number:06d}.0" for number in range(50)]
        waiting = await browser.get("/runs/one/outcomes?status=failed")
        assert ids(waiting) == ([] if "are being indexed" in waiting.text else ids(waiting))
        assert "waits for the index" in waiting.text or ids(waiting)
        answer = await ready(browser)
        assert "<strong>120</strong>" in answer.text
        assert "page 1 of 3" in answer.text
        assert (tmp_path / "one" / NAME).exists()


async def test_filters_pages_and_orders(tmp_path: Path) -> None:
    indexed(write_outcomes(tmp_path / "one", outcomes())).close()
    async with studio(tmp_path) as browser:
        failed = await ready(browser, "/runs/one/outcomes?status=failed&use_case=tables")
        assert ids(failed) == [f"{number:06d}.0" for number in range(9, 120, 10)]
        assert "filter: timeout (12)" in failed.text
        assert "letters (12)" in failed.text  # what another choice would leave
        third = await ready(browser, "/runs/one/outcomes?page=3")
        assert ids(third) == [f"{number:06d}.0" for number in range(100, 120)]
        beyond = await ready(browser, "/runs/one/outcomes?page=99")
        assert ids(beyond) == ids(third)
        widest = await ready(browser, "/runs/one/outcomes?sort=gap&q=task&min_gap=3.5&max_gap=4.5")
        assert ids(widest)
        assert {int(id[:6]) % 3 for id in ids(widest)} == {1}
        odd = await ready(browser, "/runs/one/outcomes?status=x&min_gap=wide&page=-1&sort=zz")
        assert set(re.findall(r"sense for it: ([^.]+)", odd.text)[0].split(", ")) == {
            "status",
            "page",
            "min_gap",
            "sort",
        }
        assert "<strong>120</strong>" in odd.text
        none = await ready(browser, "/runs/one/outcomes?q=nowhere")
        assert "No outcome is like that" in none.text


async def test_the_list_is_left_as_a_part_of_the_page_for_the_live_form(tmp_path: Path) -> None:
    indexed(write_outcomes(tmp_path / "one", outcomes(5))).close()
    async with studio(tmp_path) as browser:
        part = await browser.get("/runs/one/outcomes?q=task", {"Studio-Partial": "true"})
        assert "<html" not in part.text
        assert len(ids(part)) == 5


async def test_what_was_found_as_a_file(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path / "one", outcomes(400))
    indexed(run).close()
    async with studio(tmp_path) as browser:
        rows = await browser.get("/runs/one/outcomes.jsonl?status=kept&what=rows")
        assert rows.headers["Content-Disposition"] == 'attachment; filename="one.rows.jsonl"'
        assert rows.text.encode() == (run / run_directory.EXAMPLES).read_bytes()
        names = await browser.get("/runs/one/outcomes.jsonl?status=failed&what=ids&sort=shortest")
        assert [json.loads(line) for line in names.text.splitlines()] == [
            {"id": f"{number:06d}.0"} for number in range(4, 400, 5)
        ]


async def test_nothing_of_an_outcome_is_markup(tmp_path: Path) -> None:
    hostile = [
        outcome(HOSTILE, "kept", [iteration(5, HOSTILE)], Metadata(HOSTILE, (HOSTILE,))),
        outcome("a/../b?x=1&y#z", "discarded", [iteration(1, HOSTILE)]),
    ]
    run = write_outcomes(tmp_path / "one", hostile)
    with (run / run_directory.FAILURES).open("ab") as file:
        file.write(b'"' + b"<script>" + b"\n")
    indexed(run).close()
    async with studio(tmp_path) as browser:
        for path in (
            "/runs/one/outcomes",
            f"/runs/one/outcomes?q={quote(HOSTILE)}&use_case={quote(HOSTILE)}&skill={quote(HOSTILE)}&sort={quote(HOSTILE)}",
            f"/runs/one/threshold?threshold={quote(HOSTILE)}",
        ):
            answer = await ready(browser, path)
            assert "<script>alert" not in answer.text
            assert "<img" not in answer.text
            seen = re.sub('value="[^"]*"', "", answer.text)  # a choice has to come back as it is
            assert not {"\u202e", "\x07"} & set(seen)
        page = (await ready(browser)).text
        assert "&lt;script&gt;alert(1)" in page
        assert "{{ 7 * 7 }}" in page
        assert '/outcomes/a%2F..%2Fb%3Fx%3D1%26y%23z"' in page


async def test_a_run_made_anew_is_indexed_anew(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path / "one", outcomes(5))
    async with studio(tmp_path) as browser:
        assert "<strong>5</strong>" in (await ready(browser)).text
        write_outcomes(run, outcomes(10))
        assert "are being indexed" in (await browser.get("/runs/one/outcomes?q=task")).text
        assert "<strong>10</strong>" in (await ready(browser)).text


async def test_a_broken_index_is_built_anew(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path / "one", outcomes(5))
    indexed(run).close()
    content = bytearray((run / NAME).read_bytes())
    at = content.index(b"CREATE TABLE outcomes")
    for place in range(8192, len(content), 512):  # whatever is there but the first pages
        if not at - 4096 < place < at + 4096:
            content[place : place + 8] = b"\xff" * 8
    (run / NAME).write_bytes(content)
    async with studio(tmp_path) as browser:
        answer = await browser.get("/runs/one/outcomes?q=task")
        assert answer.status in (200, 409)
        assert len(ids(await ready(browser, "/runs/one/outcomes?q=task"))) == 5


async def test_a_run_that_may_only_be_read_is_indexed_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_outcomes(tmp_path / "one", outcomes(5))
    monkeypatch.setattr("codeclm.studio.index_keeping.os.access", lambda path, mode: False)  # a test may run as root
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    async with studio(tmp_path) as browser:
        assert len(ids(await ready(browser))) == 5
        assert not (run / NAME).exists()
        assert len(list((tmp_path / "temporary").rglob("*.sqlite"))) == 1
    assert not list((tmp_path / "temporary").iterdir())


async def test_what_can_not_be_indexed_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_outcomes(tmp_path / "one", outcomes(5))
    (run / NAME).mkdir()
    async with studio(tmp_path) as browser:
        for _ in range(600):
            text = (await browser.get("/runs/one/outcomes")).text
            if "could not be built" in text:
                break
            await asyncio.sleep(0.05)
        assert "Make room there" in text
        assert len(ids(await browser.get("/runs/one/outcomes"))) == 5
        (run / NAME).rmdir()
        monkeypatch.setattr("codeclm.studio.index_keeping._AGAIN_AFTER_S", 0.0)
        assert "<strong>5</strong>" in (await ready(browser)).text


async def test_edited_and_dropped_ones_are_marked(tmp_path: Path) -> None:
    made = outcomes(5)
    run = write_outcomes(tmp_path / "one", made)
    indexed(run).close()
    of = edits.digest_of(made[0])
    edits.add_edit(run, Edit(made[0].id, "edit", "By a person: <b>new</b>", None, of, edits.now()))
    async with studio(tmp_path) as browser:
        answer = await ready(browser, "/runs/one/outcomes?edited=edited")
        assert ids(answer) == ["000000.0"]
        assert 'badge edited">edited' in answer.text
        assert "By a person: &lt;b&gt;new" in answer.text


def told(answer: Answer) -> dict[str, int]:
    """The figures of a threshold's page."""
    tiles = re.findall(r"<dt>(.*?)</dt><dd class=\"number\">([\d,.–]+)</dd>", answer.text)
    links = re.findall(r"(Kept anew|No longer kept): (?:<a[^>]*>([\d,]+)|none)", answer.text)
    passes = int(tiles[0][1].replace(",", ""))
    return {"passes": passes} | {name: int(count.replace(",", "") or 0) for name, count in links}


async def test_a_threshold_tells_what_export_would_keep(tmp_path: Path) -> None:
    run = write_outcomes(tmp_path / "one", [one for one in outcomes(200) if one.status != "duplicate"])
    config = (run / run_directory.CONFIG).read_text().replace("size: 10", "size: 1000")
    config = config.replace("threshold: 3.0", "threshold: 3.0\n  near_duplicates: 1.0")
    (run / run_directory.CONFIG).write_text(config)
    (run / run_directory.METADATA).write_text("")
    indexed(run).close()
    async with studio(tmp_path) as browser:
        for threshold in (0.25, 1.75, 3, 3.5, 4, 5.5, 9):
            answer = await ready(browser, f"/runs/one/threshold?threshold={threshold}")
            kept = export_run(run, out=run / "kept.jsonl", threshold=threshold).rows
            figures = told(answer)
            assert figures["passes"] == kept
            assert figures["passes"] == 80 + figures["Kept anew"] - figures["No longer kept"]
            for name in ("Kept anew", "No longer kept"):
                link = re.search(f'{name}: <a href="([^"]+)"', answer.text)
                assert bool(link) == bool(figures[name])
                if link:
                    assert f"<strong>{figures[name]}</strong>" in (await ready(browser, unescape(link[1]))).text
            assert f"codeclm export {run} --threshold {threshold:g}" in answer.text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("threshold: 3.0", "threshold: 3.0\n  selection: random"), "drawn at random"),
        (("threshold: 3.0", "threshold: 3.0\n  filter: my.py:mine"), "may go by more"),
        (None, "has compared none"),
    ],
)
async def test_a_run_that_can_not_be_selected_anew_says_why(
    tmp_path: Path, change: tuple[str, str] | None, why: str
) -> None:
    made = outcomes(5) if change else [outcome("000000.0", "kept", [iteration(None)])]
    run = write_outcomes(tmp_path / "one", made)
    if change:
        (run / run_directory.CONFIG).write_text((run / run_directory.CONFIG).read_text().replace(*change))
    (run / "my.py").write_text("async def mine(): ...")
    indexed(run).close()
    async with studio(tmp_path) as browser:
        answer = await ready(browser, "/runs/one/threshold")
        assert why in unescape(answer.text)
        assert "slider" not in answer.text


async def test_one_searches_filters_and_slides(
    tmp_path: Path, page: Page, serve: Serve, accessible: Accessible
) -> None:
    indexed(write_outcomes(tmp_path / "one", outcomes(200))).close()
    base = await serve(make_app(tmp_path))
    await page.goto(f"{base}/runs/one/outcomes")
    await accessible(page)
    await page.get_by_label("Search").fill("letters 14")
    await page.get_by_text("of 200 outcomes").wait_for()
    assert "q=letters+14" in page.url
    await page.get_by_label("Status").focus()
    await page.get_by_label("Status").select_option("failed")
    await page.locator("#list .count", has_text="of 200").wait_for()
    await page.wait_for_url("**status=failed**")
    assert await page.locator("tbody tr").count() == 1
    assert await page.evaluate("document.activeElement.id") == "status"
    await page.locator("tbody a").first.click()
    await page.wait_for_url("**/outcomes/000014.0?status=failed&q=letters+14")
    await page.goto(f"{base}/runs/one/threshold")
    await accessible(page)
    slider = page.locator("#slider")
    await slider.focus()
    for _ in range(4):
        await page.keyboard.press("ArrowRight")
    await page.get_by_text("pass at 4", exact=True).wait_for()
    assert page.url.endswith("threshold=4")
    assert await page.get_by_label("exactly").input_value() == "4"
    await page.get_by_role("button", name="The run's 3").click()
    await page.locator("#kept dt", has_text=re.compile("^pass at 3$")).wait_for()
    await accessible(page)


async def test_a_narrow_window_shows_cards(tmp_path: Path, phone: Page, serve: Serve, accessible: Accessible) -> None:
    made = [*outcomes(30), outcome("000099.0", "kept", [iteration(5, "x" * 500 + HOSTILE)])]
    indexed(write_outcomes(tmp_path / "one", made)).close()
    base = await serve(make_app(tmp_path))
    for path in ("outcomes", "outcomes?q=xxx&status=kept", "threshold?threshold=5"):
        await phone.goto(f"{base}/runs/one/{path}")
        assert await phone.evaluate("document.documentElement.scrollWidth") <= 390
        await accessible(phone)


async def test_the_list_follows_the_index_by_itself(tmp_path: Path, page: Page, serve: Serve) -> None:
    write_outcomes(tmp_path / "one", outcomes(60))
    base = await serve(make_app(tmp_path))
    await page.goto(f"{base}/runs/one/outcomes?status=failed")
    await page.get_by_text("of 60 outcomes").wait_for()
    assert await page.locator("tbody tr").count() == 12
