"""Attacks on the studio over HTTP: forms that are none, configs that reach out, other sites, many connections."""

from __future__ import annotations

import asyncio
import html
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from tests.browser import Serve
from tests.running import CODECLM
from tests.studio.outcome_runs import KEPT, outcomes_run
from tests.studio.served import OWN_PAGE, Answer, Browser, made_run, studio
from yarl import URL

from codeclm.errors import ConfigError
from codeclm.studio import reach
from codeclm.studio import serve as serving
from codeclm.studio.app import make_app
from codeclm.studio.run_forms import out_of_reach, read_yaml
from codeclm.studio.safety import Door

if TYPE_CHECKING:
    from playwright.async_api import Page

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=x"
MODELS = "models: {strong: {base_url: simulator, model: a}, target: {base_url: simulator, model: b}}\n"


def part(name: str, value: bytes, *headers: str) -> bytes:
    head = [f'Content-Disposition: form-data; name="{name}"', *headers, "", ""]
    return b"--x\r\n" + "\r\n".join(head).encode() + value + b"\r\n"


async def sent(browser: Browser, body: bytes, kind: str, **headers: str) -> Answer:
    """The answer to any body at all."""
    every = OWN_PAGE | {"Content-Type": kind} | headers
    async with browser.session.post(f"{browser.base}/new/check", data=body, headers=every) as answer:
        return Answer(answer.status, await answer.text(), answer.headers.copy())


async def test_a_form_that_is_none_is_refused(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        token = (await browser.csrf()).encode()
        csrf = part("csrf", token)
        for kind, body in (
            (f"{FORM}; charset=nonsense", b"csrf=" + token),
            (f"{FORM}; charset=utf-16", b"csrf=" + token),
            (FORM, b"csrf=" + token + b"&name=\xff\xed\xa0\x80"),
            (PARTS, csrf + part("name", b"\xff\xfe") + b"--x--\r\n"),
            (PARTS, csrf + part("name", b"abc")[:-2]),
            (PARTS, csrf + part("name", b"!", "Content-Type: text/plain; charset=zzz") + b"--x--\r\n"),
            (PARTS, csrf + part("name", b"!", "Content-Transfer-Encoding: zzz") + b"--x--\r\n"),
            ("multipart/form-data", csrf),
            ("multipart/form-data; boundary=" + "x" * 100, csrf),
            ("text/plain", b"csrf=" + token),
            ("application/json", b'{"csrf": "' + token + b'"}'),
            (
                PARTS,
                part("csrf", token, "Content-Type: text/plain").replace(b'"csrf"', b'"csrf"; filename="a"')
                + b"--x--\r\n",
            ),
        ):
            answer = await sent(browser, body, kind)
            assert answer.status in (400, 403), (kind, body, answer)
            assert "Traceback" not in answer.text
        assert (await sent(browser, b"", FORM, **{"Studio-Csrf": "\udcff"})).status == 403
        assert (await sent(browser, csrf + b"--x--\r\n", PARTS)).status == 200


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("test_sets: !!set {/etc/passwd}", "test_sets"),
        ("test_sets: [/etc/passwd]", "test_sets"),
        ("test_sets: /etc/passwd", "test_sets"),
        ("general_seeds: ../outside.jsonl", "general_seeds"),
        ("general_seeds: link/outside.jsonl", "general_seeds"),
        ("metadata: ~/x.jsonl", "metadata"),
        ("prompts: /", "prompts"),
        ("journal: /tmp/elsewhere.sqlite", "journal"),
        ("training: {chat_template: /etc/passwd}", "training.chat_template"),
        ("run_dir: /tmp/elsewhere", "run_dir"),
        ("seeds: /etc/passwd", "seeds"),
        ("method: {filter: 'os:system'}", "method.filter"),
        ("method: {source: mine.py:run}", "method.source"),
    ],
)
async def test_a_config_from_a_browser_reaches_no_file_elsewhere(tmp_path: Path, value: str, key: str) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    (tmp_path / "outside.jsonl").write_text('{"instruction": "private"}\n')
    (root / "link").symlink_to(tmp_path)
    async with studio(root) as browser:
        form = {
            "csrf": await browser.csrf(),
            "view": "yaml",
            "name": "n",
            "seeds_from": "text",
            "seeds_text": "A seed.",
        }
        answer = await browser.post("/new", None, **form, yaml=MODELS + value)
    assert answer.status == 422
    assert f"`{key}`" in html.unescape(answer.text)
    assert "private" not in answer.text
    assert [path.name for path in root.iterdir()] == ["link"]


