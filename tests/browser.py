"""A headless Chromium for tests of pages, which fails a test for all that went wrong behind what it looked at.

Fixtures: ``page`` (1280 x 900) and ``phone`` (a touch screen, 390 x 844) are Playwright's asynchronous pages, each in a
context of its own; ``faults`` is the list of what went wrong on them, and a test in which a fault is meant takes it
from there; ``serve`` is a server for them; ``accessible`` is axe-core.

A browser belongs to one event loop, and starting one takes a second. So tests with a page run in one loop for the whole
session, and a worker starts its browser at the first of them. A server of this process that they visit runs in that
loop too: ``await serve(application)``. The fixtures ``endpoint`` and ``session`` belong to another loop, and so
would an asynchronous fixture of yours without ``loop_scope="session"``; one that does anything with a page is
asynchronous. A server in a process of its own is started before the page, by a fixture that is named before it, so
that it ends after it.

A browser asks for a page's icon when it likes: one that names none, where ``/favicon.ico`` is not found, has a fault.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebSocket

Serve = Callable[[web.Application], Awaitable[str]]
Accessible = Callable[["Page"], Awaitable[None]]
AXE = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# A browser calls home by itself too: it is told not to, and that no other host exists.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
NARROW: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
GRAVE = ("serious", "critical")
# An `eval` that was refused and caught leaves nothing on the console.
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (refused) =>
  console.error(`Content Security Policy: ${refused.effectiveDirective} refused ${refused.blockedURI}`));"""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Tests with a page run in the loop of their browser."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this worker; without one, the test is skipped and says what is missing."""
    if find_spec("playwright") is None:
        pytest.skip("pages are tested with playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("pages are tested in chromium: apt-get install chromium")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, headless=True, chromium_sandbox=False, args=FLAGS, timeout=120_000
        )
        yield browser
        await browser.close()


@pytest.fixture
def faults() -> list[str]:
    """What went wrong on the pages of this test, in order; what is left of it when the test ends fails the test."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def serve() -> AsyncIterator[Serve]:
    """``await serve(application)`` runs it in the browser's loop on a free port of 127.0.0.1 and returns its address.

    It outlives the pages of the test: a page that is open when its server goes would have a fault.
    """
    runners: list[web.AppRunner] = []

    async def start(application: web.Application) -> str:
        # Not 0: aiohttp takes that for no limit, and a stream of events would never end.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, serve: Serve, faults: list[str]) -> AsyncIterator[Page]:
    """An empty page on a desk's screen."""
    async with faultless(chromium, faults, **WIDE) as page:
        yield page


@pytest_asyncio.fixture(loop_scope="session")
async def phone(chromium: Browser, serve: Serve, faults: list[str]) -> AsyncIterator[Page]:
    """An empty page on a phone held upright."""
    async with faultless(chromium, faults, **NARROW) as page:
        yield page


@pytest.fixture
def accessible() -> Accessible:
    """``await accessible(page)`` fails if axe-core finds a serious or critical violation in what the page shows now."""
    if not AXE.exists():
        pytest.skip(f"accessibility is tested with axe-core, which make check installs: no {AXE}")
    return _accessible


@asynccontextmanager
async def faultless(browser: Browser, faults: list[str], **settings: Any) -> AsyncIterator[Page]:
    """A page in a new context with these settings; fails at the end if ``faults`` is not empty.

    A fault is an error on the console (a violation of the content security policy and an answer of 400 or above are
    two), an exception nobody caught, a request that failed, and one to another host than this.
    """
    context = await browser.new_context(locale="en-GB", timezone_id="UTC", **settings)
    try:
        _watch(context, faults)
        await context.add_init_script(TELL_VIOLATIONS)
        yield await context.new_page()
        for open_page in context.pages:
            # Answered after all that the page did before, so nothing of it is still under way.
            await open_page.evaluate("new Promise(done => setTimeout(done))")
    finally:
        await context.close()
    if faults:
        raise AssertionError("\n".join(faults))


def _watch(context: BrowserContext, faults: list[str]) -> None:
    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"error on the console: {message.text} ({message.location.get('url')})")

    def asked(request: Request) -> None:
        if not _here(request.url):
            faults.append(f"request to another host: {request.url}")

    def failed(request: Request) -> None:
        # The page itself gave it up: it was left, it closed a stream, or the answer is a download.
        if request.failure != "net::ERR_ABORTED":
            faults.append(f"request failed: {request.url} ({request.failure})")

    def socket(socket: WebSocket) -> None:
        if not _here(socket.url):
            faults.append(f"socket to another host: {socket.url}")

    def opened(page: Page) -> None:
        page.on("crash", lambda _: faults.append(f"the page crashed: {page.url}"))
        page.on("websocket", socket)

    context.on("console", console)
    context.on("weberror", lambda error: faults.append(f"uncaught: {error.error}"))
    context.on("request", asked)
    context.on("requestfailed", failed)
    context.on("page", opened)


def _here(url: str) -> bool:
    """Whether an address is this machine's, or no address at all."""
    parts = urlsplit(url)
    if parts.scheme in ("file", "data", "blob", "about"):
        return not parts.netloc
    return parts.hostname in ("127.0.0.1", "localhost")


async def _accessible(page: Page) -> None:
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run({resultTypes: ['violations']})")
    lines = [
        f"{violation['impact']}: {violation['id']} at {' '.join(map(str, node['target']))}: {violation['help']}"
        for violation in found["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
    if lines:
        raise AssertionError("\n".join(lines))
