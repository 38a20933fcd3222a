"""One journal for several runs: what they have in common is paid for once, and each knows what it used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.running import (
    BUNDLED_SEEDS,
    SimulatorProcess,
    codeclm,
    manifest,
    run_until,
    same_bytes,
    simulator_process,
    write_config,
)

from codeclm import journal_file, run_directory
from codeclm.api import run_async
from codeclm.clients.ask import ask
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.journaled import Journaled
from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.config_models import ModelConfig
from codeclm.errors import BudgetReached, CallFailed, JournalError, RunDirectoryError
from codeclm.generate import generate
from codeclm.journal import CallTotal, Journal, as_row, endpoint_key, recorded_totals
from codeclm.journal_check import open_journal
from codeclm.journal_uses import RunUse, keep_uses, run_use, shared_use
from codeclm.manifest import cost_of
from codeclm.planning.plan import plan
from codeclm.prices import Price
from codeclm.progress import Progress
from codeclm.prompts import questions
from codeclm.records import Completion, Metadata, Usage
from codeclm.recover import recover

if TYPE_CHECKING:
    from tests.conftest import Endpoint

FILES = ("examples.jsonl", "discarded.jsonl", "failures.jsonl", "metadata.jsonl")
METHODS = {"metadata-only": {"name": "metadata-only"}, "codeclm": {}}


def config_in(folder: Path, run: str, **values: Any) -> RunConfig:
    """A small run on the simulated models, in ``folder / run``, that shares ``folder / journal.sqlite``."""
    models = {name: {"model": name, "base_url": "simulator", "max_in_flight": 8} for name in ("strong", "target")}
    base = {"seeds": str(BUNDLED_SEEDS), "size": 4, "journal": "journal.sqlite", "method": {"pool": 0, "threshold": 1}}
    return from_mapping(base | {"run_dir": run, "models": models} | values, folder=folder)


async def calls_made(config: RunConfig, **options: Any) -> int:
    """Run ``config``, and return how many calls it made itself."""
    seen: list[Progress] = []
    await generate(config, watch=seen.append, **options)
    return seen[0].calls.made


def use_of(folder: Path, run: str) -> RunUse:
    use = run_use(folder / "journal.sqlite", folder / run)
    assert use
    return use


def used(folder: Path) -> int:
    """What a run's manifest says it used."""
    return run_directory.counted_calls(manifest(folder))


# Two methods over HTTP, each broken off in the middle


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with simulator_process("latency=0.004", "latency_distribution=exponential") as running:
        yield running


