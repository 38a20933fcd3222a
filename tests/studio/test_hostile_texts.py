"""Hostile texts in every field of every file are shown as text, in a real browser, on every page.

Each page is compared with the same page of a folder whose texts are harmless: it must have no other element, no other
attribute, and no address that leads elsewhere. What a script would have done is looked for, and so are the texts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from aiohttp import web
from tests.browser import Serve
from tests.conftest import Endpoint
from tests.reporting.run_files import write_spoken
from tests.studio.hostile import HARMLESS, HOSTILE
from tests.studio.hostile_folder import ALL, AT_WORK, IDS, joined, write_folder

from codeclm import run_directory
from codeclm.aligning.page import write_page
from codeclm.comparing.page import write_pages
from codeclm.config_files import from_mapping
from codeclm.errors import CodecLMError
from codeclm.generate import generate
from codeclm.pages.rendering import visible
from codeclm.reporting import drawing
from codeclm.reporting.report import write_report
from codeclm.studio.app import make_app
from codeclm.studio.blind_sets import find_sets
from codeclm.studio.folders import RunsFolder
from codeclm.studio.together import pages_in

if TYPE_CHECKING:
    from playwright.async_api import Dialog, Page

# What a page holds: its elements with the names of their attributes, addresses, and all its texts, also those typed in.
LOOK: Final = """() => {
  const all = [...document.querySelectorAll("*")];
  const typed = [...document.querySelectorAll("input, textarea")].map((one) => one.value);
  const named = (one) => [one.localName, ...[...one.attributes].map((a) => a.name).sort()].join(" ");
  return {
    shapes: [...new Set(all.map(named))],
    addresses: all.flatMap((one) => ["href", "src", "action", "formaction", "data", "data-load", "data-refresh"]
      .filter((name) => one.hasAttribute(name)).map((name) => one.getAttribute(name))),
    text: [document.title, document.documentElement.textContent, ...typed].join("\\n"),
    frames: window.length,
    hacked: window.hacked === undefined ? "" : String(window.hacked),
  };
}"""
# The same of pages that are only parsed, many at once.
FETCHED: Final = """async (paths) => {
  const found = [];
  const named = (one) => [one.localName, ...[...one.attributes].map((a) => a.name).sort()].join(" ");
  for (const path of paths) {
    const answer = await fetch(path);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const all = [...page.querySelectorAll("*")];
    const typed = [...page.querySelectorAll("input")].map((one) => one.getAttribute("value"));
    found.push({
      status: answer.status,
      shapes: [...new Set(all.map(named))],
      addresses: all.flatMap((one) => ["href", "src", "action", "data-load", "data-refresh"]
        .filter((name) => one.hasAttribute(name)).map((name) => one.getAttribute(name))),
      text: [page.title, page.documentElement.textContent, ...typed].join("\\n"),
    });
  }
  return found;
}"""
KINDS: Final = ("runs", "compare", "new/plan", "static", f"runs/{ALL}/outcomes")
AT_ONCE: Final = 25  # texts of a report: it shows a sample
OWN_ADDRESSES: Final = ("/", "?", "#", "./")


class Looked:
    """What was seen on pages, by the name of the page."""

    def __init__(self) -> None:
        self.shapes: dict[str, set[str]] = {}
        self.texts: dict[str, str] = {}

    def take(self, name: str, seen: dict[str, Any]) -> None:
        """Take note of a page, and see that nothing in it is the text's doing."""
        assert not seen.get("hacked"), f"{name}: a script ran"
        assert not seen.get("frames"), f"{name}: there is a frame"
        foreign = [one for one in seen["addresses"] if one and (not one.startswith(OWN_ADDRESSES) or one[:2] == "//")]
        assert not foreign, (name, foreign)
        self.shapes.setdefault(name, set()).update(seen["shapes"])
        self.texts[name] = f"{self.texts.get(name, '')}\n{seen['text']}"


