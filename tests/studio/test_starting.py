"""Starting a run from a form: what is typed is checked, planned, and only then started."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import FormData, web
from tests.studio.served import OWN_PAGE, Answer, Browser, studio

from codeclm.config_files import load
from codeclm.run_directory import is_held, read_manifest
from codeclm.studio import run_forms
from codeclm.studio.app import make_app
from codeclm.studio.plans import offered, table

if TYPE_CHECKING:
    from playwright.async_api import Page

Serve = Callable[[web.Application], Awaitable[str]]
Accessible = Callable[["Page"], Awaitable[None]]

GOOD = {
    "view": "form",
    "name": "first",
    "seeds_from": "text",
    "seeds_text": "Write a haiku.\r\nExplain DNS.\r\n",
    "size": "40",
    "method.name": "codeclm",
    "models.strong.base_url": "simulator",
    "models.strong.model": "strong",
    "models.target.base_url": "simulator",
    "models.target.model": "target",
}
YAML = {name: value for name, value in GOOD.items() if "." not in name and name != "size"} | {"view": "yaml"}
MODELS = {role: {"base_url": "simulator", "model": role} for role in ("strong", "target")}


async def send(browser: Browser, path: str = "/new", **fields: str) -> Answer:
    """The answer to the form with these fields, as a browser sends it."""
    form = FormData(quote_fields=False)
    for name, value in {"csrf": await browser.csrf(), **fields}.items():
        form.add_field(name, value)
    return await posted(browser, path, form)


async def posted(browser: Browser, path: str, form: FormData) -> Answer:
    url = browser.base + path
    async with browser.session.post(url, data=form, headers=OWN_PAGE, allow_redirects=False) as answer:
        return Answer(answer.status, await answer.text(), answer.headers.copy())


async def checked(browser: Browser, **fields: str) -> dict[str, Any]:
    answer = await send(browser, "/new/check", **fields)
    assert answer.status == 200
    return dict(json.loads(answer.text))


async def planned(browser: Browser, address: str) -> str:
    """The page of a plan when it is there."""

    async def there() -> bool:
        return "data-refresh" not in (await browser.get(address)).text

    await until(there)
    return (await browser.get(address)).text


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process; whoever looks lets it work."""
    async with asyncio.timeout(60):
        while not await reached():
            pass


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ended(run: Path) -> bool:
    """Whether a run has come to an end."""
    manifest = read_manifest(run)
    return manifest is not None and manifest["state"] != "running" and not is_held(run)


def as_yaml(**values: Any) -> str:
    return yaml.safe_dump({"models": MODELS, "size": 40, **values})


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"size": "many"}, "size", "`size`: expected a whole number, not 'many'"),
        ({"size": "0"}, "size", "`size`: input should be greater than or equal to 1"),
        ({"method.threshold": "9"}, "method.threshold", "`method.threshold`: input should be less than 9"),
        ({"models.strong.base_url": "ftp://x"}, "models.strong.base_url", "expected a URL such as"),
        ({"models.strong.base_url": ""}, "models.strong.base_url", "expected either `base_url` or `serve`"),
        ({"models.judge.base_url": "simulator"}, "models.judge.base_url", "expected `model`"),
        ({"models.target.price.input": "1"}, "models.target.price.output", "missing key"),
        ({"budget.usd": "-1"}, "budget.usd", "greater than or equal to 0"),
        ({"name": ""}, "name", "Give the run a name"),
        ({"name": "../x"}, "name", "Use letters"),
        ({"name": ".hidden"}, "name", "Use letters"),
        ({"name": "taken"}, "name", "already"),
        ({"general_seeds": "/etc/passwd"}, "general_seeds", "only files in its runs folder"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    tmp_path: Path, changes: dict[str, str], field: str, said: str
) -> None:
    (tmp_path / "taken").mkdir()
    async with studio(tmp_path) as browser:
        told = await checked(browser, **GOOD | changes)
        assert said in told["errors"][field]
        assert set(told["errors"]) == {field}
        page = await send(browser, **GOOD | changes)
        assert page.status == 422
        beside = re.search(f'id="wrong-{re.escape(field)}" dir="auto">([^<]*)<', page.text)
        assert beside
        assert said.split("`")[-1].split("'")[0] in beside[1]
        # What was typed is still there.
        assert "Explain DNS." in page.text
    assert names_in(tmp_path) == ["taken"]


