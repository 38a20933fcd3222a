"""Whose fault a failure is: outages fail no item, bad prompts fail alone, and what does not come back ends the run.

The endpoint is a real one; the clock is not, so that nothing waits.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from codeclm.clients.breaker import FIRST_PAUSE, LONGEST_PAUSE, Breaker, Breaking
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.faults import Faults
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.retrying import Retrying
from codeclm.config_models import ModelConfig
from codeclm.errors import (
    CallFailed,
    CannotConnect,
    EndpointDown,
    QuotaExhausted,
    ServerFailed,
    Stopped,
    WorkerLost,
)
from codeclm.journal import Journal
from codeclm.ledger import Ledger
from codeclm.records import Completion, Message, Request

if TYPE_CHECKING:
    from tests.conftest import Endpoint

EXAM = "Ready?"


class Timeless(StopSwitch):
    """A stop switch whose sleeps pass at once on a clock of their own. ``slept`` are their lengths in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.slept: list[float] = []
        self.then: Callable[[float], None] = lambda now: None

    async def sleep(self, seconds: float) -> None:
        self.check()
        await asyncio.sleep(0)
        self.slept.append(seconds)
        self.now += seconds
        self.then(self.now)
        self.check()


class Setup:
    """A client with its breaker, as the layers of a run are put together, less the limits."""

    def __init__(self, http: HttpClient, ledger: Ledger) -> None:
        self.stop = Timeless()
        self.calls = Calls()
        faults = Faults("m", self.calls, ledger)

        async def exam() -> Any:
            return await http.complete(Request((Message("user", EXAM),), 0.0))

        self.breaker = Breaker(
            "models.m", exam, config=http.config, stop=self.stop, faults=faults, now=lambda: self.stop.now
        )
        layer = Breaking(http, self.breaker)
        retries = http.config.retries
        self.client = Retrying(layer, retries=retries, sleep=self.stop.sleep, faults=faults, breaker=self.breaker)

    async def ask(self, text: str = "hi") -> str:
        return (await self.client.complete(Request((Message("user", text),), 0.0))).text

    async def answers(self, texts: list[str]) -> list[str]:
        """The replies to questions asked at the same time; for those that failed the cause, `fatal` if it is."""
        results = await asyncio.gather(*map(self.ask, texts), return_exceptions=True)
        return [self.said(result) for result in results]

    @staticmethod
    def said(result: str | BaseException) -> str:
        if isinstance(result, CallFailed):
            return f"fatal {result.cause}" if result.fatal else result.cause
        return result if isinstance(result, str) else type(result).__name__


Make = Callable[..., Setup]


@pytest.fixture
def make(
    endpoint: Endpoint, session: aiohttp.ClientSession, model: Callable[..., ModelConfig], journal: Journal
) -> Make:
    """``make(retries=1)``: a client of the scripted endpoint, with a breaker."""

    def make(**settings: Any) -> Setup:
        config = model(**({"retries": 3} | settings))
        http = HttpClient(config, session, base_url=endpoint.base_url, name="m", traits=Traits())
        return Setup(http, Ledger(journal))

    return make


def _asked(endpoint: Endpoint) -> list[str]:
    return [received.body["messages"][0]["content"] for received in endpoint.received]


def _broken(endpoint: Endpoint, when: Callable[[str], bool]) -> None:
    """From now on the body of a reply to a question that ``when`` holds of is torn."""

    def answer(received: Any) -> Any:
        return b"{torn" if when(received.body["messages"][0]["content"]) else endpoint.chat("yes")

    endpoint.answer(answer)


# Outages


@pytest.mark.parametrize("status", [500, 502, 503, 408])
@pytest.mark.parametrize("retries", [0, 1, 8])
async def test_an_outage_however_short_of_attempts_fails_no_call(
    endpoint: Endpoint, make: Make, status: int, retries: int
) -> None:
    setup = make(retries=retries)
    assert await setup.ask() == "yes"
    endpoint.answer({}, status)
    up = setup.stop.now + 540

    def recover(now: float) -> None:
        if now >= up:
            endpoint.says("back")

    setup.stop.then = recover
    assert await setup.answers([str(number) for number in range(20)]) == ["back"] * 20
    assert not setup.calls.waiting_for
    assert setup.stop.now < up + 20 * LONGEST_PAUSE


async def test_a_worker_that_dies_in_an_exam_tells_nothing_of_the_endpoint(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=0)
    await setup.ask()
    endpoint.answer({}, 500)
    exam, lost = setup.breaker._exam, [WorkerLost("gone")] * 2

    async def on_workers() -> Completion:
        if lost:
            raise lost.pop()
        return await exam()

    setup.breaker._exam = on_workers
    setup.stop.then = lambda _: endpoint.says("back") if setup.breaker.out_for > 40 else None
    assert await setup.answers(["a", "b"]) == ["back"] * 2
    assert setup.calls.faults["worker"] == 2