def lost(texts: Iterable[str], page: str, clipped: int = 100_000) -> list[str]:
    """The texts that a page does not show, as ``visible`` shows them, as far as it has room for them."""
    shown = " ".join(page.split())
    ways = ((text, (text[:clipped], " ".join(text.split())[:clipped])) for text in texts)  # names have no line breaks
    return [text for text, parts in ways if not any(" ".join(visible(part).split()) in shown for part in parts)]


def unlike(hostile: Looked, harmless: Looked) -> dict[str, set[str]]:
    """What pages of hostile texts have in them that those of harmless ones have not."""
    found = {name: shapes - harmless.shapes[name] for name, shapes in hostile.shapes.items()}
    return {name: shapes for name, shapes in found.items() if shapes}


async def indexed(page: Page, address: str) -> None:
    """Until the index of the run is there."""
    await page.goto(f"{address}/runs/{ALL}/outcomes")
    await page.get_by_label("Status").wait_for()


async def visited(page: Page, address: str, root: Path) -> Looked:
    """Every page of the studio."""
    looked = Looked()
    [a_set] = [one.key for one in find_sets(root)]
    run, compare = f"/runs/{ALL}", f"/compare/{a_set}"
    pages = {
        "runs": "/", "run": run, "log": f"{run}/log", "live": f"/runs/{AT_WORK}", "threshold": f"{run}/threshold",
        "lists 1": f"{run}/outcomes", "lists 2": f"{run}/outcomes?sort=use-case&page=4",
        "outcome": f"{run}/outcomes/{IDS}",
        "failure": f"{run}/outcomes?status=failed", "draw": f"{run}/compare", "sets": "/compare", "set": compare,
        "item": f"{compare}?rater=ada&item=3", "results": f"{compare}/results?rater=ada", "new": "/new",
    }  # fmt: skip
    await indexed(page, address)
    with run_directory.alone(root / AT_WORK):
        for name, path in pages.items():
            await page.goto(address + path)
            if name == "run":  # charts are test_charts' affair: they take seconds
                await page.locator("#log summary").click()
                await page.locator("#log pre").wait_for()
            looked.take(name, await page.evaluate(LOOK))
    for place in pages_in(root):
        await page.goto(f"{address}/together/{place.key}/")
        looked.take(place.kind, await page.evaluate(LOOK))
    return looked


async def looked_through(page: Page, address: str, root: Path, texts: Sequence[str]) -> Looked:
    """Pages of which there is one for each text: of runs, outcomes and items, and answers to what is typed."""
    looked = Looked()
    [a_set] = [one.key for one in find_sets(root)]
    keys = [run.key for run in RunsFolder(root).find() if run.folder.name[0].isdigit()]
    short = [text[:150] for text in texts if text.strip()]
    asked = [
        urlencode({"q": text, "use_case": text, "skill": text, "sort": text[:40], "cause": text[:40]}) for text in short
    ]
    segments = [quote(text, safe="") for text in short]
    failed = [f"{text} {n}" for n, text in enumerate(texts) if len(text) < 500]
    groups = {
        "runs": [f"/runs/{key}" for key in keys],
        "outcomes": [f"/runs/{ALL}/outcomes/{n // 10:06d}.{n}" for n in range(100)],
        "failures": [f"/runs/{ALL}/outcomes/{quote(id, safe='')}" for id in failed],
        "items": [f"/compare/{a_set}?rater=ada&item={n + 1}" for n in range(len(texts))],
        "searched": [f"/runs/{ALL}/outcomes?{query}" for query in asked],
        "raters": [f"/compare/{a_set}?{urlencode({'rater': f'{text}!'})}" for text in short],
        "nowhere": [f"/{KINDS[n % len(KINDS)]}/{segment}" for n, segment in enumerate(segments)],
    }
    await page.goto(address)
    for name, paths in groups.items():
        for start in range(0, len(paths), 40):
            for seen in await page.evaluate(FETCHED, paths[start : start + 40]):
                status = seen.pop("status")
                assert status < 500 and (status == 200 or name in ("raters", "nowhere")), (name, seen["text"][:500])  # noqa: PT018
                looked.take(name, seen)
    return looked