async def test_what_is_good_is_told_as_yaml(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        told = await checked(browser, **GOOD | {"method.threshold": "2.5", "budget.usd": "0.5"})
    assert (told["errors"], told["general"]) == ({}, [])
    assert yaml.safe_load(told["yaml"]) == {
        "size": 40,
        "method": {"name": "codeclm", "threshold": 2.5},
        "models": {name: {"base_url": "simulator", "model": name} for name in ("strong", "target")},
        "budget": {"usd": 0.5},
    }


async def test_no_key_is_ever_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_TEST_KEY", "sk-very-secret")
    monkeypatch.delenv("STUDIO_TEST_NONE", raising=False)
    async with studio(tmp_path) as browser:
        there = await send(browser, "/new/check", **GOOD | {"models.strong.api_key_env": "STUDIO_TEST_KEY"})
        missing = await checked(browser, **GOOD | {"models.strong.api_key_env": "STUDIO_TEST_NONE"})
        typed = await checked(browser, **GOOD | {"models.strong.api_key_env": "sk-typed-by-mistake"})
    assert json.loads(there.text)["notes"] == {"models.strong.api_key_env": "It is set."}
    assert "very-secret" not in repr(there)
    assert "not set" in missing["notes"]["models.strong.api_key_env"]
    assert "typed-by-mistake" not in json.dumps(typed["errors"])
    assert "never the key itself" in typed["errors"]["models.strong.api_key_env"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"run_dir": "elsewhere"}, "`run_dir`: leave it out"),
        ({"seeds": "seeds.jsonl"}, "`seeds`: leave it out"),
        ({"metadata": "../metadata.jsonl"}, "`metadata`: the studio takes only files in its runs folder"),
        ({"metadata": "link.jsonl"}, "`metadata`: the studio takes only files in its runs folder"),
        ({"prompts": "/etc"}, "`prompts`"),
        ({"journal": "~/journal.sqlite"}, "`journal`"),
        ({"test_sets": ["in.jsonl", "/etc/passwd"]}, "`test_sets`"),
        ({"training": {"chat_template": "/etc/passwd"}}, "`training.chat_template`"),
        ({"method": {"filter": "own.py:best"}}, "`method.filter`: this runs code of your own"),
        ({"method": {"source": "os:system"}}, "`method.source`: this runs code of your own"),
        ({"models": {**MODELS, "strong": {"serve": {"engine": "vllm", "model": "x"}}}}, "`models.strong.serve`"),
        ({"models": {**MODELS, "jury": {"a": {"serve": {"engine": "vllm", "model": "x"}}}}}, "`models.jury.a.serve`"),
        ({"sizes": 3}, "line 12: unknown key `sizes`"),
        ({"size": "x"}, "`size`: expected a whole number"),
    ],
)
def test_a_config_from_a_browser_is_held_to_more(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    (tmp_path / "outside.jsonl").write_text("{}")
    root = tmp_path / "runs"
    root.mkdir()
    (root / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    now = run_forms.typed(YAML | {"yaml": as_yaml(**values)}, root)
    if said.startswith("line"):
        said = re.sub(r"line \d+", "", said)
    assert said in now.errors["yaml"]
    assert not now.good


def test_what_lies_in_the_runs_folder_is_taken(tmp_path: Path) -> None:
    inside = {"metadata": "meta.jsonl", "test_sets": ["a.jsonl"], "journal": "shared.sqlite", "prompts": "prompts"}
    assert run_forms.typed(YAML | {"yaml": as_yaml(**inside)}, tmp_path).good


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: &x [1]\nb: *x", "x" * 50_001, "\x00", "a: " + "[" * 5000])
def test_no_yaml_fails_a_page(tmp_path: Path, text: str) -> None:
    now = run_forms.typed(YAML | {"yaml": text}, tmp_path)
    assert now.errors.keys() == {"yaml"}


async def test_form_and_yaml_are_the_same_thing(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        turned = await send(
            browser, show="yaml", **GOOD | {"models.judge.base_url": "http://[::1]/v1", "budget.calls": "9"}
        )
        text = re.search(r'<textarea id="yaml"[^>]*>\n([^<]*)</textarea>', turned.text)
        assert text
        assert yaml.safe_load(text[1])["models"]["judge"] == {"base_url": "http://[::1]/v1"}
        back = await send(browser, show="form", **YAML | {"yaml": text[1]})
        assert 'name="models.judge.base_url" type="text" value="http://[::1]/v1"' in back.text
        assert 'name="budget.calls" type="number" value="9"' in back.text
        kept = await send(browser, show="form", **YAML | {"yaml": as_yaml(seed=7)})
    assert "`seed` has no field in the form" in kept.text
    assert 'name="view" value="yaml"' in kept.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds_text": " \n"}, "Write at least one seed"),
        ({"seeds_from": "file", "seeds_file": "../outside.jsonl"}, "It must lie in the runs folder"),
        ({"seeds_from": "file", "seeds_file": "link.jsonl"}, "It must lie in the runs folder"),
        ({"seeds_from": "file", "seeds_file": "bad.jsonl"}, "seeds.jsonl: 1 problem"),
        ({"seeds_from": "upload"}, "Choose a file to upload"),
        ({"seeds_from": "elsewhere"}, "Say where the seeds come from"),
        ({"seeds_from": "file", "seeds_file": "in.jsonl", "seeds_field": "nope"}, "no `nope`"),
    ],
)
async def test_seeds_that_can_not_be_read_are_told(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    (tmp_path / "outside.jsonl").write_text('{"instruction": "x"}\n')
    (root / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    (root / "bad.jsonl").write_text("{\n")
    (root / "in.jsonl").write_text('{"instruction": "x"}\n')
    async with studio(root) as browser:
        page = await send(browser, **GOOD | changes)
    beside = re.search('id="wrong-seeds" dir="auto">([^<]*)<', page.text)
    assert page.status == 422
    assert beside
    assert said in beside[1]
    assert "codeclm-draft" not in page.text


@pytest.mark.slow
async def test_the_very_plan_and_seeds_are_started(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        form = FormData(quote_fields=False)
        for name, value in {"csrf": await browser.csrf(), **GOOD, "size": "3", "seeds_from": "upload"}.items():
            form.add_field(name, value)
        form.add_field("seeds_upload", b'{"instruction": "Write a haiku."}\n', filename="../../my seeds.JSONL")
        answer = await posted(browser, "/new", form)
        address = answer.headers["Location"]
        assert re.fullmatch(r"/new/plan/[\w-]+", address)
        early = await send(browser, address)
        assert (early.status, names_in(tmp_path)) == (409, [])
        page = await planned(browser, address)
        tokens = re.search('name="budget.tokens"[^>]*value="([0-9]+)"', page)
        assert tokens
        assert "Start the run" in page
        # The upload is kept where somebody goes back to change something.
        again = (await browser.get(f"/new?draft={address.rsplit('/')[-1]}")).text
        assert "The file you uploaded before is kept" in again
        assert names_in(tmp_path) == []
        wrong = await send(browser, address, **{"budget.tokens": "-1"})
        assert (wrong.status, "greater than or equal to 0" in wrong.text) == (422, True)
        started = await send(browser, address, **{"budget.tokens": tokens[1]})
        assert (started.status, started.headers["Location"]) == (303, "/runs/first")
        run = tmp_path / "first"
        await until(lambda: asyncio.to_thread(ended, run))
        manifest = read_manifest(run) or {}
        assert (manifest["state"], manifest["size"]) == ("complete", 3)
        assert (run / "seeds.jsonl").read_text() == '{"instruction": "Write a haiku."}\n'
        assert load(run / "config.yaml").budget.tokens == int(tokens[1])
        assert json.loads((run / "plan.json").read_text())["size"] == 3
        assert (await send(browser, address)).status == 404
        assert (await browser.get("/runs/first")).status == 200


@pytest.mark.slow
async def test_a_plan_that_can_not_be_made_says_why(tmp_path: Path) -> None:
    async with studio(tmp_path) as browser:
        answer = await send(browser, **GOOD | {"method.name": "self-instruct"})
        page = await planned(browser, answer.headers["Location"])
    assert "general_seeds" in page
    assert "Start the run" not in page
    assert names_in(tmp_path) == []


def test_the_budget_that_is_offered() -> None:
    total: dict[str, Any] = {"usd": None, "tokens": {"high": 778_123}}
    assert offered({"total": total}) == {"budget.tokens": "780000"}
    assert offered({"total": {**total, "usd": {"high": 12.341}}}) == {"budget.usd": "13"}
    assert offered({"total": {**total, "usd": {"high": 0.00213}}}) == {"budget.usd": "0.0022"}
    assert offered({"total": {**total, "usd": {"high": 0.0}}}) == {}
    counts = {"low": 1, "point": 20_000, "high": 30_000}
    amount = {"calls": counts, "prompt_tokens": counts, "completion_tokens": counts}
    made = {"stages": {}, "total": {**amount, "usd": {"low": 0.5, "point": 1.0, "high": 2.0}}}
    assert table(made) == [("total", "20,000", "1 to 30k", "20k", "20k", "$1.00", "$0.50 to $2.00")]


@pytest.mark.slow
async def test_a_run_is_started_and_watched_to_its_end(
    page: Page, phone: Page, serve: Serve, accessible: Accessible, tmp_path: Path
) -> None:
    base = await serve(make_app(tmp_path))
    await page.goto(f"{base}/new")
    await accessible(page)
    await page.get_by_label("Name", exact=True).fill("my run")
    await page.get_by_text("Use letters, digits").wait_for()
    await page.get_by_label("Examples").fill("30")
    await page.get_by_label("Threshold").fill("12")
    await page.get_by_text("`method.threshold`: input should be less than 9").wait_for()
    await accessible(page)
    await page.get_by_label("Threshold").fill("2.5")
    await page.get_by_label("Name", exact=True).fill("my-run")
    await page.get_by_text("`method.threshold`: input should be less than 9").wait_for(state="hidden")
    await page.get_by_label("One instruction per line").fill("Write a haiku.\nPlan a trip.")
    await page.get_by_text("As YAML").click()
    await page.get_by_text("threshold: 2.5").wait_for()
    await page.get_by_role("button", name="Plan the run").click()
    start = page.get_by_role("button", name="Start the run")
    await start.wait_for()
    await accessible(page)
    await phone.goto(page.url)
    await accessible(phone)
    assert await phone.evaluate("document.documentElement.scrollWidth") == 390
    await start.click()
    await page.get_by_text("complete", exact=True).first.wait_for(timeout=60_000)
    manifest = read_manifest(tmp_path / "my-run")
    assert manifest
    assert (manifest["state"], manifest["size"], manifest["method"]["threshold"]) == ("complete", 30, 2.5)
