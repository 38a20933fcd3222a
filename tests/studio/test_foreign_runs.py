"""Run directories that somebody else made, to harm whoever looks at them: nothing hangs, nothing else is touched."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest
from tests.studio.indexed_runs import indexed
from tests.studio.outcome_runs import KEPT, outcomes_run
from tests.studio.served import Browser, made_run, studio

from codeclm import bounded_lines, run_directory, worker
from codeclm.errors import RunDirectoryError
from codeclm.studio import controls
from codeclm.studio.folders import Run, RunsFolder
from codeclm.worker import Worker

KEPT_ID = KEPT[0].id
PAGES = (
    "/", "/runs", "/runs/one", "/runs/one/live", "/runs/one/log", "/runs/one/report", "/runs/one/outcomes",
    "/runs/one/indexing", "/runs/one/threshold", f"/runs/one/outcomes/{KEPT_ID}", f"/runs/one/outcomes/{KEPT_ID}/calls",
    "/runs/one/compare", "/compare", "/new",
)  # fmt: skip
WITHIN = 10.0  # seconds: none of these pages takes one


async def looked_at(browser: Browser, pages: tuple[str, ...] = PAGES) -> dict[str, int]:
    """The status of each page; fails where one hangs or falls over."""
    found = {}
    for path in pages:
        async with asyncio.timeout(WITHIN):
            answer = await browser.get(path)
        assert answer.status < 500, f"{path}: {answer.text[-400:]}"
        found[path] = answer.status
    return found


@contextmanager
def nobody_waits(pipes: list[Path]) -> Iterator[None]:
    """Whoever waits for the other end of a pipe is let go at the end, so that a test that fails ends too."""
    try:
        yield
    finally:
        for pipe in pipes:
            os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))


@pytest.mark.parametrize(
    "name",
    ["examples.jsonl", "manifest.json", "config.yaml", "edits.jsonl", ".worker.json", ".live.json", "journal.sqlite",
     "report.html", "run.log", ".studio.sqlite", "anything"],
)  # fmt: skip
async def test_a_pipe_in_the_place_of_a_file_hangs_nobody(tmp_path: Path, name: str) -> None:
    run = outcomes_run(tmp_path / "runs" / "one")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    with nobody_waits([run / name]):
        async with studio(run.parent) as browser:
            found = await looked_at(browser)
            assert found["/"] == 200
            assert found["/runs/one"] == 409
            assert "neither a file nor a folder" in (await browser.get("/")).text


async def test_a_pipe_in_a_comparison_set_hangs_nobody(tmp_path: Path) -> None:
    runs = outcomes_run(tmp_path / "runs" / "one").parent
    pipes = [runs / name for name in ("a.jsonl", "b.key.json", "c.key.json", "c.csv")]
    for pipe in pipes:
        os.mkfifo(pipe)
    (runs / "a.key.json").write_text("{}")
    (runs / "b.jsonl").write_text("{}")
    with nobody_waits(pipes):
        async with studio(runs) as browser:
            await looked_at(browser)


@pytest.mark.parametrize("name", ["loop", "examples.jsonl", ".lock"])
async def test_a_link_in_a_circle_breaks_its_run_alone(tmp_path: Path, name: str) -> None:
    run = outcomes_run(tmp_path / "one")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(name)
    made_run(tmp_path / "other")
    async with studio(tmp_path) as browser:
        found = await looked_at(browser)
        assert found["/runs/one"] == 409
        assert (await browser.get("/runs/other")).status == 200


@pytest.mark.parametrize("name", list(run_directory.OWN_FILES))
async def test_a_folder_in_the_place_of_a_file(tmp_path: Path, name: str) -> None:
    run = outcomes_run(tmp_path / "one")
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()
    async with studio(tmp_path) as browser:
        assert (await looked_at(browser))["/runs/one"] == 409


@pytest.mark.parametrize("name", ["edits.jsonl", "run.log", ".lock", "manifest.json.partial", ".live.json.partial"])
async def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    other = outcomes_run(tmp_path / "other")
    run = outcomes_run(tmp_path / "one")
    (run / name).symlink_to(other / "examples.jsonl")
    before = (other / "examples.jsonl").read_bytes()
    async with studio(tmp_path) as browser:
        sent = {"csrf": await browser.csrf(), "action": "drop"}
        assert (await browser.post(f"/runs/one/outcomes/{KEPT_ID}", None, **sent)).status == 409
        assert "is a link where codeclm writes" in (await browser.get("/")).text
    assert (other / "examples.jsonl").read_bytes() == before


async def test_a_set_is_not_drawn_through_a_link(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "runs" / "one")
    outside = tmp_path / "profile"
    outside.write_text("mine")
    (run / "people").mkdir()
    for name in ("set-1.csv", "set-1.jsonl", "set-1.key.json"):
        (run / "people" / f"{name}.partial").symlink_to(outside)
    async with studio(run.parent) as browser:
        sent = {"csrf": await browser.csrf(), "items": "3", "seed": "0"}
        assert (await browser.post("/runs/one/compare", None, **sent)).status == 303
    assert outside.read_text() == "mine"
    assert (run / "people" / "set-1.jsonl").is_file()


def test_what_lies_where_a_file_is_written_is_not_written_through(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    partial = tmp_path / "out.partial"
    plants: tuple[Callable[[], None], ...] = (
        lambda: partial.symlink_to(mine),
        lambda: os.link(mine, partial),
        lambda: os.mkfifo(partial),
    )
    for plant in plants:
        plant()
        run_directory.write(tmp_path / "out", b"new")
        assert (mine.read_text(), (tmp_path / "out").read_bytes()) == ("mine", b"new")


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
MERGES = "a0: &a0 {a: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9))
DEEP = "models: &m {a: {}}\nx: &x {" + ", ".join(f"k{n}: *m" for n in range(500)) + "}\n"


@pytest.mark.parametrize("content", [BOMB, MERGES, DEEP, "[" * 1_000, "- " * 1_000, "a: " * 1000, "\0", "&a [*a]"])
async def test_a_config_that_is_a_bomb_does_not_go_off(tmp_path: Path, content: str) -> None:
    run = outcomes_run(tmp_path / "one")
    made_run(run, state="stopped")
    (run / "config.yaml").write_text(content)
    async with studio(tmp_path) as browser:
        await looked_at(browser, ("/", "/runs/one", "/runs/one/threshold", f"/runs/one/outcomes/{KEPT_ID}/calls"))
        assert (await browser.post("/runs/one/go-on", csrf=await browser.csrf())).status == 409


@pytest.mark.parametrize("name", [".worker.json", ".live.json", "manifest.json", "edits.jsonl", "config.yaml"])
async def test_a_file_of_many_gigabytes_is_not_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_lines, "LONGEST", 2**20)
    run = outcomes_run(tmp_path / "one")
    with (run / name).open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no room on the disk, and would take a terabyte of memory
    pages = tuple(page for page in PAGES if name != "edits.jsonl" or page == "/runs/one")
    async with studio(tmp_path) as browser:
        await looked_at(browser, pages)


def test_a_line_without_an_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_lines, "LONGEST", 100_000)
    run = outcomes_run(tmp_path / "one")
    whole = indexed(run).total
    with (run / "examples.jsonl").open("ab") as file:
        file.write(b'{"id": "' + b"x" * 1_000_000 + b'"}\n')
    with (run / "examples.jsonl").open("ab") as file:
        file.write((run / "examples.jsonl").read_bytes().splitlines(keepends=True)[0].replace(b"000000.0", b"000009.0"))
    index = indexed(run)
    assert index.total == whole + 1
    assert index.unreadable() == (1, [("examples.jsonl", len(KEPT) + 1, "longer than a row can be")])
    assert index.row("000009.0")
    with pytest.raises(RunDirectoryError, match=f"{len(KEPT) + 1}: a line of more than"):
        list(run_directory.read_rows(run / "examples.jsonl"))


@pytest.mark.parametrize("moment", [1e12, -1e12])
async def test_a_time_that_no_calendar_has(tmp_path: Path, moment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    run = outcomes_run(tmp_path / "one")
    stat = os.stat_result

    def changed(path: Path, **options: bool) -> os.stat_result:
        found = os.stat(path, **options)
        return stat((*found[:8], moment, found[9])) if path.name in ("manifest.json", "set.jsonl") else found

    for name in ("set.jsonl", "set.key.json"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(Path, "stat", changed)
    async with studio(tmp_path) as browser:
        await looked_at(browser, ("/", "/runs/one", "/compare"))
    assert run


@pytest.mark.slow
async def test_no_module_is_taken_from_where_the_studio_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes_run(tmp_path / "one")
    for name in ("orjson", "heapq", "sqlite3", "yaml"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    async with studio(tmp_path) as browser:
        while "are being indexed" in (await browser.get("/runs/one/indexing")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await browser.get("/runs/one/charts")).status < 500
    assert not (tmp_path / "executed").exists()
    assert sys.modules["orjson"] is orjson


def test_no_other_process_is_signalled_than_the_one_at_work(tmp_path: Path) -> None:
    """The file names another process of this machine, with its number and its start."""
    run = made_run(tmp_path / "one")
    with run_directory.alone(run):
        own = worker.read(run)
        assert own
        assert worker.may_hold(own, run / run_directory.LOCK)
        other = Worker(os.getppid(), own.host, worker._started(os.getppid()) or "", heeds_signals=True)
        (run / worker.NAME).write_text(json.dumps(asdict(other)))
        assert worker.is_here(other)
        if Path("/proc/locks").exists():
            found, why = controls.who_can_stop(Run("one", "one", run))
            assert (found, why) == (None, "Another process works on this run than its files tell. Stop it where it was "
                                    "started.")  # fmt: skip
    assert not worker.send(own, signal.SIGINT)  # never itself


async def test_who_goes_on_with_a_run_is_told_what_it_reaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET_KEY", "sk-secret-value")
    runs = tmp_path / "runs"
    model = {"model": "m", "base_url": "http://collector.test/v1", "headers": {"X-Extra": "${HOME}"}}
    outcomes_run(
        runs / "one",
        models={"strong": model | {"api_key_env": "MY_SECRET_KEY"}, "target": {"model": "t", "base_url": "simulator"}},
        seeds=str(tmp_path / "diary.txt"),
    )
    made_run(runs / "one", state="stopped")
    (tmp_path / "diary.txt").write_text("Dear diary")
    async with studio(runs) as browser:
        page = (await browser.get("/runs/one")).text
    assert 'action="/runs/one/go-on"' in page
    for told in ("http://collector.test/v1", "MY_SECRET_KEY", "HOME", str(tmp_path / "diary.txt")):
        assert told in page
    assert "sk-secret-value" not in page
    assert "Dear diary" not in page


async def test_odd_ids_have_pages_of_their_own(tmp_path: Path) -> None:
    run = outcomes_run(tmp_path / "one")
    row = orjson.loads((run / "examples.jsonl").read_bytes().splitlines()[0])
    ids = ("a/b", "{a}", "../../new", "%2e", "a?b", "a#b", "\0", "a\nb", "<b>", '"')
    (run / "examples.jsonl").write_bytes(b"".join(orjson.dumps(row | {"id": id}) + b"\n" for id in ids))
    async with studio(tmp_path) as browser:
        listed = (await browser.get("/runs/one/outcomes")).text
        links = [part.partition('"')[0] for part in listed.split('<a class="text clipped" dir="auto" href="')[1:]]
        own = [link for link in links if "/outcomes/" in link][: len(ids)]
        for id, link in zip(ids, own, strict=True):
            page = await browser.get(link)
            assert page.status == 200, id
            assert f"{link}/calls" in page.text  # and from there on
            assert (await browser.get(f"{link}/calls")).status == 200


async def test_what_is_no_text_is_shown_as_such(tmp_path: Path) -> None:
    set_of_surrogates(tmp_path)
    async with studio(tmp_path) as browser:
        for run in RunsFolder(tmp_path).find():
            await looked_at(browser, ("/", f"/runs/{run.key}", "/new", "/compare"))
        page = (await browser.get("/compare")).text
        address = page.split('class="button" href="')[1].partition('"')[0]
        await looked_at(browser, (address, f"{address}?rater=ada", f"{address}?rater=%ed%a0%80"))
        form = {"csrf": await browser.csrf(), "rater": "ada", "item": "1", "preference": "a", "set": "?"}
        assert (await browser.post(address, None, **form)).status < 500


def set_of_surrogates(folder: Path) -> None:
    """A run, a file of seeds and a comparison set whose names and texts are no Unicode."""
    name, text = os.fsencode(folder), "\ud800"
    made_run(Path(os.fsdecode(name + b"/run\xff<b>")))
    Path(os.fsdecode(name + b"/seeds\xff.txt")).write_text("A seed.\n")
    key = {"set": text, "candidate": text, "reference": "r", "rule": "strict"}
    items = {"1": {"candidate": "a", "category": text}}
    (folder / "set.key.json").write_text(json.dumps(key | {"items": items}))
    row = {"set": text, "item": "1", "instruction": text, "answer_a": text, "answer_b": "b"}
    (folder / "set.jsonl").write_text(json.dumps(row) + "\n")


VALUES: tuple[object, ...] = (None, True, -1, 2**63, 1e300, "text", [], {}, [[]], {"a": {}}, [1], {"": None}, "\x00")


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value!r:.12}")
@pytest.mark.parametrize("where", ["manifest", "live"])
async def test_values_of_any_kind_are_shown_or_left_out(tmp_path: Path, where: str, value: object) -> None:
    run = outcomes_run(tmp_path / "one")
    manifest = json.loads((run / "manifest.json").read_text())
    live = dict.fromkeys((
        "phase", "done", "total", "of_what", "eta_seconds", "elapsed_seconds", "calls_per_second", "tokens_per_second",
        "found_per_minute", "calls_made", "in_flight", "tokens_made", "usd", "stopping", "counts", "retries", "notes",
    ), 1)  # fmt: skip
    state = {} if where == "manifest" else {"state": "running"}
    write: Callable[[dict[str, object]], object]
    if where == "manifest":
        values, write = manifest, lambda now: (run / "manifest.json").write_bytes(orjson.dumps(now))
    else:
        made_run(run, state="running")
        values, write = live, lambda now: (run / ".live.json").write_bytes(orjson.dumps(now))
    async with studio(tmp_path) as browser:
        with run_directory.alone(run):
            for name in values:
                if name != "state":
                    write({**values, **state, name: value})
                    await looked_at(browser, ("/", "/runs/one", "/runs/one/live"))
