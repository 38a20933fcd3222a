"""The budget: by the server's own count it is never overdrawn, and little of it is left unused."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclm.clients.budget import Budget, Budgeted
from codeclm.clients.calls import Calls, StopSwitch
from codeclm.clients.http import HttpClient, Traits
from codeclm.clients.journaled import Journaled
from codeclm.config import BudgetConfig, RunConfig
from codeclm.config_models import ModelConfig, ModelsConfig, PriceConfig
from codeclm.errors import BudgetReached, CallFailed, Stopped
from codeclm.generate import budget_of
from codeclm.journal import Journal, endpoint_key
from codeclm.ledger import Ledger
from codeclm.prices import Price, cost
from codeclm.records import Message, Request, Usage
from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import Simulator

if TYPE_CHECKING:
    from tests.conftest import Endpoint

MODELS = ("strong", "target")


@dataclass(frozen=True)
class World:
    """Two endpoints, each a server of its own with its own count, and their prices."""

    servers: dict[str, Simulator]
    configs: dict[str, ModelConfig]
    prices: dict[str, Price]

    def budget(self, journal: Journal, limits: BudgetConfig) -> Budget:
        return Budget(Ledger(journal), limits, {endpoint_key(self.configs[name]): self.prices[name] for name in MODELS})

    def charged(self) -> tuple[int, int, Decimal]:
        """Calls, tokens and dollars by the servers' count."""
        stats = {name: server.stats() for name, server in self.servers.items()}
        used = {name: Usage(found["prompt_tokens"], found["completion_tokens"]) for name, found in stats.items()}
        dollars = sum((cost(self.prices[name], used[name]) for name in MODELS), Decimal(0))
        return sum(found["calls"] for found in stats.values()), sum(usage.total for usage in used.values()), dollars


@asynccontextmanager
async def world(options: SimulatorOptions, prices: dict[str, Price], max_tokens: int) -> AsyncIterator[World]:
    async with Simulator(options) as strong, Simulator(options) as target:
        servers = {"strong": strong, "target": target}
        configs = {
            name: ModelConfig(model=name, base_url=server.base_url, max_tokens=max_tokens)
            for name, server in servers.items()
        }
        yield World(servers, configs, prices)


async def spend(world: World, budget: Budget, journal: Journal, requests: list[Request], kill_after: int) -> bool:
    """One process's life: ask both models everything, at once, until the budget or ``kill_after`` answers end it.

    Killed means: the journal is kept as it was on disk at that moment, and what was in flight is still answered.
    Returns whether the budget ended it.
    """
    stop, calls = StopSwitch(), Calls()
    reached = False
    async with aiohttp.ClientSession() as session:

        def client(name: str) -> Journaled:
            config = world.configs[name]
            http = HttpClient(config, session, base_url=config.base_url, name=name, traits=Traits())
            key = endpoint_key(config)
            budgeted = Budgeted(http, http=http, budget=budget, account=budget.ledger.account(key, config.model))
            return Journaled(budgeted, journal=journal, endpoint=key, model=config.model, calls=calls, stop=stop)

        clients = [client(name) for name in MODELS]

        async def ask(client: Journaled, request: Request) -> None:
            nonlocal reached
            try:
                stop.check()
                await client.complete(request)
            except BudgetReached:
                reached = True
            except (CallFailed, Stopped):
                pass
            if calls.made == kill_after and not stop.pressed:
                stop.press()
                keep(journal.path)

        await asyncio.gather(*(ask(client, request) for request in requests for client in clients))
    return reached


def keep(journal: Path) -> None:
    """Copy the journal as a kill would leave it now."""
    for path in journal.parent.glob("journal.sqlite*"):
        shutil.copy(path, path.with_name(f"killed-{path.name}"))


def put_back(journal: Path) -> None:
    """Go on from the copy, if one was kept."""
    for path in journal.parent.glob("killed-*"):
        path.rename(path.with_name(path.name.removeprefix("killed-")))


