"""Blind comparison by people: the sets, what is shown, what is kept, and who learns what when."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from tests.dataset.samples import iteration, kept
from tests.studio.outcome_runs import outcomes_run
from tests.studio.served import Answer, Browser, studio

from codeclm.dataset.outcomes import row_line
from codeclm.errors import InputError
from codeclm.evaluating.human import Rating, Shown, as_values, read_ratings, read_set, write_set
from codeclm.records import Iteration, Outcome
from codeclm.studio.app import make_app
from codeclm.studio.blind_sets import Rated, find_sets, rate, raters_of, read_blind, read_rated, set_of_key
from codeclm.studio.drawn_set import draw_set

if TYPE_CHECKING:
    from playwright.async_api import Page

Serve = Callable[[web.Application], Awaitable[str]]
Accessible = Callable[["Page"], Awaitable[None]]

NAMES = ("gpt-secret", "llama-secret")


def made_set(folder: Path, items: int = 3, name: str = "gpt-secret-vs-llama-secret") -> str:
    """A set whose file's name tells the models, as people do name files; gives its key in addresses."""
    shown = [
        Shown(
            f"i{number}", f"Question {number}?", f"good {number}", f"bad {number}", "chat", "win" if number else "loss"
        )
        for number in range(items)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_set(folder / f"{name}.csv", shown, candidate=NAMES[0], reference=NAMES[1], rule="strict")
    return next(place.key for place in find_sets(folder) if place.name == name)


async def say(
    browser: Browser, key: str, preference: str, *, rater: str = "ann", item: int = 1, **fields: str
) -> Answer:
    """What a rater's choice is answered."""
    page = (await browser.get(f"/compare/{key}?rater=nobody&item=1")).text
    found = re.search('name="set" value="([^"]+)"', page)
    assert found
    sent: dict[str, Any] = {
        "csrf": await browser.csrf(),
        "rater": rater,
        "item": str(item),
        "preference": preference,
        "note": "",
    }
    return await browser.post(f"/compare/{key}", **sent | {"set": found[1]} | fields)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def better(folder: Path, place: int) -> str:
    """The side on which the good answer of an item stands."""
    found = find_sets(folder)[0]
    return "a" if read_blind(found).items[place - 1].answer_a.startswith("good") else "b"


async def test_nothing_tells_whose_answers_they_are_before_the_end(tmp_path: Path) -> None:
    key = made_set(tmp_path / "runs" / "gpt-secret-eval")
    async with studio(tmp_path) as browser:
        seen = [await browser.get("/compare"), await browser.get(f"/compare/{key}")]
        for item in (1, 2, 3):
            seen.append(await browser.get(f"/compare/{key}?rater=ann&item={item}"))
            seen.append(await browser.get(f"/compare/{key}/results?rater=ann"))
            seen.append(await say(browser, key, "a", item=item))
        last = seen[-1].headers["Location"]
        results = await browser.get(f"/compare/{key}/results?rater=ann")
        of_another = await browser.get(f"/compare/{key}/results?rater=ben")
        (tmp_path / "runs" / "gpt-secret-eval" / "gpt-secret-vs-llama-secret.cat.jsonl").write_text("{}")
        seen += [await browser.get(f"/compare/{key}?rater=cat"), await say(browser, key, "a", rater="cat")]
        (tmp_path / "runs" / "gpt-secret-eval" / "gpt-secret-vs-llama-secret.jsonl").write_text("{")
        seen += [await browser.get("/compare"), await browser.get(f"/compare/{key}")]
    for answer in (*seen, of_another):
        assert "secret" not in repr(answer)
    assert f"/compare/{key}/results" in last
    assert "3 of 3 are left" in of_another.text
    assert all(name in results.text for name in NAMES)


async def test_the_choice_is_on_disk_before_the_next_item(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    key = made_set(folder)
    async with studio(tmp_path) as browser:
        first = await say(browser, key, "b", item=1, note="B is\r\nshorter")
        assert first.headers["Location"].endswith("rater=ann&item=2")
        resumed = await browser.get(f"/compare/{key}?rater=ann")
        assert "Item 2 of 3" in resumed.text
        again = await say(browser, key, "tie", item=1)
        assert again.headers["Location"].endswith("item=2")
        await say(browser, key, "a", item=3)
        noted = await say(browser, key, "", item=3, note="sure")
        assert noted.headers["Location"].endswith("item=3")
        last = await say(browser, key, "b", item=2)
        assert f"/compare/{key}/results" in last.headers["Location"]
    file = folder / "gpt-secret-vs-llama-secret.ann.jsonl"
    assert [name for name in files_in(folder) if "ann" in name] == [file.name]
    items = [one.item for one in read_blind(find_sets(tmp_path)[0]).items]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["item"]: (row["preference"], row["notes"]) for row in rows} == {
        items[0]: ("tie", ""),
        items[1]: ("b", ""),
        items[2]: ("a", "sure"),
    }
    # As `codeclm evaluate --human` reads it.
    ratings = read_ratings([file])
    assert (len(ratings.ratings), ratings.refused, ratings.empty) == (3, (), 0)
    assert Rating(items[0], "ann", "tie") in ratings.ratings


async def test_two_raters_are_told_together(tmp_path: Path) -> None:
    key = made_set(tmp_path)
    async with studio(tmp_path) as browser:
        for item in (1, 2, 3):
            await say(browser, key, better(tmp_path, item), item=item)
            await say(browser, key, better(tmp_path, item) if item < 3 else "tie", item=item, rater="Ben_2")
        results = (await browser.get(f"/compare/{key}/results?rater=ann")).text
    found = as_values(read_ratings(list(raters_of(find_sets(tmp_path)[0]).values())))
    assert (found["wins"], found["ties"], found["losses"], found["raters"]) == (2, 1, 0, 2)
    assert "2 · 1 · 0" in results
    assert "as 2 people see it" in results
    assert f"{100 * found['judge']['raw']:.0f} %" in results
    assert "--human gpt-secret-vs-llama-secret.Ben_2.jsonl" in results


@pytest.mark.parametrize("rater", ["", "../x", "a/b", "a.b", "ä", "x" * 41, "a b", "\x00"])
async def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, rater: str) -> None:
    key = made_set(tmp_path)
    async with studio(tmp_path) as browser:
        before = files_in(tmp_path)
        answer = await say(browser, key, "a", rater=rater)
        assert 400 <= answer.status < 500
        assert files_in(tmp_path) == before
        assert (await browser.get(f"/compare/{key}?rater=a%2Fb")).status == 400


