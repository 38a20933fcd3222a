"""Calls in batches: when they are sent, what becomes of every way in which a batch can end, and what is on record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.clients.batch_provider import Fault, Outcome, Process, Provider, Row, bad, failed, good

from codeclm.batch_records import BatchCall, BatchRecord, open_batches, record
from codeclm.clients.batch_endpoint import Times
from codeclm.errors import (
    AuthFailed,
    BudgetReached,
    CallFailed,
    ConfigError,
    ContentFiltered,
    EndpointDown,
    QuotaExhausted,
    RejectedRequest,
    RunFailed,
    ServerFailed,
    Stopped,
)
from codeclm.journal import Journal, call_key
from codeclm.records import Completion, Message, Request, Usage
from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import Simulator

Start = Callable[..., Process]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    runner = web.ServerRunner(web.Server(provider.handle, access_log=None), shutdown_timeout=0.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield provider
    await runner.cleanup()


@pytest.fixture
def start(provider: Provider, session: aiohttp.ClientSession, tmp_path: Path) -> Start:
    """``start(retries=2)``: a process with the journal of the one before."""
    return lambda **settings: Process(session, provider.base_url, tmp_path / "journal.sqlite", **settings)


async def begun(process: Process, *texts: object, until: Callable[[], bool]) -> asyncio.Task[Any]:
    """Ask for the texts and go on as soon as something is so."""
    asking = asyncio.create_task(process.ask(*texts))
    while not until():  # noqa: ASYNC110 (what is waited for is a server's state)
        await asyncio.sleep(0)
    return asking


async def test_calls_that_wait_together_are_one_batch_and_nothing_is_left_of_it(
    provider: Provider, start: Start
) -> None:
    process = start()
    assert await process.texts(*range(30)) == [f"to {n}" for n in range(30)]
    assert provider.sizes == [30]
    assert await process.texts(*range(40)) == [f"to {n}" for n in range(40)]
    assert provider.sizes == [30, 10]
    await process.end()
    again = start()
    assert open_batches(again.journal, again.key) == []
    assert (again.account.charged, again.account.requests) == (Usage(120, 80), 40)
    assert len(await again.texts(*range(40))) == 40
    assert provider.sizes == [30, 10]
    await again.end()


async def test_a_batch_waits_for_the_live_calls_beside_it(provider: Provider, start: Start) -> None:
    process = start()
    live: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
    process.calls.under_way[b"live"] = asyncio.ensure_future(live)
    process.calls.under_way[b"live"].add_done_callback(process.calls.ended(b"live"))
    slept = process.time.slept
    asking = await begun(process, 1, 2, until=lambda: len(slept) > 50)
    assert provider.seen == []
    more = asyncio.create_task(process.ask(3))
    live.set_result(Completion("over"))
    await asyncio.gather(asking, more)
    assert provider.sizes == [3]
    await process.end()


async def test_looks_at_a_batch_grow_rare(provider: Provider, start: Start) -> None:
    process = start()
    provider.open = False
    asking = await begun(process, 1, until=lambda: provider.count("GET /batches/") == 20)
    pauses = process.time.slept[-18:]
    assert pauses[0] < 1
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60.0
    provider.open = True
    await asking
    await process.end()


async def test_results_that_are_late_are_waited_for(provider: Provider, start: Start) -> None:
    provider.late = 3
    process = start()
    assert len(await process.texts(1, 2)) == 2
    assert (provider.sizes, provider.late) == ([2], 0)
    await process.end()


@pytest.mark.parametrize("status", ["expired", "cancelled", "completed"])
async def test_what_a_batch_left_unanswered_goes_into_the_next(provider: Provider, start: Start, status: str) -> None:
    def end(rows: list[Row]) -> Outcome:
        if len(provider.batches) > 1:
            return Outcome(output=[good(row) for row in rows])
        late = [failed(row, "batch_expired") for row in rows[4:6]]
        return Outcome(status, output=[good(row) for row in rows[:4]], errors=[*late])

    provider.end = end
    process = start()
    assert await process.texts(*range(8)) == [f"to {n}" for n in range(8)]
    assert provider.sizes == [8, 4]
    assert max(provider.paid.values()) == 1
    assert process.calls.faults == {"expired": 4}
    unknown = 2 if status == "completed" else 0  # a line that should be there and is not may have been paid for
    assert bool(process.account.unknown.total) == bool(unknown)
    await process.end()


async def test_failed_lines_are_sent_again_and_torn_ones_are_not_guessed_at(provider: Provider, start: Start) -> None:
    def end(rows: list[Row]) -> Outcome:
        if len(provider.batches) > 1:
            return Outcome(output=[good(row) for row in rows])
        torn: list[Row | bytes] = [
            b"", b"{torn", b"[]", b'{"custom_id": 7}', b'{"custom_id": "zz"}', b'{"custom_id": "\xff"}'
        ]  # fmt: skip
        other = {"custom_id": "00" * 16} | {key: good(rows[0])[key] for key in ("response", "error")}
        odd: list[Row | bytes] = [
            {"custom_id": rows[1]["custom_id"]},
            bad(rows[2], 200, {"choices": []}),
            {"custom_id": rows[3]["custom_id"], "response": [], "error": 3},
        ]
        errors: list[Row | bytes] = [bad(rows[4], 429), bad(rows[5], 500), failed(rows[6], "server_error")]
        return Outcome(output=[*torn, good(rows[0]), good(rows[0]), other, *odd], errors=errors)

    provider.end = end
    process = start()
    assert await process.texts(*range(8)) == [f"to {n}" for n in range(8)]
    assert provider.sizes == [8, 7]
    assert process.calls.faults == {"malformed": 3, "rate": 1, "server": 2, "expired": 1}
    await process.end()


async def test_what_no_waiting_mends_ends_its_call_alone(provider: Provider, start: Start) -> None:
    flagged = {"error": {"message": "flagged by moderation"}}

    def end(rows: list[Row]) -> Outcome:
        errors: list[Row | bytes] = [
            bad(rows[1], 400),
            bad(rows[2], 403, flagged),
            bad(rows[3], 401),
            bad(rows[4], 404),
        ]
        return Outcome(output=[good(rows[0])], errors=errors)

    provider.end = end
    process = start()
    answer, *errors = await process.ask(*range(5))
    assert isinstance(answer, Completion)
    kinds = [type(error) for error in errors]
    assert kinds[:3] == [RejectedRequest, ContentFiltered, AuthFailed]
    assert not any(error.fatal for error in errors if isinstance(error, CallFailed))
    assert not process.stop.pressed
    assert process.open_calls() == 0
    await process.end()


@pytest.mark.parametrize(("status", "kind"), [(401, AuthFailed), (402, QuotaExhausted)])
async def test_a_key_that_is_good_for_no_line_ends_the_run(
    provider: Provider, start: Start, status: int, kind: type[CallFailed]
) -> None:
    provider.end = lambda rows: Outcome(errors=[bad(row, status) for row in rows])
    process = start()
    errors = await process.ask(1, 2)
    assert {type(error) for error in errors} == {kind}
    assert process.stop.pressed
    await process.end()


@pytest.mark.parametrize(("calls", "kind"), [(10, EndpointDown), (9, ServerFailed)])
async def test_an_endpoint_that_answers_nothing_ends_the_run_and_a_few_bad_calls_do_not(
    provider: Provider, start: Start, calls: int, kind: type[Exception]
) -> None:
    provider.end = lambda rows: Outcome(errors=[bad(row, 500) for row in rows])
    process = start()
    assert {type(error) for error in await process.ask(*range(calls))} == {kind}
    assert len(provider.sizes) == (3 if kind is EndpointDown else 5)
    assert process.stop.pressed == (kind is EndpointDown)
    await process.end()


async def test_too_much_at_once_makes_smaller_batches(provider: Provider, start: Start) -> None:
    def end(rows: list[Row]) -> Outcome:
        if len(rows) > 5:
            return Outcome("failed", refusals=[{"code": "token_limit_exceeded", "message": "too much"}])
        return Outcome(output=[good(row) for row in rows])

    provider.end = end
    process = start()
    assert len(await process.texts(*range(20))) == 20
    assert provider.sizes == [20, 10, 10, 5, 5, 5, 5]
    assert max(provider.paid.values()) == 1
    assert process.account.charged == Usage(60, 40)
    await process.end()


@pytest.mark.parametrize(
    ("status", "said"), [(413, "no"), (400, "File is too large"), (400, "batch exceeds the most lines")]
)
async def test_a_file_that_is_too_large_is_halved(provider: Provider, start: Start, status: int, said: str) -> None:
    provider.faults = [Fault("POST /files", status, {"error": {"message": said}}) for _ in range(2)]
    process = start()
    assert len(await process.texts(*range(20))) == 20
    assert provider.sizes == [5, 5, 5, 5]
    await process.end()


async def test_a_full_account_is_waited_for(provider: Provider, start: Start) -> None:
    full = Outcome("failed", refusals=[{"code": "token_limit_exceeded", "message": "try again later"}])

    def end(rows: list[Row]) -> Outcome:
        return full if len(provider.batches) < 8 else Outcome(output=[good(row) for row in rows])

    provider.end = end
    process = start()
    assert await process.texts(1) == ["to 1"]
    assert provider.sizes == [1] * 8
    assert process.time.now > 200
    await process.end()


async def test_a_line_that_is_refused_does_not_take_the_others_with_it(provider: Provider, start: Start) -> None:
    def end(rows: list[Row]) -> Outcome:
        if len(rows) == 4:
            return Outcome("failed", refusals=[{"code": "too_long", "message": "prompt too long", "line": 2}])
        return Outcome(output=[good(row) for row in rows])

    provider.end = end
    process = start()
    answers = await process.ask(*range(4))
    assert [type(answer) for answer in answers] == [Completion, RejectedRequest, Completion, Completion]
    assert "too_long: prompt too long" in str(answers[1])
    assert provider.sizes == [4, 3]
    await process.end()


@pytest.mark.parametrize("where", ["end", "POST /batches", "POST /files"])
async def test_batches_that_are_refused_again_and_again_end_the_run(
    provider: Provider, start: Start, where: str
) -> None:
    refusal = {"code": "bad_account", "message": "not allowed"}
    if where == "end":
        provider.end = lambda rows: Outcome("failed", refusals=[refusal])
    else:
        provider.faults = [Fault(where, 400, {"error": {"message": "not allowed"}}) for _ in range(9)]
    process = start()
    [error] = await process.ask(1)
    assert isinstance(error, RunFailed)
    assert "3 batches in a row" in str(error)
    assert "not allowed" in str(error)
    assert "models.judge.batch: false" in str(error)
    assert (process.account.charged.total, process.account.unknown.total, process.account.batched.requests) == (0, 0, 0)
    await process.end()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_batches_says_so(provider: Provider, start: Start, status: int) -> None:
    provider.faults = [Fault("POST /files", status)]
    process = start()
    [error] = await process.ask(1)
    assert isinstance(error, ConfigError)
    assert "this endpoint has no Batch API" in str(error)
    assert "Set models.judge.batch: false" in str(error)
    await process.end()


async def test_a_refused_key_ends_the_run_at_once(provider: Provider, start: Start) -> None:
    provider.faults = [Fault("POST /files", 401)]
    process = start()
    errors = await process.ask(1, 2)
    assert {type(error) for error in errors} == {AuthFailed}
    assert provider.count("") == 1
    await process.end()


@pytest.mark.parametrize("like", ["POST /files", "GET /batches/", "GET /files/.*/content"])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_waited_out(provider: Provider, start: Start, like: str, status: int) -> None:
    provider.faults = [Fault(like, status) for _ in range(6)]
    process = start()
    assert len(await process.texts(*range(3))) == 3
    assert provider.sizes == [3]
    assert process.time.now > 6
    await process.end()


async def test_what_does_not_pass_ends_the_run_and_loses_nothing(provider: Provider, start: Start) -> None:
    provider.faults = [Fault("GET /batches/", 500) for _ in range(10_000)]
    process = start(give_up_after=100)
    errors = await process.ask(*range(3))
    assert {type(error) for error in errors} == {EndpointDown}
    assert "run again when it is back" in str(errors[0])
    assert process.time.now <= 101
    await process.end()
    provider.faults.clear()
    again = start()
    assert len(await again.texts(*range(3))) == 3
    assert provider.sizes == [3]
    await again.end()


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("status", [500, 408, 200])
async def test_a_batch_that_may_have_been_created_is_looked_for_before_another_is(
    provider: Provider, start: Start, status: int, after: bool
) -> None:
    provider.faults = [Fault("POST /batches", status, {"nothing": 1}, after=after) for _ in range(2)]
    process = start()
    assert len(await process.texts(*range(3))) == 3
    assert provider.sizes == [3]
    assert max(provider.paid.values()) == 1
    assert provider.count("POST /batches$") == (1 if after else 3)
    assert provider.count("POST /files$") == (1 if after else 3)
    assert provider.count("DELETE /files/") == (0 if after else 2)
    assert process.account.charged == Usage(9, 6)
    await process.end()


async def test_a_rate_limit_on_creating_uses_the_same_file_again(provider: Provider, start: Start) -> None:
    provider.faults = [Fault("POST /batches", 429) for _ in range(3)]
    process = start()
    assert len(await process.texts(1)) == 1
    assert (provider.count("POST /files$"), provider.count("POST /batches$")) == (1, 4)
    await process.end()


async def test_stopping_ends_the_calls_at_once_and_the_next_process_collects_them(
    provider: Provider, start: Start
) -> None:
    provider.open = False
    process = start()
    asking = await begun(process, *range(5), until=lambda: provider.count("GET /batches/") > 3)
    await process.end()
    assert {type(error) for error in await asking} == {Stopped}
    assert not process.calls.under_way
    provider.open = True
    again = start()
    assert again.account.batched.requests == 5
    assert len(await again.texts(*range(6))) == 6
    assert provider.sizes == [5, 1]
    assert (again.account.charged, again.account.batched.requests) == (Usage(18, 12), 0)
    await again.end()


async def test_answers_that_nobody_asks_for_again_are_filed_under_their_stage(provider: Provider, start: Start) -> None:
    provider.open = False
    process = start()
    asking = await begun(process, *range(5), until=lambda: provider.count("GET /batches/") > 3)
    await process.end()
    await asking
    provider.open = True
    again = start()
    assert await again.texts(0) == ["to 0"]
    while again.calls.batches:  # noqa: ASYNC110 (what is waited for is a server's state)
        await asyncio.sleep(0)
    assert [(total.stage, total.calls) for total in again.journal.totals()] == [("judge", 5)]
    assert again.account.charged == Usage(15, 10)
    assert len(await again.texts(*range(5))) == 5
    assert provider.sizes == [5]
    await again.end()


async def test_a_live_call_that_waits_for_what_unclaimed_answers_leave_of_the_budget_gets_it(
    provider: Provider, start: Start
) -> None:
    provider.open = False
    process = start(max_tokens=100, budget={"tokens": 2000})
    asking = await begun(process, *range(5), until=lambda: provider.count("GET /batches/") > 3)
    await process.end()
    await asking
    provider.open = True
    again = start(max_tokens=100, budget={"tokens": 2000})
    live = again.calls.under_way[b"live"] = asyncio.create_task(again.live(500))
    live.add_done_callback(again.calls.ended(b"live"))
    assert again.budget.waiting == 0
    async with asyncio.timeout(20):
        await live
    assert again.account.charged == Usage(15, 10)
    await again.end()


async def test_an_answer_asked_for_in_the_very_turn_in_which_it_is_filed_is_filed_once(
    provider: Provider, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.open = False
    process = start()
    asking = await begun(process, *range(5), until=lambda: provider.count("GET /batches/") > 3)
    await process.end()
    await asking
    provider.open = True
    again = start()
    settle, asked = again.budget.settle, list[asyncio.Task[Completion]]()

    def ask_and_settle(*cost: Any) -> None:  # the first thing that is done to file an answer
        request = Request((Message("user", str(len(asked))),), 0.0, stage="judge")
        asked.append(asyncio.create_task(again.client.complete(request)))
        settle(*cost)

    monkeypatch.setattr(again.budget, "settle", ask_and_settle)
    while again.calls.batches:  # noqa: ASYNC110 (what is waited for is a server's state)
        await asyncio.sleep(0)
    assert [answer.text for answer in await asyncio.gather(*asked)] == [f"to {n}" for n in range(5)]
    assert [total.calls for total in again.journal.totals()] == [5]
    assert provider.sizes == [5]
    await again.end()


@pytest.mark.parametrize("created", [True, False])
async def test_a_process_that_died_while_creating_leaves_no_doubt(
    provider: Provider, start: Start, created: bool
) -> None:
    process = start()
    request = Request((Message("user", "0"),), 0.0, stage="judge")
    key = call_key(process.key, request)
    file = await process.queue._endpoint.api.upload([process.queue._endpoint.api.line(key, request)], "x.jsonl")
    made = BatchRecord("token", process.key, "target", file, 1.0, calls=(BatchCall(key, "judge", Usage(5, 5)),))
    record(process.journal, made)
    if created:
        await process.queue._endpoint.api.create(file, "token")
    await process.end()
    again = start()
    assert await again.texts(0) == ["to 0"]
    assert provider.sizes == [1]
    assert provider.count("DELETE") == (0 if created else 1)
    assert again.account.charged == Usage(3, 2)
    await again.end()


async def test_a_batch_that_the_provider_does_not_know_is_not_paid_for_again_unasked(
    provider: Provider, start: Start
) -> None:
    provider.open = False
    process = start()
    asking = await begun(process, 1, until=lambda: provider.count("GET /batches/") > 3)
    await process.end()
    await asking
    known, provider.batches = provider.batches, {}
    again = start()
    [error] = await again.ask(1)
    assert isinstance(error, RunFailed)
    assert "does not know batch batch-0" in str(error)
    assert "another account" in str(error)
    await again.end()
    provider.batches, provider.open = known, True
    last = start()
    assert await last.texts(1) == ["to 1"]
    assert provider.sizes == [1]
    await last.end()


async def test_a_batch_long_forgotten_is_asked_for_anew(
    provider: Provider, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.open = False
    process = start()
    asking = await begun(process, 1, until=lambda: provider.count("GET /batches/") > 3)
    process.journal.execute(("UPDATE batches SET made_at = made_at - 200000", ()))
    await process.end()
    await asking
    provider.batches, provider.open = {}, True
    again = start()
    assert await again.texts(1) == ["to 1"]
    assert provider.sizes == [1, 1]
    await again.end()


async def test_calls_that_do_not_fit_the_budget_wait_until_others_have_cost_less(
    provider: Provider, start: Start
) -> None:
    process = start(max_tokens=100, budget={"tokens": 1000})
    assert len(await process.texts(*range(5))) == 5
    assert provider.sizes == [2, 2, 1]
    assert process.account.charged == Usage(15, 10)
    await process.end()


async def test_a_full_batch_that_does_not_fit_the_budget_is_not_tried_without_a_pause(
    provider: Provider, start: Start
) -> None:
    process = start(max_tokens=100, budget={"tokens": 1000})
    process.queue.most_lines = 2
    provider.open = False
    asking = await begun(process, *range(5), until=lambda: provider.count("GET /batches/") > 10)
    assert process.time.slept.count(0.0) < process.time.slept.count(Times().quiet) + 5
    assert provider.sizes == [2]
    provider.open = True
    assert len(await asking) == 5
    await process.end()


async def test_when_nothing_more_fits_the_run_ends_and_says_so(provider: Provider, start: Start) -> None:
    process = start(budget={"calls": 3})
    answers = await process.ask(*range(5))
    assert [type(answer) for answer in answers] == [Completion] * 3 + [BudgetReached] * 2
    assert provider.sizes == [3]
    assert process.stop.pressed
    await process.end()


async def test_all_queues_of_a_run_send_when_all_its_calls_wait(
    provider: Provider, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    strong = Process(session, provider.base_url, tmp_path / "a.sqlite")
    judge = Process(session, provider.base_url, tmp_path / "b.sqlite", model="other", calls=strong.calls)
    provider.open = False
    asking = await begun(strong, 1, 2, until=lambda: provider.count("GET /batches/") > 3)
    more = await begun(judge, 1, 2, 3, until=lambda: len(provider.sizes) > 1)
    assert strong.calls.all_parked
    assert [batch.calls for batch in strong.calls.batches.values()] == provider.sizes == [2, 3]
    provider.open = True
    await asyncio.gather(asking, more)
    assert not strong.calls.parked
    await strong.end()
    await judge.end()


async def test_no_key_is_in_what_a_batch_says(
    provider: Provider, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_KEY", "sk-marker-123")
    said = {"error": {"message": "no such key sk-marker-123"}}

    def end(rows: list[Row]) -> Outcome:
        leak = {"custom_id": rows[1]["custom_id"], "response": None}
        leak |= {"error": {"code": "sk-marker-123", "message": "sk-marker-123"}}
        return Outcome(errors=[bad(rows[0], 400, said), leak])

    provider.end = end
    process = start(api_key_env="BATCH_KEY", retries=0)
    errors = await process.ask(1, 2)
    provider.end = lambda rows: Outcome("failed", refusals=[{"code": "sk-marker-123", "line": 1, "message": "x"}])
    errors += await process.ask(3)
    provider.end = lambda rows: Outcome("failed", refusals=[{"code": "x", "message": "sk-marker-123"}])
    errors += await process.ask(4)
    assert len(errors) == 4
    for error in errors:
        assert isinstance(error, CallFailed | RunFailed)
        assert "sk-marker" not in f"{error} {getattr(error, 'raw', '')}"
        assert "***" in str(error)
    await process.end()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    share=st.floats(0, 0.4),
    most=st.integers(0, 12),
    stops=st.lists(st.integers(0, 60), max_size=4),
    seed=st.integers(0, 999),
)
def test_however_batches_end_and_processes_stop_nothing_is_paid_for_twice_or_forgotten(
    tmp_path_factory: pytest.TempPathFactory, share: float, most: int, stops: list[int], seed: int
) -> None:
    texts = [f"Name {n} trees." for n in range(15)]
    path = tmp_path_factory.mktemp("run") / "journal.sqlite"

    async def whole() -> None:
        options = SimulatorOptions(
            batch_expire=share, batch_error=share, batch_most_lines=most, batch_fail_first=seed % 3, fault_seed=seed
        )
        async with Simulator(options) as simulator, aiohttp.ClientSession() as session:
            for moment in (*stops, None):
                process = Process(session, simulator.base_url, path, retries=100)
                asking = asyncio.create_task(process.texts(*texts))
                if moment is None:
                    assert len(await asking) == len(texts)
                while moment is not None and len(process.time.slept) < moment and not asking.done():  # noqa: ASYNC110
                    await asyncio.sleep(0)
                await process.end()
                await asking
            stats, account = simulator.stats(), process.account
        assert stats["repeated"] == 0
        assert stats["by_status"] == {"200": len(texts)}
        charged = account.charged + account.unknown
        assert charged == Usage(stats["prompt_tokens"], stats["completion_tokens"])
        assert account.batched.requests == 0

    asyncio.run(whole())


def test_records_of_batches_are_kept_until_their_calls_are_answered_or_owed(tmp_path: Path) -> None:
    calls = tuple(BatchCall(bytes([n]) * 16, "judge", Usage(n, 1)) for n in range(3))
    made = BatchRecord("token", b"endpoint", "m", "file", 7.0, calls=calls)
    with Journal(tmp_path / "journal.sqlite") as journal:
        record(journal, made)
        assert open_batches(journal, b"endpoint") == [made]
        assert open_batches(journal, b"other") == []
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert open_batches(journal, b"endpoint") == [made]
