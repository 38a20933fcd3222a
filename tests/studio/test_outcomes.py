"""One outcome's page, and what a person does there."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from tests.dataset.samples import FOURTH, UNICODE, iteration, kept
from tests.studio.outcome_runs import DISCARDED, FAILED, SINGLE, outcomes_run, write_outcomes
from tests.studio.served import Answer, Browser, studio

from codeclm.config_files import from_mapping
from codeclm.edits import digest_of, history_of, read_edits
from codeclm.generate import generate
from codeclm.records import Entry, Metadata, Outcome
from codeclm.reselect import export_run
from codeclm.studio.app import make_app

if TYPE_CHECKING:
    from playwright.async_api import Page

Serve = Callable[[web.Application], Awaitable[str]]
Accessible = Callable[["Page"], Awaitable[None]]


def address(outcome: Outcome) -> str:
    return f"/runs/one/outcomes/{outcome.id}"


def texts_in(page: str) -> str:
    """What the page says, without its tags."""
    return html.unescape(re.sub("<[^>]*>", "", page))


async def change(browser: Browser, outcome: Outcome, action: str, **fields: str) -> Answer:
    """What the page's own form is answered, with these fields filled in."""
    page = (await browser.get(address(outcome))).text
    hidden = dict(re.findall('type="hidden" name="([a-z]+)" value="([^"]*)"', page))
    texts = {
        name: html.unescape(text) for name, text in re.findall('name="(instruction|answer)"[^>]*>\n([^<]*)<', page)
    }
    sent: dict[str, Any] = hidden | {"action": action} | (texts if action == "edit" else {}) | fields
    return await browser.post(address(outcome), **sent)


async def test_the_whole_way_is_told(tmp_path: Path) -> None:
    outcomes_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        page = await browser.get(address(FOURTH))
    said = texts_in(page.text)
    assert page.status == 200
    for one in FOURTH.iterations:
        assert one.strong
        assert one.target
        assert one.comparison
        for text in (one.instruction.text, one.instruction.action, one.strong.text, one.target.text):
            assert text in said
        assert all(f"{score:g}" in said for score in (*one.comparison.strong_first, *one.comparison.target_first))
    assert '<ins class="change"> to a sailor</ins>' in page.text
    assert "Kept at iteration 4 with the target answer, for a gap of −6.25; the threshold is 3." in said
    assert said.count("Not kept here: gap within the threshold.") == 3
    assert "наука — 科学 🧪" in said
    assert "none: the metadata was mixed" in said


async def test_discarded_and_failed_say_why(tmp_path: Path) -> None:
    outcomes_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        discarded, failed = [texts_in((await browser.get(address(one))).text) for one in (DISCARDED, FAILED)]
        none = await browser.get("/runs/one/outcomes/77")
    assert "Not kept after 2 iterations: gap within the threshold; the threshold is 3." in discarded
    assert "Stage improve, cause unparseable, after 3 attempts." in failed
    assert "no action in the reply" in failed
    assert "<<nothing of use>>␀" in failed
    for page in (discarded, failed):
        assert "Save the edit" not in page
    assert none.status == 404