PRICES = st.builds(
    lambda given, taken: Price(given, taken, "test"),
    *(st.decimals(0, 100, places=4, allow_nan=False) for _ in range(2)),
)
LIMITS = st.builds(
    BudgetConfig,
    usd=st.none() | st.decimals(0, Decimal("0.05"), places=5),
    calls=st.none() | st.integers(0, 40),
    tokens=st.none() | st.integers(0, 30_000),
)
FAULTS = st.builds(
    SimulatorOptions,
    latency=st.sampled_from([0, 0.002]),
    rate_429=st.sampled_from([0, 0.2]),
    rate_500=st.sampled_from([0, 0.1]),
    rate_drop=st.sampled_from([0, 0.1]),
    rate_malformed=st.sampled_from([0, 0.2]),
    rate_truncated=st.sampled_from([0, 0.1]),
    rate_refused=st.sampled_from([0, 0.1]),
    fault_seed=st.integers(0, 1000),
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), min_size=1, max_size=25, unique=True)


@settings(max_examples=120)
@given(
    faults=FAULTS,
    prices=st.fixed_dictionaries(dict.fromkeys(MODELS, PRICES)),
    limits=LIMITS,
    max_tokens=st.integers(1, 300),
    texts=TEXTS,
    kills=st.lists(st.integers(1, 20), max_size=3),
)
def test_spending_never_exceeds_the_cap_by_the_servers_own_count(
    faults: SimulatorOptions,
    prices: dict[str, Price],
    limits: BudgetConfig,
    max_tokens: int,
    texts: list[str],
    kills: list[int],
) -> None:
    requests = [Request((Message("user", text),), 0.0) for text in texts]

    async def lives() -> None:
        async with world(faults, prices, max_tokens) as there:
            with tempfile.TemporaryDirectory() as folder:
                for kill_after in (*kills, 0, 0):
                    path = Path(folder) / "journal.sqlite"
                    with Journal(path) as journal:
                        await spend(there, there.budget(journal, limits), journal, requests, kill_after)
                    put_back(path)
                    calls, tokens, dollars = there.charged()
                    assert limits.calls is None or calls <= limits.calls
                    assert limits.tokens is None or tokens <= limits.tokens
                    assert limits.usd is None or dollars <= limits.usd

    asyncio.run(lives())


@pytest.mark.parametrize("limits", [{"usd": "0.02"}, {"tokens": 9000}, {"calls": 25}])
async def test_little_of_a_budget_is_left_when_it_is_reached(tmp_path: Path, limits: dict[str, Any]) -> None:
    prices = {name: Price(Decimal(1), Decimal(4), "test") for name in MODELS}
    requests = [Request((Message("user", f"Explain the number {n}."),), 0.0) for n in range(200)]
    budget = BudgetConfig(**limits)
    async with world(SimulatorOptions(), prices, 100) as there:
        with Journal(tmp_path / "journal.sqlite") as journal:
            assert await spend(there, there.budget(journal, budget), journal, requests, 0)
        calls, tokens, dollars = there.charged()
    one = Usage(600, 100)  # more than any of these may take
    assert budget.calls is None or calls == budget.calls
    assert budget.tokens is None or budget.tokens - one.total < tokens <= budget.tokens
    assert budget.usd is None or budget.usd - cost(prices["strong"], one) < dollars <= budget.usd


async def test_without_limits_nothing_is_held_back_and_all_is_counted(tmp_path: Path) -> None:
    prices = {name: Price(Decimal(1), Decimal(4), "test") for name in MODELS}
    requests = [Request((Message("user", f"Explain the number {n}."),), 0.0) for n in range(20)]
    async with world(SimulatorOptions(rate_malformed=0.2, fault_seed=1), prices, 100) as there:
        with Journal(tmp_path / "journal.sqlite") as journal:
            budget = there.budget(journal, BudgetConfig())
            assert not await spend(there, budget, journal, requests, 0)
        with Journal(tmp_path / "journal.sqlite") as journal:
            later = there.budget(journal, BudgetConfig())
        calls, tokens, _ = there.charged()
    assert later.requests == budget.requests == calls == 40
    assert later.usd == budget.usd
    assert later.tokens == budget.tokens > tokens  # torn replies count at their most


