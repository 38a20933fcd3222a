"""The browser tests are made with finds what it is there to find: a test that should fail for its page does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from tests.browser import WIDE, Accessible, Serve, faultless

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'"
GOOD = '<!doctype html><html lang="en"><title>Good</title><main><h1>Good</h1><p>Text</p></main></html>'


def application(body: str = GOOD, script: str = "", policy: str = POLICY) -> web.Application:
    """A page, and a script of its own, under a content security policy."""

    async def answer_page(request: web.Request) -> web.Response:
        return web.Response(text=body, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def answer_script(request: web.Request) -> web.Response:
        return web.Response(text=script, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", answer_page)
    app.router.add_get("/page.js", answer_script)
    app.router.add_get("/favicon.ico", answer_page)
    return app


async def test_a_good_page_is_faultless_and_accessible(
    page: Page, phone: Page, serve: Serve, faults: list[str], accessible: Accessible
) -> None:
    script = "document.title = 'Run'; console.log('fine')"
    url = await serve(application(GOOD.replace("<main>", "<script src=page.js></script><main>"), script))
    for visited, width in ((page, 1280), (phone, 390)):
        await visited.goto(url)
        assert await visited.title() == "Run"
        assert await visited.evaluate("screen.width") == width
        await accessible(visited)
    assert faults == []


@pytest.mark.parametrize(
    ("body", "script", "fault"),
    [
        ("<script src=page.js></script>", "console.error('broken')", "error on the console: broken"),
        ("<script src=page.js></script>", "setTimeout(() => { throw Error('lost') })", "uncaught: lost"),
        ("<script src=page.js></script>", "try { eval('1') } catch (error) {}", "Content Security Policy"),
        ("<script src=page.js></script>", "fetch('//127.0.0.1:1/').catch(() => {})", "Content Security Policy"),
        ("<script>1</script>", "", "Content Security Policy"),
        ("<p style='color: red'>Text</p>", "", "Content Security Policy"),
        ("<img src='x.png' onerror='alert(1)'>", "", "Content Security Policy"),
        ("<img src='http://example.org/x.png'>", "", "Content Security Policy"),
        ("<img src='missing.png'>", "", "404"),
    ],
)
async def test_a_fault_fails_the_test(chromium: Browser, serve: Serve, body: str, script: str, fault: str) -> None:
    url = await serve(application(body, script))
    with pytest.raises(AssertionError, match=fault):
        async with faultless(chromium, [], **WIDE) as page:
            await page.goto(url)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<img src='http://example.org/x.png'>", "request to another host: http://example.org/x.png"),
        ("<img src='//192.0.2.1/x.png'>", "request to another host: http://192.0.2.1/x.png"),
        ("<script>new WebSocket('ws://example.org/')</script>", "socket to another host: ws://example.org/"),
        ("<img src='http://127.0.0.1:1/x.png'>", "request failed: http://127.0.0.1:1/x.png"),
        ("<img src='file:///x.png'>", "error on the console: Not allowed to load local resource"),
    ],
)
async def test_no_other_host_is_reached(chromium: Browser, serve: Serve, body: str, fault: str) -> None:
    url = await serve(application(body, policy="default-src * 'unsafe-inline'"))
    with pytest.raises(AssertionError, match=fault):
        async with faultless(chromium, [], **WIDE) as page:
            await page.goto(url)


async def test_a_fault_that_is_meant_is_taken(page: Page, serve: Serve, faults: list[str]) -> None:
    url = await serve(application())
    await page.goto(f"{url}/missing")
    assert "404" in faults.pop()


async def test_a_page_that_is_left_may_give_up_its_requests(page: Page, serve: Serve) -> None:
    async def forever(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        await stream.write(b"data: 1\n\n")
        await asyncio.Event().wait()
        return stream

    app = application(
        "<script src=page.js></script>", "new EventSource('/events').onmessage = () => document.title = 1"
    )
    app.router.add_get("/events", forever)
    url = await serve(app)
    await page.goto(url)
    await page.wait_for_function("document.title === '1'")
    await page.goto(f"{url}/page.js")


async def test_a_file_is_opened(page: Page, tmp_path: Path, accessible: Accessible) -> None:
    (tmp_path / "page.html").write_text(GOOD)
    await page.goto((tmp_path / "page.html").as_uri())
    assert await page.inner_text("h1") == "Good"
    await accessible(page)


async def test_what_axe_finds_is_named(page: Page, serve: Serve, accessible: Accessible) -> None:
    bad = "<main><h1>Bad</h1><input id=search><p style='color: #ccc; background: #fff'>Pale</p></main>"
    url = await serve(application(GOOD.replace("<main>", bad), policy="style-src 'unsafe-inline'"))
    await page.goto(url)
    with pytest.raises(AssertionError) as found:
        await accessible(page)
    critical, serious = sorted(str(found.value).splitlines())
    assert critical.startswith("critical: label at #search: Form elements must have labels")
    assert serious.startswith("serious: color-contrast at main > p")