async def test_once_a_dead_server_is_seen_it_gets_one_exam_at_a_time_and_nothing_else(
    endpoint: Endpoint, make: Make
) -> None:
    setup = make(retries=8)
    await setup.ask()
    endpoint.answer({}, 500)
    endpoint.received.clear()
    setup.stop.then = lambda _: setup.stop.press() if setup.breaker.out_for > 400 else None
    await setup.answers([str(number) for number in range(200)])
    asked = Counter(_asked(endpoint))
    assert asked.pop(EXAM) > 12
    assert len(asked) == 200
    assert max(asked.values()) == 2, "those that came back first were sent again, before most of all had failed"


async def test_one_call_at_a_time_a_dead_server_is_seen_before_the_call_is_given_up(
    endpoint: Endpoint, make: Make
) -> None:
    setup = make(retries=100)
    await setup.ask()
    endpoint.answer({}, 500)
    endpoint.received.clear()
    setup.stop.then = lambda _: endpoint.says("back") if setup.breaker.outage else None
    assert await setup.ask() == "back"
    assert 5 <= len(endpoint.received) <= 12


async def test_exams_come_after_one_two_four_and_at_most_thirty_seconds(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=0, give_up_after=300)
    await setup.ask()
    endpoint.answer({}, 500)
    with pytest.raises(EndpointDown):
        await setup.ask()
    pauses = [FIRST_PAUSE, 2, 4, 8, 16] + [LONGEST_PAUSE] * 8
    waited = setup.stop.slept[1:]  # the first is the call's own, after its attempt
    assert waited[:-1] == pauses
    assert sum(setup.stop.slept) == pytest.approx(300, abs=1)


@pytest.mark.parametrize("give_up_after", [0, 5, 600])
async def test_an_endpoint_that_stays_away_ends_the_run_in_time_and_tells_everyone(
    endpoint: Endpoint, make: Make, give_up_after: float
) -> None:
    setup = make(retries=1, give_up_after=give_up_after)
    await setup.ask()
    endpoint.answer({"error": {"message": "out of memory"}}, 500)
    began = setup.stop.now
    assert set(await setup.answers([str(number) for number in range(20)])) == {"EndpointDown"}
    assert setup.stop.now - began <= give_up_after + 10
    with pytest.raises(EndpointDown, match=r"models\.m has been out of order for .*out of memory.*Everything is kept"):
        setup.stop.check()


async def test_what_an_outage_did_is_counted_once_each_by_cause(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=2)
    await setup.ask()
    endpoint.received.clear()
    endpoint.answer({}, 503)
    setup.stop.then = lambda now: endpoint.says("back") if now > 1100 else None
    await setup.answers([str(number) for number in range(10)])
    answered = 10 + 1  # and the exam that was passed
    assert setup.calls.faults == {"server": len(endpoint.received) - answered}


async def test_whoever_waits_for_an_endpoint_stops_at_once_when_the_run_does(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=1)
    await setup.ask()
    endpoint.answer({}, 500)
    setup.stop.then = lambda now: setup.stop.press() if now > 1020 else None
    assert set(await setup.answers([str(number) for number in range(20)])) == {"Stopped"}
    with pytest.raises(Stopped):
        setup.stop.check()


async def test_a_call_that_breaks_during_an_outage_is_told_so_without_waiting(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=0)
    await setup.ask()
    endpoint.answer({}, 500)
    told: list[bool] = []

    def look(_: float) -> None:
        if setup.breaker.outage:  # the one who sleeps holds the exam
            late = asyncio.ensure_future(setup.breaker.at_fault(ServerFailed("HTTP 500"), last=True))
            late.add_done_callback(lambda done: told.append(done.result()))
            endpoint.says("back")

    setup.stop.then = look
    sleeping = asyncio.ensure_future(setup.ask())
    assert await sleeping == "back"
    assert told == [True] * len(told) != []


async def test_no_exam_is_taken_once_the_run_stops(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=0)
    await setup.ask()
    setup.stop.press()
    with pytest.raises(Stopped):
        await setup.breaker.at_fault(ServerFailed("HTTP 500"), last=True)
    assert len(endpoint.received) == 1