class TestOneEndpoint:
    """Against a scripted server."""

    @pytest.fixture
    def budgeted(
        self, endpoint: Endpoint, session: aiohttp.ClientSession, journal: Journal, model: Callable[..., ModelConfig]
    ) -> Callable[..., tuple[Budgeted, Budget]]:
        def make(**limits: Any) -> tuple[Budgeted, Budget]:
            config = model(base_url=endpoint.base_url, max_tokens=100)
            http = HttpClient(config, session, base_url=endpoint.base_url, name="m", traits=Traits())
            budget = Budget(Ledger(journal), BudgetConfig(**limits))
            return Budgeted(
                http, http=http, budget=budget, account=budget.ledger.account(endpoint_key(config), "m")
            ), budget

        return make

    async def test_a_reservation_is_on_disk_before_its_request_is_sent(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]], journal: Journal
    ) -> None:
        client, _ = budgeted(tokens=10_000)
        endpoint.gate.clear()
        call = asyncio.create_task(client.complete(request("a" * 50)))
        await endpoint.wait_for(1)
        reserved = journal.rows("SELECT requests, reserved_prompt, reserved_completion FROM spending")
        assert reserved == [(1, 50 + 256, 100)]
        endpoint.gate.set()
        await call
        await journal.note("now", "SELECT 1")
        assert journal.rows("SELECT reserved_prompt, prompt_tokens FROM spending") == [(0, 1)]

    async def test_a_call_waits_for_room_that_others_may_leave_and_goes_first(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]]
    ) -> None:
        client, budget = budgeted(tokens=900)
        endpoint.says("yes", tokens=9)
        endpoint.gate.clear()
        calls = [asyncio.create_task(client.complete(request(name * 40))) for name in "abcd"]
        await endpoint.wait_for(2)
        assert len(endpoint.received) == 2  # 396 each
        endpoint.gate.set()
        await asyncio.gather(*calls)
        sent = [received.body["messages"][0]["content"][0] for received in endpoint.received]
        assert sent[2:] == ["c", "d"]
        assert budget.tokens == 40

    async def test_a_server_that_counts_more_than_was_reserved_is_believed_from_then_on(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]]
    ) -> None:
        client, budget = budgeted(tokens=2000)
        endpoint.says("yes", tokens=700)  # thinking that max_tokens did not bound
        await client.complete(request("a"))
        await client.complete(request("b"))
        with pytest.raises(BudgetReached, match=r"1,402 of 2,000 tokens.*raise `budget.tokens`"):
            await client.complete(request("c"))
        assert budget.requests == 2

    @pytest.mark.parametrize(
        ("status", "body", "counted"),
        [
            (429, {"error": "slow down"}, 0),
            (500, {"error": "oops"}, 0),
            (400, {"error": "no"}, 0),
            (200, b'{"choices": [', 357),
            (200, {"choices": [{"message": {"content": "hi"}}]}, 357),
        ],
        ids=["429", "500", "400", "torn", "without usage"],
    )
    async def test_an_error_is_free_and_what_cannot_be_told_counts_at_its_most(
        self,
        endpoint: Endpoint,
        budgeted: Callable[..., tuple[Budgeted, Budget]],
        status: int,
        body: Any,
        counted: int,
    ) -> None:
        client, budget = budgeted()
        endpoint.answer(body, status)
        try:
            await client.complete(request("a"))
        except CallFailed:
            assert status != 200 or counted
        assert (budget.requests, budget.tokens) == (1, counted)

    async def test_a_refused_connection_is_free(
        self, session: aiohttp.ClientSession, journal: Journal, model: Callable[..., ModelConfig]
    ) -> None:
        http = HttpClient(model(), session, base_url="http://127.0.0.1:9/v1", name="m", traits=Traits())
        budget = Budget(Ledger(journal))
        with pytest.raises(CallFailed):
            await Budgeted(http, http=http, budget=budget, account=budget.ledger.account(b"m", "m")).complete(
                request("a")
            )
        assert budget.tokens == 0

    async def test_a_waiting_call_that_is_given_up_lets_the_next_one_see(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]]
    ) -> None:
        client, _ = budgeted(tokens=500)
        endpoint.gate.clear()
        calls = [asyncio.create_task(client.complete(request(name))) for name in "abc"]
        await endpoint.wait_for(1)
        calls[1].cancel()
        endpoint.gate.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result).__name__ for result in done] == ["Completion", "CancelledError", "Completion"]

    async def test_a_run_that_stops_sends_none_of_the_calls_that_wait_for_room(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]]
    ) -> None:
        client, budget = budgeted(tokens=500)
        endpoint.gate.clear()
        calls = [asyncio.create_task(client.complete(request(name))) for name in "abc"]
        await endpoint.wait_for(1)
        assert budget.waiting == 2
        budget.close(Stopped("enough"))
        endpoint.gate.set()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result).__name__ for result in done] == ["Completion", "Stopped", "Stopped"]
        assert len(endpoint.received) == 1

    async def test_a_call_woken_in_the_moment_of_the_stop_is_not_sent(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]]
    ) -> None:
        client, budget = budgeted(tokens=500)
        account, most = next(iter(budget.ledger.accounts.values())), Usage(300, 100)
        await budget.admit(account, most)
        waiting = asyncio.create_task(client.complete(request("a")))
        while not budget.waiting:  # noqa: ASYNC110 (what is waited for is another task)
            await asyncio.sleep(0)
        budget.release(account, most, Usage())
        budget.close(Stopped("enough"))
        with pytest.raises(Stopped):
            await waiting
        assert endpoint.received == []

    async def test_a_reservation_that_cannot_be_written_is_given_back(
        self, endpoint: Endpoint, budgeted: Callable[..., tuple[Budgeted, Budget]], journal: Journal
    ) -> None:
        client, budget = budgeted(tokens=500)
        journal.rows("PRAGMA query_only = ON")
        done = await asyncio.gather(*(client.complete(request(name)) for name in "ab"), return_exceptions=True)
        assert [type(result).__name__ for result in done] == ["JournalError", "JournalError"]
        journal.rows("PRAGMA query_only = OFF")
        assert (budget.tokens, endpoint.received) == (0, [])