def test_what_came_of_the_values_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a way of writing values overlooked, the validated config would still not be taken."""
    from codeclm.config_files import from_mapping

    own = tmp_path / "seeds.txt"
    own.write_text("A seed.\n")
    model = {"base_url": "simulator", "model": "m"}
    good: dict[str, Any] = {"run_dir": "r", "seeds": str(own), "models": {"strong": model, "target": model}}
    root = tmp_path / "runs"
    reach.check_from_browser(from_mapping(good, folder=root), root, own)
    bad: tuple[dict[str, Any], ...] = (
        {"test_sets": ["/etc/passwd"]},
        {"general_seeds": "/etc/passwd"},
        {"prompts": str(tmp_path)},
        {"journal": str(tmp_path / "j.sqlite")},
        {"method": {"filter": "os:system"}},
        {"training": {"chat_template": "/etc/passwd"}},
        {"models": {"strong": model, "target": {"model": "m", "serve": {"engine": "vllm", "model": "x"}}}},
        {
            "models": {
                "strong": model,
                "target": model,
                "candidates": {"c": {"serve": {"engine": "vllm", "model": "x"}}},
            }
        },
    )
    for values in bad:
        with pytest.raises(ConfigError, match="terminal"):
            reach.check_from_browser(from_mapping(good | values, folder=root), root, own)
    with pytest.raises(ConfigError, match="seeds"):
        reach.check_from_browser(from_mapping(good, folder=root), root, None)


SLOW_TO_READ = {
    "deep in lists": "[" * 300,
    "deep in maps": "\n".join(" " * depth + "a:" for depth in range(300)),
    "deep in dashes": "- " * 24_000,
    "questions": "? " * 24_000,
    "a number in base 16": f"size: 0x{'f' * 49_000}",
    "a number in base 60": f"size: {':'.join(['59'] * 16_000)}",
    "a long number": f"size: {'9' * 49_000}",
    "no number": "size: .nan",
    "endless": "size: .inf",
    "escapes": '"' + "\\x41" * 12_000 + '"',
    "anchors": "\n".join(f"a{number}: &a{number} 1" for number in range(3_000)),
    "merges": "a: {<<: [{a: 1}, {a: 2}]}",
    "objects": "!!python/object/apply:os.system [id]",
    "dates": "size: 2001-99-99",
    "bytes": f"size: !!binary {'A' * 40_000}",
    "keys of other kinds": "1: 2\nnull: 3\n2001-01-01: 4\n",
    "half a surrogate": '"\\ud800": "\\udfff"',
    "unknown keys": "".join(f"k{number}: 1\n" for number in range(1_000)),
}


@pytest.mark.parametrize("text", SLOW_TO_READ.values(), ids=SLOW_TO_READ)
async def test_no_yaml_keeps_the_studio_from_answering(tmp_path: Path, text: str) -> None:
    async with studio(tmp_path) as browser:
        form = {
            "csrf": await browser.csrf(),
            "view": "yaml",
            "name": "n",
            "seeds_from": "text",
            "seeds_text": "A seed.",
        }
        async with asyncio.timeout(20):
            for path, more in (("/new/check", {}), ("/new", {"show": "form"}), ("/new", {})):
                answer = await browser.post(path, None, **form, yaml=MODELS + text, **more)
                assert answer.status in (200, 422), answer


async def test_numbers_without_end_start_nothing(tmp_path: Path) -> None:
    values, _ = read_yaml(f"{MODELS}size: {10**30}\n")
    assert not list(out_of_reach(values, tmp_path))
    async with studio(tmp_path) as browser:
        form = {
            "csrf": await browser.csrf(),
            "view": "yaml",
            "name": "n",
            "seeds_from": "text",
            "seeds_text": "A seed.",
        }
        for size in (10**30, 10**18):
            answer = await browser.post("/new", None, **form, yaml=f"{MODELS}size: {size}\n")
            assert answer.status in (303, 422)
            if answer.status == 303:  # its plan is made elsewhere, and the studio goes on
                assert (await browser.get(answer.headers["Location"])).status == 200
                assert (await browser.get("/")).status == 200


ODD = (
    "..",
    ".",
    "%2e%2e%2f",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2fetc%2fpasswd",
    "one%00",
    "one%2f..",
    "%ff",
    "~root",
    "a" * 3000,
)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
async def test_no_part_of_an_address_leads_anywhere(tmp_path: Path, odd: str) -> None:
    run = outcomes_run(tmp_path / "runs" / "one")
    before = sorted(run.parent.rglob("*"))
    async with studio(run.parent) as browser:
        for path in (
            f"/runs/{odd}", f"/runs/{odd}/report", f"/runs/{odd}/log", f"/runs/{odd}/outcomes", f"/static/{odd}",
            f"/runs/one/outcomes/{odd}", f"/runs/one/outcomes/{odd}/calls", f"/compare/{odd}", f"/new/plan/{odd}",
            f"/compare/{odd}/results?rater=ada", f"/new?draft={odd}", f"/together/{odd}/",
            f"/together/{odd}/{odd}/report.html",
            f"/?q={odd}&state={odd}", f"/runs/one/outcomes?q={odd}&sort={odd}&page={odd}&min_gap={odd}&status={odd}",
            f"/runs/one/threshold?threshold={odd}", f"/runs/one/outcomes.jsonl?what={odd}",
        ):  # fmt: skip
            answer = await browser.get(path)
            assert answer.status < 500, (path, answer)
            assert "root:" not in answer.text
        for path, fields in (
            ("/new", {"name": odd, "seeds_from": "file", "seeds_file": odd}),
            ("/runs/one/compare", {"items": odd, "seed": odd}),
            (f"/runs/one/outcomes/{KEPT[0].id}", {"action": odd, "of": odd, "seen": odd}),
        ):
            answer = await browser.post(path, None, csrf=await browser.csrf(), **fields)
            assert 400 <= answer.status < 500, (path, answer)
    assert {path for path in run.parent.rglob("*") if not path.name.startswith(".")} == set(before)


async def test_headers_and_lines_too_long_are_refused(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        for path, headers in (("/" + "a" * 20_000, {}), ("/", {"X-Long": "a" * 20_000})):
            async with browser.session.get(URL(browser.base + path, encoded=True), headers=headers) as answer:
                assert answer.status == 400
        cookies = "; ".join(f"codeclm-studio-{number}={'x' * 20}" for number in range(100))
        assert (await browser.get("/", {"Cookie": cookies})).status == 200


def test_the_host_it_listens_at_is_its_own_name() -> None:
    assert Door("127.0.0.2").serves("127.0.0.2")
    assert not Door("127.0.0.2").serves("127.0.0.3")


@pytest.mark.slow
def test_a_thousand_connections_that_say_nothing_are_let_go(tmp_path: Path) -> None:
    """More than a process may have open: those who come after wait until the silent ones are gone."""
    code = (
        "import resource, sys; from codeclm.cli.app import main; from codeclm.studio import serve; serve._IDLE = 2.0; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)); "
        f"sys.argv = ['codeclm', 'studio', {str(tmp_path)!r}, '--port', '0']; main()"
    )
    command = [CODECLM[0], "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        try:
            port = URL(process.stdout.readline().split()[-1]).port
            assert port
            silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
            for one in silent[::2]:
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            with socket.create_connection(("127.0.0.1", port), timeout=30) as late:
                late.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert late.recv(12) == b"HTTP/1.1 200"
            for one in silent:
                one.close()
        finally:
            process.kill()
    assert serving._IDLE <= 60


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