@pytest.fixture(scope="module")
def alone(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both methods, each with a journal of its own."""
    folder = tmp_path_factory.mktemp("alone")
    for name, method in METHODS.items():
        done = codeclm("run", write_config(folder / name, simulator.base_url, size=12, method=method))
        assert done.status == 0, done
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_two_methods_share_a_journal_broken_off_in_the_middle_and_pay_once_for_what_they_have_in_common(
    number: signal.Signals, simulator: SimulatorProcess, alone: Path, tmp_path: Path
) -> None:
    simulator.reset()
    path, made = tmp_path / "journal.sqlite", {}
    for name, method in METHODS.items():
        config = write_config(tmp_path / name, simulator.base_url, size=12, method=method, journal=str(path))
        before = simulator.stats()["calls"]
        own = used(alone / name / "run")

        def reached(until: int = before + own // 3) -> bool:
            return bool(simulator.stats()["calls"] >= until)

        assert run_until(config, reached, number) == (130 if number == signal.SIGINT else -number)
        done = codeclm("run", config)
        assert done.status == 0, done
        made[name] = simulator.stats()["calls"] - before
        for file in FILES:
            assert (tmp_path / name / "run" / file).read_bytes() == (alone / name / "run" / file).read_bytes()
    stats, use = simulator.stats(), shared_use(path)
    one, other = use.runs
    assert [run.directory for run in use.runs] == [tmp_path / name / "run" for name in METHODS]
    assert one.used + other.used - use.shared == use.used == use.recorded
    assert use.uses - use.used == use.shared == other.shared == one.shared > 50
    assert [used(run.directory) for run in use.runs] == [one.used, other.used]
    assert "handshake" in {total.stage for total in other.calls}
    if number == signal.SIGINT:
        assert stats["repeated"] == 0
        assert made == {"metadata-only": one.used, "codeclm": other.used - use.shared}
    assert stats["calls"] - use.recorded <= 2 * 32  # what was in flight at the two kills
    shown = json.loads(codeclm("status", one.directory, "--json").out)
    assert (shown["shared_calls"], manifest(other.directory)["shared_calls"]) == (use.shared, use.shared)
    assert shown["calls"] == [as_row(total) for total in one.calls]
    assert f"of them other runs of {path} used too" in " ".join(codeclm("status", one.directory).out.split())
    simulator.reset()
    assert codeclm("run", tmp_path / "metadata-only" / "config.yaml").status == 0
    assert simulator.stats()["calls"] == 0
    assert shared_use(path) == use


# What is counted, whatever the order of calls, ends and kills

_SESSIONS = st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 12), max_size=8), st.booleans()), max_size=10)


@settings(max_examples=60)
@given(sessions=_SESSIONS)
def test_a_use_is_counted_once_for_each_run_however_it_was_come_to(
    sessions: list[tuple[int, list[int], bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "uses"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "journal.sqlite"
    expected: dict[int, set[int]] = {}

    async def ask_all(journal: Journal, keys: list[int]) -> None:
        for number in keys:
            if journal.get(number.to_bytes(16)) is None:
                completion = Completion("x", usage=Usage(number, 2), latency=0.5)
                filed = journal.put(number.to_bytes(16), completion, stage=f"s{number % 2}", model="m")
                await asyncio.shield(filed)

    for run, keys, killed in sessions:
        for again in (True, False) if killed else (False,):
            with Journal(path) as journal:
                uses = keep_uses(journal, folder / f"run {run}", begun_as=b"", anew=False, models=())
                asyncio.run(ask_all(journal, keys))
                if again:
                    uses._read.clear()  # what a kill loses
                else:
                    expected.setdefault(run, set()).update(keys)
                    assert sum(total.calls for total in journal.used()) == len(expected[run])
                    others = set().union(*(found for other, found in expected.items() if other != run))
                    assert uses.shared == len(expected[run] & others)
                    along = journal.used()
        assert run_use(path, folder / f"run {run}").calls == tuple(along)  # type: ignore[union-attr]
    if not sessions:
        return
    use = shared_use(path)
    assert {run.directory.name: run.used for run in use.runs} == {f"run {run}": len(expected[run]) for run in expected}
    everything = set().union(*expected.values())
    assert (use.recorded, use.used) == (len(everything), len(everything))
    assert use.shared == sum(sum(number in keys for keys in expected.values()) > 1 for number in everything)
    for run, own in expected.items():
        tokens = sum(total.prompt_tokens for total in use_of(folder, f"run {run}").calls)
        assert tokens == sum(own)
        only = shared_use(path, [folder / f"run {run}"])
        assert (only.used, only.shared, only.uses) == (len(own), 0, len(own))


async def test_replays_that_wait_to_be_written_are_few(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        for number in range(1000):
            filed = journal.put(number.to_bytes(16), Completion("x"), stage="s", model="m")
        await filed
        assert journal.rows("SELECT * FROM uses") == []  # of a journal of one run nothing is taken down
    with Journal(path) as journal:
        uses = keep_uses(journal, tmp_path / "run", begun_as=b"", anew=True, models=())
        for number in range(1000):
            journal.get(number.to_bytes(16))
            assert uses.waiting <= 256
        assert uses.waiting
        assert sum(total.calls for total in journal.used()) == 1000
        assert not uses.waiting


# One at a time


def test_only_one_run_at_a_time_is_at_work_with_a_journal(tmp_path: Path) -> None:
    one, other, apart = (config_in(tmp_path, name) for name in ("one", "other", "apart"))
    apart = apart.model_copy(update={"journal": tmp_path / "apart.sqlite"})
    with ExitStack() as stack:
        stack.enter_context(run_directory.held(one, "a"))
        stack.enter_context(open_journal(one, "a"))
        stack.enter_context(run_directory.held(other, "a"))
        with pytest.raises(RunDirectoryError, match=rf"the run in {one.run_dir} is at work with this journal"):
            stack.enter_context(open_journal(other, "a"))
        with pytest.raises(RunDirectoryError, match=rf"the run in {one.run_dir} is at work with this journal"):
            recover(other.journal or Path())
        stack.enter_context(run_directory.held(apart, "a"))
        stack.enter_context(open_journal(apart, "a"))
    with run_directory.held(other, "a"), open_journal(other, "a"):
        pass


def test_nobody_shares_the_journal_of_a_run_that_is_at_work(tmp_path: Path) -> None:
    owner = config_in(tmp_path, ".", journal=None)
    with run_directory.held(owner, "a"), open_journal(owner, "a"):
        guest = config_in(tmp_path, "guest")
        assert run_directory.journal_path(owner) == run_directory.journal_path(guest)
        with pytest.raises(RunDirectoryError, match="another run is at work with this journal"), open_journal(guest):
            pass


# Each run is what it would be by itself

QUESTION = questions.reasonable(Metadata("storytelling", ("plot", "style")))


async def test_what_one_run_asked_anew_is_no_answer_to_another(
    endpoint: Endpoint, session: aiohttp.ClientSession, model: Callable[..., ModelConfig], tmp_path: Path
) -> None:
    http = HttpClient(model(max_tokens=100), session, base_url=endpoint.base_url, name="m", traits=Traits())

    async def process(run: str, *, retrying: bool = False) -> bool | str:
        with Journal(tmp_path / "journal.sqlite") as journal:
            keep_uses(journal, tmp_path / run, begun_as=b"", anew=False, models=())
            calls = Calls(retrying_failed=retrying)
            client = Journaled(http, journal=journal, endpoint=b"e", model="m", calls=calls, stop=StopSwitch())
            try:
                return await ask(client, QUESTION, temperature=0.0)
            except CallFailed as error:
                return error.cause

    endpoint.says("Hm.", "Hm.", "Hm.", "yes")
    assert await process("one") == "unparseable"
    assert await process("other", retrying=True) is True
    assert len(endpoint.received) == 4
    assert await process("one") == "unparseable"
    assert await process("third") == "unparseable"
    assert await process("other") is True
    assert await process("one", retrying=True) is True  # what the other paid for
    assert await process("one") is True
    assert len(endpoint.received) == 4


async def test_a_probe_counts_for_the_run_and_a_rehearsal_leaves_the_journal_alone(tmp_path: Path) -> None:
    config = config_in(tmp_path, "one")
    await plan(config, 0, say=lambda _: None)
    assert not (tmp_path / "journal.sqlite").exists()
    await plan(config, 2, say=lambda _: None)
    probed = use_of(tmp_path, "one").used
    assert probed == shared_use(tmp_path / "journal.sqlite").recorded > 10
    made = await calls_made(config)
    assert made + probed == use_of(tmp_path, "one").used == used(tmp_path / "one")


async def test_another_run_in_the_same_directory_begins_to_count_anew(tmp_path: Path) -> None:
    await calls_made(config_in(tmp_path, "one"))
    first = use_of(tmp_path, "one").used
    shutil.rmtree(tmp_path / "one")
    await calls_made(config_in(tmp_path, "one", method={"name": "metadata-only", "pool": 0}))
    assert 0 < use_of(tmp_path, "one").used == used(tmp_path / "one") < first
    assert len(shared_use(tmp_path / "journal.sqlite").runs) == 1


async def test_a_run_whose_journal_others_came_to_share_knows_its_own_calls(tmp_path: Path) -> None:
    owner = config_in(tmp_path, ".", journal=None)
    await calls_made(owner)
    before = used(tmp_path)
    assert "shared_calls" not in manifest(tmp_path)
    await calls_made(config_in(tmp_path, "guest", method={"pool": 0, "threshold": 5}))
    assert shared_use(tmp_path / "journal.sqlite").recorded > before
    assert await calls_made(owner) == 0
    assert used(tmp_path) == use_of(tmp_path, ".").used <= before
    assert manifest(tmp_path)["shared_calls"] == shared_use(tmp_path / "journal.sqlite").shared > 10


# Money


async def test_the_budget_is_of_all_runs_that_share_the_journal(tmp_path: Path) -> None:
    await calls_made(config_in(tmp_path, "one"))
    spent = sum(row["requests"] for row in manifest(tmp_path / "one")["spending"])
    with pytest.raises(BudgetReached):
        await calls_made(config_in(tmp_path, "other", seed=5, budget={"calls": spent + 7}))
    assert sum(row["requests"] for row in manifest(tmp_path / "other")["spending"]) == spent + 7


async def test_a_run_is_told_what_its_own_calls_cost_whoever_paid(tmp_path: Path) -> None:
    prices = {"strong": {"input": 3, "output": 15}, "target": {"input": 1, "output": 2}}
    models = {name: {"model": name, "base_url": "simulator", "price": price} for name, price in prices.items()}
    for run in ("one", "other"):
        await run_async(config_in(tmp_path, run, models=models))
    one, other = (manifest(tmp_path / run) for run in ("one", "other"))
    for found in (one, other):
        expected = sum(
            row["prompt_tokens"] * prices[row["model"]]["input"]
            + row["completion_tokens"] * prices[row["model"]]["output"]
            for row in found["calls"]
        )
        assert found["usd_used"] == pytest.approx(expected / 1e6)
    assert one["usd"] == pytest.approx(one["usd_used"])
    assert one["usd"] <= other["usd"] < one["usd"] + other["usd_used"] / 2  # paid once
    assert other["shared_calls"] == use_of(tmp_path, "one").shared > used(tmp_path / "other") / 2
    assert one["shared_calls"] == 0  # when it ended
    shown = " ".join(codeclm("status", tmp_path / "other").out.split())
    assert "spent by all runs that share the journal" in shown


def test_calls_whose_price_is_not_known_cost_nobody_knows_what(model: Callable[..., ModelConfig]) -> None:
    one, other = model(), model(base_url="http://127.0.0.1:2/v1")
    cheap, dear = Price(Decimal(1), Decimal(2), ""), Price(Decimal(3), Decimal(1), "")
    calls = CallTotal("s", "m", 1, 1_000_000, 500_000, 0.0)
    assert cost_of([], [one], {}) == 0
    assert cost_of([calls], [one], {}) is None
    assert cost_of([calls], [one], {endpoint_key(one): cheap}) == 2
    both = {endpoint_key(one): cheap, endpoint_key(other): dear}
    assert cost_of([calls], [one, other], both) == 4  # the dearer of each direction
    assert cost_of([calls], [one, other], {endpoint_key(one): cheap}) is None
    assert cost_of([replace(calls, model="stranger")], [one], both) is None


# Moved, lost, damaged


async def test_all_moved_together_is_found_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    await calls_made(config_in(tmp_path / "here", "one"))
    use = use_of(tmp_path / "here", "one")
    os.rename(tmp_path / "here", tmp_path / "there")
    (tmp_path / "here").mkdir()
    there = tmp_path / "there"
    assert run_directory.journal_of(there / "one") == there / "journal.sqlite"
    assert use_of(there, "one").calls == use.calls
    assert "can be read" not in codeclm("status", there / "one").out
    assert await calls_made(config_in(there, "one")) == 0
    assert len(shared_use(there / "journal.sqlite").runs) == 1


async def test_a_journal_that_was_left_behind_is_not_paid_for_again_in_silence(tmp_path: Path) -> None:
    alone = config_in(tmp_path, "one", journal=None)
    await calls_made(alone)
    await calls_made(config_in(tmp_path, "other", seed=5))  # the shared one has as many calls, but not these
    calls = run_directory.counted_calls(manifest(tmp_path / "one"))
    with pytest.raises(JournalError, match=rf"lacks \d+ of the calls .* {tmp_path / 'one' / 'journal.sqlite'}"):
        await calls_made(config_in(tmp_path, "one"))
    with pytest.raises(JournalError, match=rf"lacks {calls} of the calls"):
        await calls_made(config_in(tmp_path, "one", journal="new.sqlite"))
    assert await calls_made(alone) == 0
    shutil.copy(tmp_path / "one" / "journal.sqlite", tmp_path / "new.sqlite")
    assert await calls_made(config_in(tmp_path, "one", journal="new.sqlite")) == 0
    (tmp_path / "one" / "journal.sqlite").unlink()
    with pytest.raises(JournalError, match="lacks"):
        await calls_made(alone)


async def test_an_older_copy_of_a_shared_journal_is_told_by_each_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    one, other = config_in(tmp_path, "one"), config_in(tmp_path, "other", seed=5)
    await calls_made(one)
    shutil.copy(path, tmp_path / "old")
    await calls_made(other)
    shutil.copy(tmp_path / "old", path)
    with pytest.raises(JournalError, match=r"holds .* though manifest.json counts"):
        await calls_made(other)
    assert await calls_made(one) == 0
    path.unlink()
    with pytest.raises(JournalError, match=r"the journal is missing, though manifest.json counts"):
        await calls_made(one)


async def test_a_run_that_came_to_nothing_may_be_begun_again(tmp_path: Path) -> None:
    dead = {name: {"model": name, "base_url": "http://127.0.0.1:1/v1", "retries": 0} for name in ("strong", "target")}
    with pytest.raises(CallFailed):
        await calls_made(config_in(tmp_path, "one", models=dead))
    assert not (tmp_path / "one" / "journal.sqlite").exists()
    assert await calls_made(config_in(tmp_path, "one")) > 10
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    with pytest.raises(RunDirectoryError, match="files that no run wrote"):
        await calls_made(config_in(tmp_path, "mine"))


def test_a_journal_of_an_older_codeclm_is_read_and_taken_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{journal_file.STEPS[0]}{journal_file.STEPS[1]}PRAGMA user_version = 2;")
        db.execute(f"PRAGMA application_id = {journal_file.APPLICATION_ID}")
    assert run_use(path, tmp_path) is None
    assert shared_use(path).runs == ()
    with open_journal(config_in(tmp_path, "one")) as journal:
        assert journal.used() == []
    assert use_of(tmp_path, "one").used == 0


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("journal.sqlite", 0.6),
        pytest.param("calls.db", 0.3, marks=pytest.mark.slow),
        pytest.param("calls.db", 0.0, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_shared_journal_is_saved_for_all_its_runs(
    name: str, share: float, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    path = tmp_path / name
    configs = {
        run: write_config(tmp_path / run, simulator.base_url, size=6, seed=seed, journal=str(path))
        for run, seed in (("one", 0), ("other", 1))
    }
    for config in configs.values():
        assert codeclm("run", config).status == 0
    shutil.copytree(tmp_path, before := tmp_path.with_name(f"{tmp_path.name}-before"))
    spent = {row["model"]: row["requests"] for row in manifest(tmp_path / "other" / "run")["spending"]}
    os.truncate(path, round(share * path.stat().st_size))
    place = path if name == "calls.db" else tmp_path
    for run, config in configs.items():
        refused = codeclm("run", config)
        assert refused.status == 1, run
        assert f"codeclm recover {place if share else tmp_path / run / 'run'}`" in refused.error
    told = codeclm("recover", place if share else tmp_path / "one" / "run")
    assert told.status == 0, told
    use = shared_use(path)
    known = sum(total.calls for total in recorded_totals(path))
    assert use.recorded == use.used == known
    if share:
        assert f"{tmp_path / 'other' / 'run'}, which shares it: " in told.out
        assert [used(run.directory) for run in use.runs] == [run.used for run in use.runs]
    else:
        assert codeclm("run", configs["other"]).status == 1
        assert codeclm("recover", tmp_path / "other" / "run").status == 0
    with closing(sqlite3.connect(path)) as db:
        assert dict(db.execute("SELECT model, requests FROM spending")).items() >= spent.items()
    simulator.reset()
    for config in configs.values():
        done = codeclm("run", config)
        assert done.status == 0, done
    assert simulator.stats()["repeated"] == 0
    for run in configs:
        assert same_bytes([tmp_path / run / "run", before / run / "run"])
    assert shared_use(path).recorded == shared_use(before / name).recorded
    assert [run.used for run in shared_use(path).runs] == [run.used for run in shared_use(before / name).runs]


def test_a_journal_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="can't read what the runs used"):
        shared_use(tmp_path / "journal.sqlite")
    assert run_use(tmp_path / "journal.sqlite", tmp_path) is None
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"nonsense": 1}))
    assert run_directory.journal_of(tmp_path) == tmp_path / "journal.sqlite"


async def test_a_run_begun_anew_with_another_model_counts_that_models_calls_alone(tmp_path: Path) -> None:
    await generate(config_in(tmp_path, "run"))
    before = use_of(tmp_path, "run").used
    shutil.rmtree(tmp_path / "run")
    models = {
        name: {"model": name, "base_url": "simulator", "max_in_flight": 8, "max_tokens": 1500}
        for name in ("strong", "target")
    }
    await generate(config_in(tmp_path, "run", models=models))
    made = len(set(_keys(tmp_path))) - before
    assert use_of(tmp_path, "run").used == made


def _keys(folder: Path) -> list[bytes]:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        return [key for (key,) in db.execute("SELECT key FROM calls")]