async def test_room_that_only_an_uncollected_batch_could_leave_is_not_waited_for(journal: Journal) -> None:
    budget = Budget(Ledger(journal), BudgetConfig(tokens=1000))
    account = budget.ledger.account(b"e", "m")
    budget.adopt(b"e", Usage(500, 100))
    with pytest.raises(BudgetReached):
        await budget.admit(account, Usage(300, 200))
    budget.collects(b"e")
    waiting = asyncio.create_task(budget.admit(account, Usage(300, 200)))
    while not budget.waiting:  # noqa: ASYNC110 (what is waited for is another task)
        await asyncio.sleep(0)
    budget.settle(b"e", Usage(500, 100), Usage(10, 10))
    await waiting


def test_a_model_both_live_and_in_batches_counts_at_the_dearer_price(
    journal: Journal, model: Callable[..., ModelConfig]
) -> None:
    def priced(usd_in: int, usd_out: int, **settings: Any) -> ModelConfig:
        return model(price=PriceConfig(input=Decimal(usd_in), output=Decimal(usd_out)), **settings)

    strong, judge, target = priced(4, 8), priced(2, 9, batch=True), priced(1, 1, model="t")
    models = ModelsConfig(strong=strong, target=target, judge=judge)
    config = RunConfig(seeds=Path("s"), size=1, run_dir=Path("r"), models=models)
    found = budget_of(config, journal).prices
    assert endpoint_key(strong) == endpoint_key(judge)
    assert found[endpoint_key(strong)] == Price(Decimal(4), Decimal(9), "config")
    assert found[endpoint_key(target)].input == 1


async def test_a_batch_is_reserved_by_its_own_record_and_settled_later(journal: Journal) -> None:
    budget = Budget(Ledger(journal), BudgetConfig(tokens=1000))
    account = budget.ledger.account(b"e", "m")
    assert budget.try_reserve(b"e", Usage(300, 100))
    assert budget.try_reserve(b"e", Usage(300, 100))
    assert not budget.try_reserve(b"e", Usage(300, 100))
    budget.settle(b"e", Usage(300, 100), Usage(20, 10))
    assert budget.try_reserve(b"e", Usage(300, 100))
    await budget.ledger.write(account)
    later = Budget(Ledger(journal), BudgetConfig(tokens=1000))
    assert (later.requests, later.tokens) == (3, 30)  # the batches' own records say the rest
    later.adopt(b"e", Usage(300, 100))
    assert later.tokens == 430


async def test_an_earlier_journal_is_taken_as_spent(journal: Journal) -> None:
    from codeclm.records import Completion

    await journal.put(b"k", Completion("a", usage=Usage(7, 5)), stage="encode", model="m")
    budget = Budget(Ledger(journal))
    budget.ledger.account(b"e", "m")
    assert (budget.requests, budget.tokens) == (1, 12)


def request(text: str) -> Request:
    return Request((Message("user", text),), 0.0)