async def test_no_other_file_is_ever_replaced(tmp_path: Path) -> None:
    """A rater named like another set's file, a file of something else, a link, and a set made anew."""
    key = made_set(tmp_path, name="one")
    made_set(tmp_path, 2, "one.ann")
    (tmp_path / "one.ann.jsonl").unlink()  # its rows are in one.ann.csv
    (tmp_path / "one.ben.jsonl").write_text('{"set": "other", "item": "1"}\n')
    (tmp_path / "one.cat.jsonl").symlink_to(tmp_path / "one.jsonl")
    before = files_in(tmp_path)
    async with studio(tmp_path) as browser:
        for rater in ("ann", "ben", "cat"):
            assert 400 <= (await say(browser, key, "a", rater=rater)).status < 500
        for wrong in ({"set": "0"}, {"item": "9"}, {"item": "0"}, {"item": "x"}, {"preference": "A"}):
            assert 400 <= (await say(browser, key, **{"preference": "a", "rater": "dan"} | wrong)).status < 500  # type: ignore[arg-type]
        assert 400 <= (await say(browser, key, "a", rater="dan", note="x" * 5001)).status < 500
    assert files_in(tmp_path) == before


def test_a_set_is_found_by_listing_and_links_are_not_followed(tmp_path: Path) -> None:
    made_set(tmp_path / "outside")
    runs = tmp_path / "runs"
    made_set(runs / "eval" / "deep", name="set")
    (runs / "link").symlink_to(tmp_path / "outside")
    (runs / "x.key.json").symlink_to(tmp_path / "outside" / f"{'-vs-'.join(NAMES)}.key.json")
    (runs / "x.jsonl").write_text("{}")
    assert [place.name for place in find_sets(runs)] == ["set"]
    assert set_of_key(runs, "../eval") is None


