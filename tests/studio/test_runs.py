"""The list of runs and the page of one, over directories made by hand."""

from __future__ import annotations

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.studio.served import Browser, made_run, studio

from codeclm import run_directory
from codeclm.studio.folders import Run, RunsFolder
from codeclm.studio.runs import all_summaries, when
from codeclm.studio.summaries import summary_of

HOSTILE = "<img src=x onerror=alert(1)>\u202e{{ 7 * 7 }}\x07"


class Elements(HTMLParser):
    """The elements and attributes that a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {(tag, name) for name, _ in attrs} | {(tag, "")}


async def shown(browser: Browser, path: str = "/") -> str:
    answer = await browser.get(path)
    assert answer.status == 200, answer
    return answer.text


async def test_runs_of_every_depth_and_state_are_listed(tmp_path: Path) -> None:
    made_run(tmp_path / "alone", state="stopped")
    made_run(tmp_path / "compared" / "codeclm", state="failed", error="no luck")
    made_run(tmp_path / "study" / "align" / "round-1" / "again")
    made_run(tmp_path / "a" / "b" / "c" / "d" / "too-deep")
    made_run(tmp_path / ".hidden" / "run")
    made_run(tmp_path / "gone", state="running")  # by a process that was killed
    async with studio(tmp_path) as browser:
        text = await shown(browser)
        assert re.findall('href="/runs/([^"]+)"', text)
        assert set(re.findall('href="/runs/([^"]+)"', text)) == {
            "alone", "compared~codeclm", "gone", "study~align~round-1~again"
        }  # fmt: skip
        assert {*re.findall('badge (\\w+)"', text)} == {"stopped", "failed", "killed", "complete"}
        assert "no luck" in await shown(browser, "/runs/compared~codeclm")


async def test_a_run_directory_itself_may_be_looked_at(tmp_path: Path) -> None:
    made_run(tmp_path / "one")
    async with studio(tmp_path / "one") as browser:
        assert 'href="/runs/one"' in await shown(browser)
        assert "strong-model" in await shown(browser, "/runs/one")


async def test_a_run_that_is_held_is_running_and_first(tmp_path: Path) -> None:
    made_run(tmp_path / "newer")
    busy = made_run(tmp_path / "busy", state="running")
    with run_directory.alone(busy):
        assert [one.state for one in all_summaries(RunsFolder(tmp_path))] == ["running", "complete"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "not readable"),
        (b"[]", "not the manifest"),
        (b'{"state": "odd"}', "a state that no run has"),
        (b'{"state": ["complete"]}', "a state that no run has"),
        (b" " * (5 * 2**20), "5,242,880 bytes"),
        (b"\xff\xfe", "not readable"),
    ],
)
async def test_a_broken_directory_is_listed_with_what_is_wrong(tmp_path: Path, content: bytes, problem: str) -> None:
    made_run(tmp_path / "whole")
    (made_run(tmp_path / "broken") / "manifest.json").write_bytes(content)
    async with studio(tmp_path) as browser:
        text = await shown(browser)
        assert "2 of 2 runs" in text
        assert problem in text
        assert problem in await shown(browser, "/runs/broken")


async def test_a_directory_without_its_manifest_is_told(tmp_path: Path) -> None:
    run = made_run(tmp_path / "one")
    (run / "manifest.json").unlink()
    for name in ("config.yaml", "journal.sqlite"):
        (run / name).touch()
    async with studio(tmp_path) as browser:
        assert "There is no manifest.json" in await shown(browser)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "size", "examples", "counts", "kept_by_iteration", "mean_gap", "kept_target_answers", "failures_by_cause", "models",
    "method", "seed", "calls", "faults", "usd", "shared_calls", "usd_used", "error", "codeclm",
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), junk))
async def test_any_manifest_has_a_page(tmp_path: Path, values: dict[str, object]) -> None:
    made_run(tmp_path / "junk", **values)
    async with studio(tmp_path) as browser:
        for path in ("/", "/runs/junk"):
            await shown(browser, path)


async def test_hostile_texts_are_text_and_add_no_element(tmp_path: Path) -> None:
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    made_run(plain / "run", error="why", state="stopped", failures_by_cause={"cause": 1}, faults={"fault": 2})
    made_run(
        hostile / "run",
        error=HOSTILE,
        state="stopped",
        failures_by_cause={HOSTILE: 1},
        faults={HOSTILE: 2},
        codeclm=HOSTILE,
        models={role: {"model": HOSTILE} for role in ("strong", "target", "judge")},
        method={"name": HOSTILE, "judging": "pairwise", "threshold": 3},
        kept_by_iteration={HOSTILE: 1},
        calls=[{"stage": HOSTILE, "model": HOSTILE, "calls": 1}],
    )
    for path in ("/", "/runs/run"):
        async with studio(plain) as browser:
            expected = Elements(await shown(browser, path)).found
        async with studio(hostile) as browser:
            text = await shown(browser, path)
        assert Elements(text).found == expected
        assert "&lt;img" in text
        assert "{{ 7 * 7 }}" in text
        assert "\u202e" not in text


@pytest.mark.parametrize(
    "name",
    ["with space", "<b>&\"'", "\u202eltr", "new\nline", "-", "a~b", "ünï", "%2e%2e", "x" * 200, "q?a=b#c"],
)
async def test_a_run_of_any_name_is_found_by_a_safe_key(tmp_path: Path, name: str) -> None:
    made_run(tmp_path / name, size=4321)
    made_run(tmp_path / "a" / "b")
    [key] = [run.key for run in RunsFolder(tmp_path).find() if run.name == name]
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", key)
    assert key not in (".", "..")
    async with studio(tmp_path) as browser:
        assert f'href="/runs/{key}"' in await shown(browser)
        assert "4,321" in await shown(browser, f"/runs/{key}")


async def test_the_list_is_searched_and_filtered(tmp_path: Path) -> None:
    made_run(tmp_path / "mine", state="stopped")
    made_run(tmp_path / "yours", models={"strong": {"model": "GPT-9"}, "target": {"model": "tiny"}})
    async with studio(tmp_path) as browser:
        for query, found in {
            "q=gpt+tiny": {"yours"},
            "q=MINE": {"mine"},
            "state=stopped": {"mine"},
            "q=o&state=complete": {"yours"},
            "q=nothing": set(),
            "q=": {"mine", "yours"},
        }.items():
            text = await shown(browser, f"/?{query}")
            assert set(re.findall('href="/runs/([^"]+)"', text)) == found, query
        part = (await browser.get("/?q=gpt", {"Studio-Partial": "true"})).text
        assert "<html" not in part
        assert "yours" in part


async def test_a_run_that_shares_its_journal_says_so(tmp_path: Path) -> None:
    made_run(tmp_path / "one", shared_calls=77, usd_used=0.5)
    async with studio(tmp_path) as browser:
        text = await shown(browser, "/runs/one")
    assert "77 of the 120 calls it used" in text
    assert "cost $0.50" in text


async def test_a_run_that_moved_away_is_not_found_any_more(tmp_path: Path) -> None:
    made_run(tmp_path / "one")
    async with studio(tmp_path) as browser:
        await shown(browser, "/runs/one")
        (tmp_path / "one").rename(tmp_path / "two")
        assert (await browser.get("/runs/one")).status == 404
        await shown(browser, "/runs/two")


def test_a_thousand_runs_are_listed_in_half_a_second(tmp_path: Path) -> None:
    for number in range(1000):
        made_run(tmp_path / f"group-{number % 10}" / f"run-{number}")
    folder = RunsFolder(tmp_path)
    began = time.process_time()
    assert len(all_summaries(folder)) == 1000
    assert time.process_time() - began < 0.5


def test_a_moment_is_told_as_people_do() -> None:
    now = time.time()
    assert when(0) == ""
    assert when(now) == "just now"
    assert when(now - 300) == "5 min ago"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", when(now - 10 * 24 * 3600))


def test_a_summary_has_the_manifests_figures(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "one")
    (folder / "audit.json").write_text(json.dumps({}))
    found = summary_of(Run("one", "one", folder))
    assert (found.state, found.kept, found.size, found.usd, found.method) == ("complete", 60, 60, 1.25, "codeclm")
    assert (found.tokens, found.calls_made, found.calls[0].mean_seconds) == (9800, 120, 0.5)
    assert found.named_models == (("strong", "strong-model"), ("target", "target-model"))
    assert found.has == ("audit",)
