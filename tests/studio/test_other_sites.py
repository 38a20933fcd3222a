"""Other sites in the same browser, and reports of somebody else's, get nothing of the studio."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web
from tests.browser import Serve
from tests.studio.served import made_run, studio

from codeclm.studio.app import make_app

if TYPE_CHECKING:
    from playwright.async_api import Page


def elsewhere(content: str) -> tuple[web.Application, list[web.Request]]:
    """Another site: a page of this content, and all that it was asked."""
    asked: list[web.Request] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(text=content if request.path == "/" else "", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    return app, asked


FOREIGN = """<!doctype html><title>elsewhere</title><body><script>
const studio = "STUDIO", told = {};
const settle = (name, promise) =>
  promise.then((found) => { told[name] = found; }, (error) => { told[name] = "refused"; });
const loaded = (tag, name, url) => settle(name, new Promise((done, fail) => {
  const one = document.createElement(tag);
  one.onload = () => done(one.naturalWidth || "loaded");
  one.onerror = () => fail();
  if (tag === "link") { one.rel = "stylesheet"; one.href = url; } else one.src = url;
  document.body.append(one);
}));
window.run = async () => {
  const text = { method: "POST", headers: { "Content-Type": "text/plain" }, body: "csrf=1", credentials: "include" };
  await Promise.all([
    settle("read", fetch(studio + "/", { credentials: "include" }).then((answer) => answer.text())),
    settle("opaque", fetch(studio + "/", { mode: "no-cors", credentials: "include" }).then((answer) => answer.type)),
    settle("posted", fetch(studio + "/runs/one/go-on", { ...text, mode: "no-cors" }).then((answer) => answer.type)),
    settle("header", fetch(studio + "/runs/one/go-on", { ...text, headers: { "Studio-Csrf": "x" } })),
    loaded("img", "image", studio + "/favicon.ico"),
    loaded("script", "script", studio + "/static/studio.js"),
    loaded("link", "style", studio + "/static/page.css"),
    settle("socket", new Promise((done, fail) => {
      const socket = new WebSocket(studio.replace("http", "ws") + "/");
      socket.onopen = () => done("open"); socket.onerror = () => fail();
    })),
    settle("events", new Promise((done, fail) => {
      const events = new EventSource(studio + "/runs/one/live", { withCredentials: true });
      events.onopen = () => done("open"); events.onerror = () => { events.close(); fail(); };
    })),
  ]);
  navigator.sendBeacon(studio + "/runs/one/go-on", new URLSearchParams({ csrf: "x" }));
  const frame = document.createElement("iframe");
  frame.src = studio + "/"; frame.name = "framed";
  await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  try { told.frame = frame.contentDocument ? frame.contentDocument.body.innerText : "shut"; }
  catch { told.frame = "shut"; }
  told.cookie = document.cookie;
  return told;
};
</script><form id="form" method="post" action="STUDIO/runs/one/go-on"><input name="csrf" value="x"></form>"""


async def test_another_site_in_the_same_browser_gets_nothing(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str]
) -> None:
    made_run(tmp_path / "one", state="stopped")
    address = await serve(make_app(tmp_path))
    site, asked = elsewhere(FOREIGN.replace("STUDIO", address))
    other = await serve(site)
    await page.goto(address)  # there is a session
    await page.goto(other)
    told = await page.evaluate("run()")
    assert told.pop("frame") in ("shut", "")
    assert told.pop("cookie") == ""  # for servers alone
    assert told.pop("opaque", "opaque") in ("opaque", "refused")
    assert told.pop("posted", "opaque") in ("opaque", "refused")
    assert set(told.values()) == {"refused"}, told

    async with page.expect_popup() as popup:  # it is opened, and severed from who opened it
        await page.evaluate(f"window.opened = window.open({address!r} + '/runs/one')")
    studio_page = await popup.value
    await studio_page.get_by_role("heading", name="one").wait_for()
    assert await studio_page.evaluate("window.opener") is None
    assert await page.evaluate("opened.closed || opened.length") in (True, 0)

    await page.evaluate("document.getElementById('form').submit()")  # a form as the whole window
    await page.get_by_text("Refused: another site asked for this.").wait_for()
    assert not (tmp_path / "one" / "run.log").exists()
    # Cookies are not bound to ports: another server here is sent the session's. It tells no secret and forges no form.
    assert all("token" not in request.headers.get("Cookie", "") for request in asked)
    assert all("Referer" not in request.headers or address not in request.headers["Referer"] for request in asked)
    faults.clear()  # what was refused is told on the console of the site that tried


async def test_a_stolen_session_forges_no_form(tmp_path: Path) -> None:
    """Another server on this machine is sent the cookie: with it and any form of its own it is still another site."""
    made_run(tmp_path / "one", state="stopped")
    async with studio(tmp_path) as browser:
        csrf = await browser.csrf()
        for origin in ("http://127.0.0.1:1", "http://localhost:1", "null", "http://127.0.0.1.evil.test"):
            headers = {"Sec-Fetch-Site": "same-site", "Origin": origin}
            assert (await browser.post("/runs/one/go-on", headers, csrf=csrf)).status == 403


REPORT = """<!doctype html><meta http-equiv="refresh" content="0; url=OTHER/refresh">
<base href="OTHER/"><link rel="stylesheet" href="OTHER/style.css"><link rel="prefetch" href="OTHER/prefetch">
<link rel="preload" as="image" href="OTHER/preload"><link rel="icon" href="OTHER/icon">
<style>@import "OTHER/import.css"; body { background: url(OTHER/background) }
@font-face { font-family: x; src: url(OTHER/font) } * { font-family: x }</style>
<body onload="window.parent.hacked = 1"><h1>Looks like a report</h1>
<script>window.hacked = 1; fetch("OTHER/fetch")</script>
<img src="OTHER/image" onerror="hacked = 1"><iframe src="OTHER/frame"></iframe><object data="OTHER/object"></object>
<embed src="OTHER/embed"><video src="OTHER/video" autoplay></video><svg><image href="OTHER/svg"/></svg>
<form action="/runs/one/go-on" method="post"><button id="press">Press</button></form>
<a id="ping" href="#x" ping="OTHER/ping">x</a>"""


async def test_a_report_of_somebody_elses_does_nothing(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str]
) -> None:
    site, asked = elsewhere("")
    other = await serve(site)
    run = made_run(tmp_path / "one", state="stopped")
    (run / "report.html").write_text(REPORT.replace("OTHER", other))
    address = await serve(make_app(tmp_path))
    await page.goto(address)
    await page.goto(f"{address}/runs/one/report")
    await page.get_by_role("heading", name="Looks like a report").wait_for()
    await page.locator("#press").click(no_wait_after=True)
    await page.locator("#ping").click(no_wait_after=True)
    await page.wait_for_timeout(300)
    assert page.url.startswith(f"{address}/runs/one/report")
    assert [request.path for request in asked] == []
    assert not (run / "run.log").exists()
    faults.clear()
    await page.goto(address)
    assert await page.evaluate("window.hacked") is None