async def test_an_outage_begins_with_the_first_failure_after_the_last_answer(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=1, give_up_after=20)
    for _ in range(3):
        endpoint.answer(endpoint.chat("yes")).then({}, 500).then(endpoint.chat("yes"))
        await setup.ask()
        await setup.ask()
        setup.stop.now += 1000  # long enough for any outage to be given up
    back = setup.stop.now + 10
    endpoint.answer({}, 500)
    setup.stop.then = lambda now: endpoint.says("back") if now > back else None
    assert await setup.ask() == "back"


async def test_after_an_outage_one_failure_is_no_reason_to_doubt_again(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=20)
    await setup.ask()
    endpoint.answer({}, 500)
    setup.stop.then = lambda _: endpoint.says("back") if setup.breaker.out_for > 90 else None
    assert await setup.ask() == "back"
    endpoint.received.clear()
    endpoint.answer({}, 500).then(endpoint.chat("yes"))
    assert await setup.ask() == "yes"
    assert EXAM not in _asked(endpoint)


async def test_an_outage_can_be_seen_while_it_lasts(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=0)
    setup.calls.breakers["models.m"] = setup.breaker
    await setup.ask()
    assert setup.calls.waiting_for == {}
    endpoint.answer({}, 502)
    seen: list[tuple[float, str]] = []

    def look(now: float) -> None:
        for breaker in setup.calls.waiting_for.values():
            assert breaker.outage
            seen.append((breaker.out_for, breaker.outage.error.cause))
        if now > 1010:
            endpoint.says("back")

    setup.stop.then = look
    await setup.ask()
    assert seen[-1][0] > 10
    assert {cause for _, cause in seen} == {"server"}
    assert setup.calls.waiting_for == {}
    assert setup.breaker.out_for == 0