async def test_seeds_are_shown_where_they_are_in_reach(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = outcomes_run(runs / "one")
    outside = tmp_path / "seeds.jsonl"
    outside.write_text((runs / "seeds.jsonl").read_text())
    async with studio(runs) as browser:
        within = texts_in((await browser.get(address(SINGLE))).text)
        config = (run / "config.yaml").read_text()
        (run / "config.yaml").write_text(config.replace(str(runs / "seeds.jsonl"), str(outside)))
        without = texts_in((await browser.get(address(SINGLE))).text)
    assert "The first <b>seed</b>." in within
    assert "The third." in within
    assert "seeds.jsonl:3" in without
    assert "The first <b>seed</b>." not in without
    assert "outside the runs folder" in without


async def test_an_edit_is_kept_beside_what_the_models_said(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    before = (run / "examples.jsonl").read_bytes()
    async with studio(tmp_path) as browser:
        answer = await change(browser, SINGLE, "edit", answer="Dear you,\r\n<i>yes</i>", by="Ann", note="too long")
        assert (answer.status, answer.headers["Location"]) == (303, address(SINGLE))
        page = (await browser.get(address(SINGLE))).text
        assert "Saved." in page
    said = texts_in(page)
    assert (run / "examples.jsonl").read_bytes() == before
    edit = read_edits(run)[SINGLE.id]
    assert (edit.instruction, edit.answer, edit.by, edit.note) == (None, "Dear you,\n<i>yes</i>", "Ann", "too long")
    assert "edited by a person" in said
    assert "A strong answer to: Write a letter." in said
    assert "<i>yes</i>" in said
    assert "<i>yes" not in page
    exported = export_run(run, format="messages", out=tmp_path / "out.jsonl")
    assert (exported.rows, exported.edits.edited) == (3, 1)
    assert "Dear you," in exported.path.read_text()


async def test_drop_and_restore(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        await change(browser, SINGLE, "drop", note="nonsense")
        assert read_edits(run)[SINGLE.id].action == "drop"
        dropped = (await browser.get(address(SINGLE))).text
        assert "dropped by a person" in texts_in(dropped)
        assert 'value="edit"' not in dropped
        await change(browser, SINGLE, "restore")
        assert read_edits(run) == {}
        assert [edit.action for edit in history_of(run, SINGLE.id)] == ["drop", "restore"]
        # An edit back to the models' words is none.
        await change(browser, SINGLE, "edit", answer="Another.")
        await change(browser, SINGLE, "edit", answer="A strong answer to: Write a letter.")
        assert read_edits(run) == {}


async def test_what_nobody_touched_is_not_taken_for_changed(tmp_path: Path) -> None:
    """A browser changes ends of lines and what HTML has no place for; that is no edit."""
    odd = kept("000009.0", iteration("One.\r\nTwo.\rThree.\x00", (9, 4)))
    run = outcomes_run(tmp_path / "one", (odd, UNICODE))
    async with studio(tmp_path) as browser:
        for outcome in (odd, UNICODE):
            final = outcome.final
            texts = {"instruction": final.instruction.text, "answer": final.kept.text}
            as_sent = {
                name: re.sub("\r\n|\r|\n", "\r\n", text).replace("\x00", "\ufffd") for name, text in texts.items()
            }
            answer = await change(browser, outcome, "edit", **as_sent)
            assert answer.status == 409
            assert "Both texts are as they were" in answer.text
            await change(browser, outcome, "edit", **as_sent | {"answer": "New."})
            assert (read_edits(run)[outcome.id].instruction, read_edits(run)[outcome.id].answer) == (None, "New.")


async def test_a_stale_edit_is_refused_and_what_was_typed_stays(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    anew = kept(SINGLE.id, iteration("Write a long letter.", (9, 4)))
    async with studio(tmp_path) as browser:
        csrf = await browser.csrf()
        sent: dict[str, Any] = {
            "csrf": csrf, "action": "edit", "of": digest_of(SINGLE), "seen": "0",
            "instruction": "My <own> words.", "answer": "A.", "by": "Ann", "note": "",
        }  # fmt: skip
        write_outcomes(run, (anew,))
        made_anew = await browser.post(address(SINGLE), **sent)
        write_outcomes(run, (SINGLE,))
        await change(browser, SINGLE, "edit", answer="Somebody else's.")
        overtaken = await browser.post(address(SINGLE), **sent)
        assert "made anew meanwhile" in made_anew.text
        assert "Somebody changed this example" in overtaken.text
        for answer in (made_anew, overtaken):
            assert answer.status == 409
            assert "My &lt;own&gt; words." in answer.text
        for wrong in ({"action": "burn"}, {"instruction": " "}, {"of": ""}):
            assert (await browser.post(address(SINGLE), **{**sent, "seen": "1", **wrong})).status == 409
        assert (await browser.post(address(DISCARDED), **sent)).status in (404, 409)
    assert [edit.answer for edit in history_of(run, SINGLE.id)] == ["Somebody else's."]


async def test_an_edit_of_other_words_is_told_and_not_applied(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        await change(browser, SINGLE, "edit", answer="Mine.")
        write_outcomes(run, (kept(SINGLE.id, iteration("Write a long letter.", (9, 4))),))
        said = texts_in((await browser.get(address(SINGLE))).text)
        assert "It is not applied." in said
        assert "As a person edited it" not in said
        (run / "edits.jsonl").write_text("nonsense\n")
        broken = await browser.get(address(SINGLE))
    assert broken.status == 200
    assert "edits.jsonl:1: not an edit" in broken.text
    assert "Save the edit" not in broken.text


async def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    hostile = [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 1234 * 5678 }}",
        "</textarea><b>",
        "\u202eevil\x1b",
    ]
    entry = Entry(hostile[0], Metadata(hostile[1], tuple(hostile)), tuple(hostile))
    one = kept("000001.0", *(iteration(text, (9, 4), action=text) for text in hostile), entry=entry)
    outcomes_run(tmp_path / "one", (one,))
    async with studio(tmp_path) as browser:
        await change(browser, one, "edit", answer=" ".join(hostile), by=hostile[0], note=hostile[1])
        page = (await browser.get(address(one))).text
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "7006652" not in page
    assert page.count("<textarea") == page.count("</textarea>")
    assert "⟨U+202E⟩evil␛" in page


async def run_of_simulated_models(folder: Path) -> None:
    models: dict[str, Any] = {name: {"model": name, "base_url": "simulator"} for name in ("strong", "target")}
    seeds = folder.parent / "seeds.txt"
    seeds.write_text("Write a haiku about trains.\nExplain DNS to a child.\n")
    values = {"seeds": str(seeds), "size": 4, "run_dir": str(folder), "models": models, "method": {"pool": 3}}
    await generate(from_mapping(values, folder=folder.parent))


@pytest.mark.slow
async def test_a_persons_work_in_the_browser(
    page: Page, phone: Page, serve: Serve, accessible: Accessible, tmp_path: Path
) -> None:
    await run_of_simulated_models(tmp_path / "one")
    base = await serve(make_app(tmp_path))
    await page.goto(f"{base}/runs/one/outcomes?status=kept")
    await page.locator("a[href*='/outcomes/']").first.click()
    await page.wait_for_url("**/outcomes/*")
    first = page.url
    await page.keyboard.press("j")
    await page.wait_for_function("address => window.location.href !== address", arg=first)
    await page.keyboard.press("ArrowLeft")
    await page.wait_for_url(first)
    await page.get_by_text("Every call that led here").click()
    await page.get_by_text("strong_answer").first.click()
    assert await page.locator(".call[open], .call details[open]").first.inner_text()
    await accessible(page)
    await page.get_by_text("Edit the instruction or the answer").click()
    await page.get_by_label("Answer", exact=True).fill("Written by hand.\nTwice.")
    await page.locator("#edit-note").fill("better")
    await page.get_by_role("button", name="Save the edit").click()
    await page.get_by_text("edited by a person").first.wait_for()
    assert [edit.answer for edit in read_edits(tmp_path / "one").values()] == ["Written by hand.\nTwice."]
    await accessible(page)
    await phone.goto(page.url)
    await accessible(phone)
    assert await phone.evaluate("document.documentElement.scrollWidth") == 390