async def new_run(page: Page, address: str, texts: Sequence[str]) -> Looked:
    """The form of a new run with the texts typed in: as it is checked, sent, and shown as YAML."""
    looked = Looked()
    await page.goto(f"{address}/new")
    text = joined(texts)
    for field in await page.locator("form.run-form").locator("input[type=text], textarea").all():
        await field.evaluate("(one, text) => { one.value = text; }", text)
    await page.evaluate("document.getElementById('name').dispatchEvent(new Event('input', {bubbles: true}))")
    await page.locator("#wrong-name:not([hidden])").wait_for()
    looked.take("checked", await page.evaluate(LOOK))
    await page.locator("details.as-yaml summary").click()
    await page.get_by_role("button", name="Edit the YAML instead").click()
    await page.locator("#yaml").wait_for()
    looked.take("yaml", await page.evaluate(LOOK))
    await page.get_by_role("button", name="Plan the run").click()
    await page.locator("#wrong-yaml:not([hidden])").wait_for()
    looked.take("yaml refused", await page.evaluate(LOOK))
    await page.locator("#yaml").fill("\n".join(f"{text!r}: {text!r}" for text in texts))
    await page.get_by_role("button", name="Plan the run").click()
    await page.locator("#wrong-yaml:not([hidden])").wait_for()
    looked.take("yaml refused", await page.evaluate(LOOK))
    return looked