# Faults that pass


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("in_flight", [1, 4, 64])
async def test_faults_of_some_calls_never_open_it(endpoint: Endpoint, make: Make, seed: int, in_flight: int) -> None:
    rng = random.Random(seed)
    setup = make(retries=8)
    opened: list[bool] = []
    setup.stop.then = lambda _: opened.append(bool(setup.breaker.outage))
    _broken(endpoint, lambda text: rng.random() < 0.08)
    for wave in range(300 // in_flight + 1):
        assert set(await setup.answers([f"{wave}.{number}" for number in range(in_flight)])) == {"yes"}
    assert not any(opened)


async def test_failures_that_come_back_before_the_answers_of_calls_begun_with_them_prove_nothing(
    endpoint: Endpoint, make: Make
) -> None:
    """Of 100 calls in flight 20 break at once, and only then are the others answered."""
    setup = make()
    await setup.ask()
    answers = [asyncio.get_running_loop().create_future() for _ in range(80)]
    slow = [asyncio.create_task(setup.breaker.watch(answer)) for answer in answers]
    await asyncio.sleep(0)
    error = ServerFailed("HTTP 500")
    for _ in range(20):
        broken: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        broken.set_exception(error)
        with pytest.raises(ServerFailed):
            await setup.breaker.watch(broken)
        assert not await setup.breaker.at_fault(error, last=False)
    for answer in answers:
        answer.set_result(Completion("yes"))
    await asyncio.gather(*slow)
    assert EXAM not in _asked(endpoint)


# One call's own fault


@pytest.mark.parametrize("poison", [1, 3, 12])
async def test_prompts_that_a_server_cannot_bear_fail_alone(endpoint: Endpoint, make: Make, poison: int) -> None:
    setup = make(retries=3)
    _broken(endpoint, lambda text: text.startswith("bad"))
    bad = [f"bad {number}" for number in range(poison)]
    good = [f"good {number}" for number in range(20)]
    assert await setup.answers(good + bad) == ["yes"] * 20 + ["malformed"] * poison
    assert all(_asked(endpoint).count(text) == 4 for text in bad)
    setup.stop.check()


@pytest.mark.parametrize("poison", [1, 12])
async def test_a_run_that_has_nothing_left_but_such_prompts_comes_to_an_end_too(
    endpoint: Endpoint, make: Make, poison: int
) -> None:
    setup = make(retries=3)
    _broken(endpoint, lambda text: text.startswith("bad"))
    assert await setup.answers([f"bad {number}" for number in range(poison)]) == ["malformed"] * poison
    assert _asked(endpoint).count(EXAM) < 8, "one exam tells all who wait for it"
    setup.stop.check()


async def test_a_prompt_that_makes_the_server_fall_over_again_and_again_is_given_up(
    endpoint: Endpoint, make: Make
) -> None:
    setup = make(retries=3)
    await setup.ask()
    down = False

    def answer(received: Any) -> Any:
        nonlocal down
        down = down or received.body["messages"][0]["content"] == "bad"
        return b"" if down else endpoint.chat("yes")

    def restart(_: float) -> None:
        nonlocal down
        down = False

    endpoint.answer(answer)
    setup.stop.then = restart
    assert await setup.answers(["bad"]) == ["malformed"]
    assert await setup.ask("good") == "yes"


async def test_a_call_that_is_always_too_many_fails_alone(endpoint: Endpoint, make: Make) -> None:
    """As a provider refuses a prompt that is larger than what it allows in a minute."""
    setup = make(retries=2)
    await setup.ask()
    endpoint.answer({}, 429).then({}, 429).then({}, 429).then(endpoint.chat("yes"))
    assert await setup.answers(["large"]) == ["rate"]
    assert _asked(endpoint)[-1] == EXAM


async def test_an_endpoint_that_refuses_everyone_for_the_rate_is_waited_for(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=2)
    await setup.ask()
    endpoint.answer({}, 429, {"Retry-After": "20"})
    setup.stop.then = lambda now: endpoint.says("back") if now > 1200 else None
    assert await setup.ask() == "back"
    assert 1200 < setup.stop.now < 1260
    assert min(seconds for seconds in setup.stop.slept if seconds > 0.5) >= 20, "as it asked, of calls and of exams"


async def test_an_endpoint_that_asks_for_a_day_ends_the_run(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=8)
    await setup.ask()
    endpoint.answer({}, 429, {"Retry-After": "86400"})
    assert await setup.answers(["1", "2"]) == ["EndpointDown"] * 2
    with pytest.raises(EndpointDown, match="asks to be left alone for 86400 s"):
        setup.stop.check()
    assert setup.stop.now == 1000


# What no waiting mends


async def test_a_revoked_key_ends_the_run_with_the_first_call_that_meets_it(endpoint: Endpoint, make: Make) -> None:
    setup = make()
    await setup.ask()
    endpoint.answer({}, 401)
    assert await setup.answers(["hi"]) == ["fatal auth"]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_any_number_of_prompts_may_be_forbidden(endpoint: Endpoint, make: Make, status: int) -> None:
    setup = make()
    for _ in range(10):
        endpoint.answer({}, status).then(endpoint.chat("yes"))
        (said,) = await setup.answers(["forbidden"])
        assert not said.startswith("fatal")


async def test_an_empty_account_is_told_without_an_exam(endpoint: Endpoint, make: Make) -> None:
    setup = make()
    endpoint.answer({"error": {"code": "insufficient_quota"}}, 429)
    with pytest.raises(QuotaExhausted) as caught:
        await setup.ask()
    assert caught.value.fatal
    assert len(endpoint.received) == 1


# An endpoint that was never heard of


@pytest.mark.parametrize("retries", [0, 1, 8])
async def test_an_endpoint_that_never_answered_is_given_up_within_seconds(
    endpoint: Endpoint, make: Make, retries: int
) -> None:
    setup = make(retries=retries)
    endpoint.answer({}, 500)
    with pytest.raises(ServerFailed) as caught:
        await setup.ask()
    assert caught.value.fatal
    assert len(endpoint.received) == 1 + min(retries, 2)
    assert sum(setup.stop.slept) < 3


async def test_nothing_listens_there(
    session: aiohttp.ClientSession, model: Callable[..., ModelConfig], journal: Journal
) -> None:
    http = HttpClient(model(retries=8), session, base_url="http://127.0.0.1:1/v1", name="m", traits=Traits())
    setup = Setup(http, Ledger(journal))
    with pytest.raises(CannotConnect, match="Is the server running") as caught:
        await setup.ask()
    assert caught.value.fatal
    assert sum(setup.stop.slept) < 3


async def test_the_first_failure_of_all_may_pass(endpoint: Endpoint, make: Make) -> None:
    setup = make()
    endpoint.answer({}, 500).then({}, 503).then(endpoint.chat("yes"))
    assert await setup.ask() == "yes"


async def test_a_refusal_is_a_sign_of_life(endpoint: Endpoint, make: Make) -> None:
    setup = make(retries=2)
    endpoint.answer({}, 429).then({}, 500).then({}, 500).then(endpoint.chat("yes"))
    assert await setup.ask() == "yes"
    assert EXAM not in _asked(endpoint)


async def test_an_exam_that_ends_for_another_reason_leaves_the_next_one_possible(
    endpoint: Endpoint, make: Make
) -> None:
    setup = make(retries=0)
    await setup.ask()
    endpoint.answer({}, 401)
    assert await setup.answers(["1"]) == ["fatal auth"]
    endpoint.answer({}, 500).then(endpoint.chat("yes"))
    with pytest.raises(ServerFailed) as caught:
        await setup.ask()
    assert not caught.value.fatal
