"""Attacks on the studio over HTTP: forms that are none, configs that reach out, other sites, many connections."""

from __future__ import annotations

import asyncio
import html
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.running import CODECLM
from tests.studio.outcome_runs import KEPT, outcomes_run
from tests.studio.served import OWN_PAGE, Answer, Browser, studio
from yarl import URL

from codeclm.errors import ConfigError
from codeclm.studio import reach
from codeclm.studio import serve as serving
from codeclm.studio.run_forms import out_of_reach, read_yaml
from codeclm.studio.safety import Door

if TYPE_CHECKING:
    pass

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
        ("encode_examples: /etc/passwd", "encode_examples"),
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
        {"encode_examples": "/etc/passwd"},
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