@pytest_asyncio.fixture(loop_scope="session")
async def dialogs(page: Page) -> list[str]:
    """What pages wanted to say in a dialog of the browser."""
    said: list[str] = []

    async def told(dialog: Dialog) -> None:
        said.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", told)
    return said


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the packages that draw are not installed: much quicker."""
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)


def without_statuses(faults: list[str]) -> None:
    """Pages that say what is wrong have a status that the console tells: that is meant."""
    faults[:] = [fault for fault in faults if "the server responded with a status of 4" not in fault]


@pytest.mark.slow
async def test_every_page_shows_hostile_texts_as_texts(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str], dialogs: list[str], no_charts: None
) -> None:
    found = {}
    for name, texts in (("harmless", HARMLESS), ("hostile", HOSTILE)):
        root = write_folder(tmp_path / name, texts)
        write_pages(root / "compared")
        write_page(root / "aligned")
        address = await serve(make_app(root))
        found[name] = await visited(page, address, root), await new_run(page, address, texts)
    for hostile, harmless in zip(found["hostile"], found["harmless"], strict=True):
        assert unlike(hostile, harmless) == {}
    shown = found["hostile"][0].texts
    assert lost(HOSTILE, shown["outcome"]) == []
    assert lost(HOSTILE, shown["run"], 500) == []
    assert lost(HOSTILE, shown["log"], 500) == []
    assert lost(HOSTILE, shown["runs"], 40) == []
    assert lost(HOSTILE, shown["results"], 500) == []
    assert lost(HOSTILE, shown["live"], 500) == []
    assert lost([one for one in HOSTILE if one.strip()], shown["lists 1"] + shown["lists 2"], 50) == []
    without_statuses(faults)
    assert dialogs == []


@pytest.mark.slow
async def test_no_text_by_itself_changes_a_page(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str], dialogs: list[str]
) -> None:
    found = {}
    for name, texts in (("harmless", HARMLESS), ("hostile", HOSTILE)):
        root = write_folder(tmp_path / name, texts)
        address = await serve(make_app(root))
        await indexed(page, address)
        found[name] = await looked_through(page, address, root, texts)
    assert unlike(found["hostile"], found["harmless"]) == {}
    for group, clipped in (("runs", 60), ("failures", 500), ("items", 10_000)):
        assert lost([text for text in HOSTILE if len(text) < 500], found["hostile"].texts[group], clipped) == [], group
    without_statuses(faults)
    assert dialogs == []


async def test_reports_show_hostile_texts_as_texts(
    tmp_path: Path, page: Page, dialogs: list[str], no_charts: None
) -> None:
    found = {}
    for name, texts in (("harmless", HARMLESS), ("hostile", HOSTILE)):
        looked = found[name] = Looked()
        for start in range(0, len(texts), AT_ONCE):
            part = texts[start : start + AT_ONCE]
            await page.goto(write_report(write_spoken(tmp_path / f"{name}-{start}", *part)).as_uri())
            seen = await page.evaluate(LOOK)
            looked.take("report", seen)
            assert lost(part, seen["text"], 40) == []
    assert unlike(found["hostile"], found["harmless"]) == {}
    assert dialogs == []


@pytest.mark.slow
async def test_charts_show_hostile_texts_as_texts(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str], dialogs: list[str]
) -> None:
    found = {}
    for name, texts in (("harmless", HARMLESS), ("hostile", HOSTILE)):
        looked = found[name] = Looked()
        root = write_folder(tmp_path / name, texts)
        pages = {"report": await asyncio.to_thread(write_report, root / ALL)}
        pages["compared"] = (await asyncio.to_thread(write_pages, root / "compared"))[0].path
        pages["aligned"] = (await asyncio.to_thread(write_page, root / "aligned"))[0].path
        for kind, path in pages.items():
            await page.goto(path.as_uri())
            assert await page.locator("svg").count() > 1
            looked.take(kind, await page.evaluate(LOOK))
        await page.goto(f"{await serve(make_app(root))}/runs/{ALL}")
        await page.locator("#charts svg").first.wait_for(timeout=120_000)
        looked.take("charts", await page.evaluate(LOOK))
    assert unlike(found["hostile"], found["harmless"]) == {}
    assert dialogs == []


async def test_calls_show_hostile_texts_as_texts(
    tmp_path: Path, page: Page, serve: Serve, faults: list[str], dialogs: list[str]
) -> None:
    found = {}
    boxes: list[str] = []
    for name, texts in (("harmless", HARMLESS), ("hostile", HOSTILE)):
        root = tmp_path / name
        failed = await asked_and_answered(root / "run", serve, joined(texts))
        looked = found[name] = Looked()
        await page.goto(f"{await serve(make_app(root))}/runs/run/outcomes/{failed}/calls")
        await page.locator("ol.calls").wait_for()
        looked.take("calls", await page.evaluate(LOOK))
        boxes = await page.locator("li.call").first.locator(".text-box").all_text_contents()
    assert unlike(found["hostile"], found["harmless"]) == {}
    *asked, answered = boxes
    assert lost(HOSTILE, "".join(asked)) == []
    assert lost(HOSTILE, answered) == []
    assert dialogs == []


async def asked_and_answered(folder: Path, serve: Serve, text: str) -> str:
    """A run whose seed is this text, and that gets this text for an answer to everything; what failed in it."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(Endpoint.chat(text))

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    model = {"model": "m", "base_url": f"{await serve(app)}/v1", "reply_form": "text", "retries": 0}
    seeds_of(folder, text)
    values = {"seeds": "seeds.jsonl", "run_dir": ".", "size": 1, "models": {"strong": model, "target": model}}
    with suppress(CodecLMError):
        await generate(from_mapping(values, folder=folder))
    [row] = run_directory.read_rows(folder / run_directory.FAILURES)
    return str(row["id"])


def seeds_of(folder: Path, text: str) -> None:
    """One seed of this text."""
    folder.mkdir(parents=True)
    (folder / "seeds.jsonl").write_text(json.dumps({"instruction": text}))
