"""Who may ask the studio, by real requests."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest
from tests.studio.served import OWN_PAGE, made_run, studio

from codeclm.errors import ConfigError
from codeclm.studio.safety import CONTENT_SECURITY_POLICY, Door

TOKEN = "a-token-of-some-length"


@pytest.mark.parametrize("path", ["/", "/runs/one", "/runs/none", "/static/studio.js", "/nowhere", "/?token=x"])
async def test_every_answer_tells_the_browser_what_it_may_do(tmp_path: Path, path: str) -> None:
    made_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        for headers in ({}, {"Host": "elsewhere.test"}):
            answer = await browser.get(path, headers)
            assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
            assert "unsafe" not in CONTENT_SECURITY_POLICY
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Server"] == "codeclm"
            if not path.startswith("/static/") or headers:
                assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["elsewhere.test", "127.0.0.1.elsewhere.test", "localhost.elsewhere.test:80", "[", ""])
async def test_a_name_that_is_not_ours_is_refused(tmp_path: Path, host: str) -> None:
    made_run(tmp_path / "secret-run")
    async with studio(tmp_path) as browser:
        answer = await browser.get("/", {"Host": host})
    assert answer.status in (400, 421)
    assert "secret-run" not in answer.text


async def test_our_own_names_are_served_at_any_port_a_tunnel_has(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        for host in ("127.0.0.1:9", "localhost", "LOCALHOST:12345", "[::1]:80"):
            assert (await browser.get("/", {"Host": host})).status == 200, host


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
    ],
)
async def test_what_another_site_asks_for_is_refused_but_for_a_link(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with studio(tmp_path) as browser:
        assert (await browser.get("/", headers)).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN_PAGE, 404),  # let through to a handler, which knows no such run
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 404),
        ({"Origin": "{own}"}, 404),  # a browser without Sec-Fetch-Site, as where there is no TLS
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://elsewhere.test"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "{own}"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
    ],
)
async def test_a_form_comes_from_a_page_of_ours(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async with studio(tmp_path) as browser:
        token = await browser.csrf()
        sent = {name: value.format(own=browser.base) for name, value in headers.items()}
        assert (await browser.post("/runs/none/pause", sent, csrf=token)).status == status


async def test_a_form_holds_the_token_of_its_own_session(tmp_path: Path) -> None:
    async with studio(tmp_path) as one, studio(tmp_path) as other:
        own, foreign = await one.csrf(), await other.csrf()
        assert (await one.post("/runs/none/pause", csrf=own)).status == 404
        assert (await one.post("/runs/none/pause", OWN_PAGE | {"Studio-Csrf": own})).status == 404
        for wrong in ("", foreign, own[:-1], "ä"):
            assert (await one.post("/runs/none/pause", csrf=wrong)).status == 403
        assert (await one.post("/runs/none/pause")).status == 403
        one.session.cookie_jar.clear()
        assert (await one.post("/runs/none/pause", csrf=own)).status == 403


async def test_a_token_is_changed_for_a_cookie(tmp_path: Path) -> None:
    made_run(tmp_path / "secret-run")
    async with studio(tmp_path, Door(token=TOKEN)) as browser:
        for path in ("/", "/static/studio.js", "/runs/secret-run", "/?token=", "/?token=wrong", "/?token=%C3%A4"):
            answer = await browser.get(path)
            assert answer.status == 401, path
            assert "secret-run" not in answer.text
            assert "Set-Cookie" not in answer.headers
        answer = await browser.get(f"/runs/secret-run?token={TOKEN}&x=1")
        assert (answer.status, answer.headers["Location"]) == (303, "/runs/secret-run?x=1")
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert TOKEN not in cookie
        assert "secret-run" in (await browser.get("/")).text
        assert (await browser.post("/runs/none/pause", csrf=await browser.csrf())).status == 404


@pytest.mark.parametrize("path", ["//evil.test/", "///evil.test/x", "/\\evil.test/", "//evil.test"])
async def test_a_token_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    async with studio(tmp_path, Door(token=TOKEN)) as browser:
        place = browser.base.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*place.split(":"))
        writer.write(f"GET {path}?token={TOKEN} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
    assert "303 See Other" in answer
    assert "\r\nLocation: /evil.test" in answer


async def test_a_cookie_that_another_start_signed_is_none(tmp_path: Path) -> None:
    door = Door(token=TOKEN)
    forged = Door(token=TOKEN).signed("session", "me")
    async with studio(tmp_path, door) as browser:
        name = f"codeclm-studio-{browser.base.rpartition(':')[2]}"
        for value in (f"me.{forged}", "me.", ".", "me", f"other.{door.signed('session', 'me')}", f"me.{forged}ä"):
            assert (await browser.get("/", {"Cookie": f"{name}={value}"})).status == 401, value
        assert (await browser.get("/", {"Cookie": f"{name}=me.{door.signed('session', 'me')}"})).status == 200


def test_an_address_that_others_reach_demands_a_token() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "my-machine"):
        with pytest.raises(ConfigError, match="needs a token"):
            Door(host)
        assert Door(host, TOKEN).serves("localhost")
    with pytest.raises(ConfigError, match="at least 16"):
        Door(token="short")
    assert not Door("0.0.0.0", TOKEN).serves("elsewhere.test")
    assert Door("0.0.0.0", TOKEN).serves("192.168.1.7")
    assert Door("0.0.0.0", TOKEN, frozenset({"box.test"})).serves("box.test")
    assert TOKEN not in repr(Door("0.0.0.0", TOKEN))


async def test_a_body_too_large_and_a_method_unknown_are_refused(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        sent = OWN_PAGE | {"Content-Type": "application/x-www-form-urlencoded"}
        large = io.BytesIO(f"csrf={await browser.csrf()}&text={'x' * 17 * 2**20}".encode())
        async with browser.session.post(f"{browser.base}/runs/none/pause", data=large, headers=sent) as answer:
            assert answer.status == 413
        async with browser.session.put(f"{browser.base}/") as answer:
            assert answer.status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/runs/..", "/runs/%2e%2e", "/runs/..%2f..%2fetc", "/runs/%2fetc", "/runs/one%2f..%2fone", "/runs/one%00",
        "/static/..%2fapp.py", "/static/%2e%2e%2fapp.py", "/static/app.py", "/static/", "/runs/outside",
        "/runs/way~out",
    ],
)  # fmt: skip
async def test_no_path_of_an_address_leads_out(tmp_path: Path, path: str) -> None:
    root = tmp_path / "runs"
    made_run(root / "one")
    (root / "outside").symlink_to(made_run(tmp_path / "elsewhere"))
    (root / "way").symlink_to(tmp_path)
    made_run(tmp_path / "out")
    async with studio(root) as browser:
        assert (await browser.get("/runs/one")).status == 200
        assert (await browser.get(path)).status in (400, 403, 404)


async def test_a_run_with_a_file_that_leads_out_is_not_read(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs" / "one")
    (tmp_path / "secret").write_text("a secret")
    (run / "examples.jsonl").symlink_to(tmp_path / "secret")
    async with studio(tmp_path / "runs") as browser:
        assert "leads out of the runs folder" in (await browser.get("/")).text
        answer = await browser.get("/runs/one")
        assert answer.status == 409
        assert "a secret" not in answer.text


async def test_a_report_is_shut_off_from_the_studio(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one")
    (run / "report.html").write_text("<!doctype html><script>alert(1)</script>")
    async with studio(tmp_path) as browser:
        policy = (await browser.get("/runs/one/report")).headers["Content-Security-Policy"]
        parts = [part.strip() for part in policy.split(";")]
        assert "sandbox" in parts
        assert "default-src 'none'" in parts
        assert not [part for part in parts if part.startswith("script-src")]
        (run / "report.html").unlink()
        (run / "report.html").symlink_to(run / "manifest.json")
        assert (await browser.get("/runs/one/report")).status == 404