def test_what_was_filled_in_elsewhere_is_gone_on_with(tmp_path: Path) -> None:
    made_set(tmp_path)
    place = find_sets(tmp_path)[0]
    rows = read_set(place.rows)
    rows[1]["preference"], rows[1]["notes"] = " B ", "by hand"
    (tmp_path / f"{place.name}.ann.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    blind = read_blind(place)
    assert read_rated(blind, "ann")[blind.items[1].item] == Rated("b", "by hand")
    rate(blind, "ann", blind.items[0].item, Rated("a"))
    assert read_rated(blind, "ann")[blind.items[1].item] == Rated("b", "by hand")
    with pytest.raises(InputError, match="no such item"):
        rate(blind, "ann", "other", Rated("a"))


def outcomes(count: int) -> list[Outcome]:
    """Outcomes where the strong answer is better, as good, and worse, in turns."""

    def one(number: int) -> Iteration:
        return iteration(
            f"Question {number}?", ((9, 4), (4, 9), (9, 4))[number % 3], ((9, 4), (4, 9), (4, 9))[number % 3]
        )

    return [kept(f"{number:06d}.0", one(number)) for number in range(count)]


def test_a_set_is_drawn_from_what_the_judge_compared(tmp_path: Path) -> None:
    final = outcomes(1)[0].final
    not_compared = kept("000099.0", Iteration(final.instruction, final.strong))
    run = outcomes_run(tmp_path / "one", [*outcomes(30), not_compared])
    folder, name = draw_set(run, 10, 0)
    assert draw_set(run, 10, 0) == (folder, name)
    other, another = draw_set(run, 10, 1)
    assert (other, another) == (folder, "set-2")
    first, second = (read_set(folder / f"{each}.jsonl") for each in (name, another))
    assert len(first) == len(second) == 10
    assert {row["item"] for row in first} != {row["item"] for row in second}
    key = json.loads((folder / "set-1.key.json").read_text())
    assert (key["candidate"], key["reference"]) == ("secret-target (target)", "secret-strong (strong)")
    judged = {0: "loss", 1: "win", 2: "tie"}  # from the target's side
    assert all(one["judged"] == judged[int(item[:6]) % 3] for item, one in key["items"].items())
    for row in first:
        ours = row["answer_a" if key["items"][row["item"]]["candidate"] == "a" else "answer_b"]
        assert ours.startswith("A target answer")
    assert len(read_set(draw_set(run, 1000, 0)[0] / "set-3.jsonl")) == 30


def test_a_run_that_compared_nothing_says_so(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one", [])
    with pytest.raises(InputError, match="No two answers were compared"):
        draw_set(run, 10, 0)
    (run / "examples.jsonl").write_bytes(row_line({"id": "x"}) + b"[1]\n")
    with pytest.raises(InputError, match="No two answers were compared"):
        draw_set(run, 10, 0)
    (run / "examples.jsonl").write_bytes(row_line({"id": "x", "history": [{"strong_first": [9, 1]}]}))
    with pytest.raises(InputError, match="not a row"):
        draw_set(run, 10, 0)
    assert not (run / "people").exists()


async def at(page: Page, place: int) -> None:
    """Wait until an item is shown, and its keys are heeded."""
    await page.get_by_role("heading", name=f"Item {place} of 10").wait_for()
    await page.wait_for_load_state("domcontentloaded")


@pytest.mark.slow
async def test_ten_comparisons_by_keyboard(
    page: Page, phone: Page, serve: Serve, accessible: Accessible, tmp_path: Path
) -> None:
    run = outcomes_run(tmp_path / "one", outcomes(30))
    base = await serve(make_app(tmp_path))
    await page.goto(f"{base}/runs/one/compare")
    await page.get_by_label("Items").fill("10")
    await page.keyboard.press("Enter")
    await page.get_by_label("Your name").wait_for()
    await page.keyboard.type("ann")
    await page.keyboard.press("Enter")
    for place, key in enumerate("1b0 ta2b1", start=1):
        await at(page, place)
        if place == 2:
            await accessible(page)
            await page.keyboard.press("n")
            await page.keyboard.type("1 is not a choice here")
            await page.keyboard.press("Escape")
        await page.keyboard.press(key)
    await at(page, 10)
    await page.keyboard.press("ArrowLeft")
    await at(page, 9)
    await page.keyboard.press("2")  # another mind
    await at(page, 10)
    await phone.goto(page.url)
    await accessible(phone)
    assert await phone.evaluate("document.documentElement.scrollWidth") == 390
    await page.keyboard.press("Space")
    await page.get_by_role("heading", name="Results").wait_for()
    await accessible(page)
    rows = [json.loads(line) for line in (run / "people" / "set-1.ann.jsonl").read_text().splitlines()]
    order = [one.item for one in read_blind(find_sets(tmp_path)[0]).items]
    said = {row["item"]: row["preference"] for row in rows}
    assert [said[item] for item in order] == ["a", "b", "tie", "tie", "tie", "a", "b", "b", "b", "tie"]
    assert rows[1]["notes"] == "1 is not a choice here"
