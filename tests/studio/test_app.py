"""The studio's application: its own files, pages for what goes wrong, and what studio.js makes of attributes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from tests.browser import Accessible, Serve
from tests.running import codeclm
from tests.studio.served import made_run, studio

from codeclm import live_state, run_directory, worker
from codeclm.errors import RunDirectoryError
from codeclm.studio import runs as runs_module
from codeclm.studio.app import make_app
from codeclm.studio.charts import Charts
from codeclm.studio.folders import Run, RunsFolder
from codeclm.studio.handling import refuse

if TYPE_CHECKING:
    from playwright.async_api import Page

TOLD: dict[str, Any] = {
    "phase": "generate", "done": 24, "total": 150, "of_what": "kept", "calls_made": 918, "counts": {"kept": 24},
    "failures_by_cause": {"truncated": 2}, "usd": 1.0, "notes": {"spent": "$1.00 of $20"}, "elapsed_seconds": 3,
}  # fmt: skip


async def test_what_goes_wrong_is_a_page_and_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(tmp_path / "one")

    def wrong(folder: object) -> None:
        raise ZeroDivisionError("the inside of it")

    def known(folder: object) -> None:
        raise RunDirectoryError("<b>runs/one</b>: mend it.")

    async with studio(tmp_path) as browser:
        missing = await browser.get("/nowhere")
        assert (missing.status, "Nothing here" in missing.text, "<html" in missing.text) == (404, True, True)
        monkeypatch.setattr(runs_module, "all_summaries", wrong)
        for headers in ({}, {"Studio-Partial": "true"}):
            answer = await browser.get("/", headers)
            assert answer.status == 500
            assert "Something went wrong" in answer.text
            assert "inside" not in answer.text
            assert ("<html" in answer.text) == (not headers)
        monkeypatch.setattr(runs_module, "all_summaries", known)
        told = await browser.get("/")
        assert told.status == 409
        assert "&lt;b&gt;runs/one&lt;/b&gt;: mend it." in told.text


async def test_a_handler_can_refuse_with_a_reason() -> None:
    with pytest.raises(web.HTTPBadRequest) as raised:
        refuse("because")
    assert raised.value.text == "because"


async def test_what_was_done_is_told_once(tmp_path: Path) -> None:
    made_run(tmp_path / "one")
    async with studio(tmp_path) as browser, studio(tmp_path) as other:
        await browser.post("/runs/one/pause", csrf=await browser.csrf())
        assert "Nobody is at work" not in (await other.get("/runs/one")).text
        assert "Nobody is at work" not in (await browser.get("/runs/one/live", {"Studio-Partial": "true"})).text
        assert "Nobody is at work" in (await browser.get("/runs/one")).text
        assert "Nobody is at work" not in (await browser.get("/runs/one")).text


async def test_our_own_files_are_served_with_their_kinds(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        for name, kind in (("studio.js", "text/javascript"), ("studio.css", "text/css"), ("page.css", "text/css")):
            answer = await browser.get(f"/static/{name}")
            assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert (await browser.get("/favicon.ico")).status == 204


def test_two_features_do_not_answer_the_same(tmp_path: Path) -> None:
    routes = [(route.method, str(route.resource)) for route in make_app(tmp_path).router.routes()]
    assert len(routes) == len(set(routes))


class AtWork:
    """A run that this process holds, as one at work that heeds signals, without ever being sent one."""

    def __init__(self, folder: Path) -> None:
        self.folder = made_run(folder, state="running")
        self.tell()

    def tell(self, **changes: Any) -> None:
        run_directory.write(self.folder / live_state.NAME, json.dumps(TOLD | changes).encode())


async def test_the_pages_are_accessible_and_fit_every_screen(
    tmp_path: Path, page: Page, phone: Page, serve: Serve, accessible: Accessible
) -> None:
    early = {"instructions": 9, "kept": 0, "discarded": 9}  # nothing of which charts are drawn
    made_run(tmp_path / "alone", state="stopped", error="Budget reached: " + "x" * 300, usd=None, counts=early)
    models = {"strong": {"model": "m" * 120}, "target": {}}
    made_run(tmp_path / "compared" / ("long-name-" * 12), models=models, counts=early)
    (made_run(tmp_path / "broken") / "manifest.json").write_text("{")
    made_run(tmp_path / "none", counts={}, kept_by_iteration={}, calls=[], models={})
    run = AtWork(tmp_path / "busy")
    keys = [found.key for found in RunsFolder(tmp_path).find()]
    url = await serve(make_app(tmp_path))
    before = worker.heeds_signals.set(True)
    with run_directory.alone(run.folder):
        for visited, scheme in ((page, "light"), (phone, "dark")):
            await visited.emulate_media(color_scheme="light" if scheme == "light" else "dark")
            for path in ("/", *(f"/runs/{key}" for key in keys)):
                await visited.goto(url + path)
                assert await visited.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
                if path in ("/", "/runs/busy", "/runs/alone"):
                    await accessible(visited)
    worker.heeds_signals.reset(before)


async def test_a_part_is_shown_anew_and_focus_stays(tmp_path: Path, page: Page, serve: Serve) -> None:
    run = AtWork(tmp_path / "busy")
    before = worker.heeds_signals.set(True)
    with run_directory.alone(run.folder):
        await page.goto(f"{await serve(make_app(tmp_path))}/runs/busy")
        await page.focus("#pause")
        run.tell(done=25, failures_by_cause={"truncated": 2, "rate": 7})
        await page.get_by_text("25 of 150 kept").wait_for()
        await page.get_by_text("7 rate").wait_for()
        assert await page.evaluate("document.activeElement.id") == "pause"
        run.tell(stopping=True)
        await page.get_by_text("Stopping: calls in flight end first").wait_for()
        assert await page.locator("#pause").count() == 0
    worker.heeds_signals.reset(before)
    made_run(run.folder, state="complete", counts={"instructions": 20, "kept": 0, "discarded": 20})
    await page.get_by_text("0 % kept").wait_for()  # loaded anew by itself


async def test_a_list_is_filtered_as_one_types(tmp_path: Path, page: Page, serve: Serve) -> None:
    for name in ("red", "green", "blue"):
        made_run(tmp_path / name)
    await page.goto(await serve(make_app(tmp_path)))
    await page.fill("#q", "gre")
    await page.get_by_text("1 of 3 runs").wait_for()
    assert page.url.endswith("/?q=gre")
    assert await page.evaluate("document.activeElement.id") == "q"
    await page.select_option("#state", "failed")
    await page.get_by_text("No run is like that").wait_for()
    await page.reload()
    assert await page.input_value("#q") == "gre"
    assert await page.input_value("#state") == "failed"


async def test_where_charts_can_not_be_drawn_that_is_said_and_the_tables_stay(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str]
) -> None:
    run = made_run(tmp_path / "one")
    (run / "examples.jsonl").write_text("no row\n")
    await page.goto(f"{await serve(make_app(tmp_path))}/runs/one")
    await page.get_by_text("The charts can't be drawn").wait_for()
    assert await page.get_by_text("examples.jsonl:1").is_visible()
    assert await page.get_by_text("Kept by iteration").first.is_visible()
    assert [fault for fault in faults if "500" in fault] == faults
    faults.clear()


@pytest.mark.slow
async def test_charts_take_the_place_of_tables(
    tmp_path: Path, page: Page, phone: Page, serve: Serve, accessible: Accessible
) -> None:
    """Of a real run; they are drawn once, and anew when its files have changed."""
    assert codeclm("demo", "--run-dir", tmp_path / "demo", "--size", "20").status == 0
    url = await serve(make_app(tmp_path))
    for visited in (page, phone):
        await visited.goto(f"{url}/runs/demo")
        await visited.locator("#charts svg").first.wait_for()
        assert await visited.locator("#charts svg").count() > 6
        assert await visited.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await accessible(visited)
    folder = Run("demo", "demo", tmp_path / "demo")
    charts = Charts()
    drawn = await charts.of(folder)
    began = time.perf_counter()
    assert await charts.of(folder) == drawn
    assert time.perf_counter() - began < 0.5  # from what was kept: drawing takes longer by far
    (folder.folder / "discarded.jsonl").write_bytes(b"")
    assert await charts.of(folder) != drawn


async def test_a_studio_that_is_gone_is_told_and_found_again(tmp_path: Path, page: Page, faults: list[str]) -> None:
    run = AtWork(tmp_path / "busy")
    runner, port = await _served(tmp_path, 0)
    with run_directory.alone(run.folder):
        await page.goto(f"http://127.0.0.1:{port}/runs/busy")
        await page.get_by_text("24 of 150 kept").wait_for()
        await runner.cleanup()
        await page.get_by_text("The studio does not answer").wait_for()
        assert await page.get_by_text("24 of 150 kept").is_visible()
        run.tell(done=30)
        runner, _ = await _served(tmp_path, port)
        await page.get_by_text("30 of 150 kept").wait_for()
        assert await page.get_by_text("The studio does not answer").count() == 0
    await page.goto("about:blank")
    await runner.cleanup()
    assert faults
    assert [fault for fault in faults if "CONNECTION_REFUSED" in fault or "request failed" in fault] == faults
    faults.clear()


async def _served(folder: Path, port: int) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(make_app(folder), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    return runner, int(runner.addresses[0][1])
