"""The budget: a request is sent only if the most that can have been spent afterwards still fits.

What counts is what was charged, what nobody can tell of at its most, what all requests in flight may at most cost, and
the request's own most: its prompt in bytes, of which no tokenizer makes more tokens, and ``max_tokens``. A reservation
is on disk before its request is sent, so a kill hides nothing from the next process. Errors (4xx, 5xx) are free, as
everywhere; a connection that breaks or a body that can't be read counts at its most.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from codeclm.clients.http import HttpClient
from codeclm.clients.protocol import Client, Layer
from codeclm.config import BudgetConfig
from codeclm.errors import BudgetReached, CallFailed, CodecLMError
from codeclm.ledger import NOTHING, Account, Ledger
from codeclm.prices import Price, cost
from codeclm.records import Completion, Request, Usage


def _at_most(account: Account) -> Usage:
    return account.at_most


def _spent(account: Account) -> Usage:
    """What is spent already, whatever becomes of the requests under way."""
    return account.charged + account.unknown


class Budget:
    """What a run may still spend, over all its endpoints. ``prices`` are those known, by endpoint key.

    A limit in dollars takes an endpoint without a price for free: whoever sets one sees to it that all are known.
    """

    def __init__(
        self,
        ledger: Ledger,
        limits: BudgetConfig = BudgetConfig(),  # noqa: B008 (frozen)
        prices: Mapping[bytes, Price] | None = None,
    ) -> None:
        self.limits = limits
        self.ledger = ledger
        self.prices = prices or {}
        self._limited = any(limit is not None for limit in (limits.usd, limits.calls, limits.tokens))
        self._collected: set[bytes] = set()
        self._closed: CodecLMError | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def requests(self) -> int:
        """Requests sent since the run directory was made."""
        return sum(account.requests for account in self.ledger.accounts.values())

    @property
    def tokens(self) -> int:
        """The most tokens that will have been spent when all that is under way has ended."""
        return self._tokens(_at_most)

    @property
    def usd(self) -> Decimal:
        """The most dollars that will have been spent when all that is under way has ended, at the known prices."""
        return self._usd(_at_most)

    @property
    def waiting(self) -> int:
        """How many live requests wait for room."""
        return sum(not room.done() for room in self._waiting)

    @property
    def all_priced(self) -> bool:
        """Whether the price of every endpoint is known."""
        return all(endpoint in self.prices for endpoint in self.ledger.accounts)

    async def admit(self, account: Account, most: Usage) -> None:
        """Reserve a live request, waiting while others in flight may leave room for it.

        Returns when the reservation is on disk. Raises BudgetReached when nothing under way can make it fit, and why
        the run stops when that comes first.
        """
        queue = self._waiting.append
        while self._lacks(account, most):
            if not self._more_will_end() or self._lacks(account, most, spent=_spent):
                self._let_the_next_see()
                raise self.reached(account.endpoint, most)
            if self._closed:
                raise self._closed
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue(room)
            queue = self._waiting.appendleft  # seen and found too little: still the first in line
            try:
                await room
            except asyncio.CancelledError:
                self._let_the_next_see()
                raise
            if self._closed:
                raise self._closed
        self._let_the_next_see()
        account.requests += 1
        account.in_flight.add(most)
        if self._limited:  # else it is written when the next request ends: that costs no transaction of its own
            try:
                await self.ledger.write(account)
            except BaseException:
                self.release(account, most, NOTHING)  # it is not sent
                raise

    def close(self, reason: CodecLMError) -> None:
        """Raise ``reason`` in every request that waits for room, now or later: a run that stops sends no more."""
        self._closed = self._closed or reason
        waiting, self._waiting = self._waiting, deque()
        for room in waiting:
            if not room.done():
                room.set_exception(self._closed)

    def release(self, account: Account, most: Usage, usage: Usage | None) -> None:
        """A live request is over and cost ``usage``; None where nobody can tell."""
        account.in_flight.remove(most)
        self._settled(account, most, usage)

    def try_reserve(self, endpoint: bytes, most: Usage) -> bool:
        """Reserve a request that goes into a batch, which keeps the record of it; False while it does not fit."""
        account = self.ledger.accounts[endpoint]
        if self._lacks(account, most):
            return False
        account.requests += 1
        self.adopt(endpoint, most)
        self.ledger.write(account)
        return True

    def adopt(self, endpoint: bytes, most: Usage) -> None:
        """Count a request in a batch that an earlier process submitted."""
        self.ledger.accounts[endpoint].batched.add(most)

    def collects(self, endpoint: bytes) -> None:
        """The results of the endpoint's batches are collected from now on, so its reservations will end."""
        self._collected.add(endpoint)

    def settle(self, endpoint: bytes, most: Usage, usage: Usage | None) -> None:
        """A request of a batch is over and cost ``usage``; None where nobody can tell."""
        account = self.ledger.accounts[endpoint]
        account.batched.remove(most)
        self._settled(account, most, usage)

    def reached(self, endpoint: bytes, most: Usage) -> BudgetReached:
        """The error for a request that does not fit, with what was spent and how to go on."""
        limits, parts = self.limits, []
        if limits.usd is not None:
            parts.append(f"${self.usd:.4f} of ${limits.usd}")
        if limits.tokens is not None:
            parts.append(f"{self.tokens:,} of {limits.tokens:,} tokens")
        if limits.calls is not None:
            parts.append(f"{self.requests:,} of {limits.calls:,} calls")
        key = self._lacks(self.ledger.accounts[endpoint], most) or "budget"
        return BudgetReached(
            f"The budget is used up: {', '.join(parts)}, and no further call is sure to fit. Everything is kept. "
            f"To go on, raise `{key}` and run again: nothing is paid for twice.",
            key,
        )

    def _settled(self, account: Account, most: Usage, usage: Usage | None) -> None:
        account.charge(most, usage)
        self.ledger.write(account)
        self._let_the_next_see()

    def _more_will_end(self) -> bool:
        """Whether anything is under way that ends in this process: batches that nobody collects do not."""
        return any(
            account.in_flight.requests or (account.batched.requests and account.endpoint in self._collected)
            for account in self.ledger.accounts.values()
        )

    def _let_the_next_see(self) -> None:
        """Wake the first in line; whoever is woken wakes the next, or goes back to the front."""
        while self._waiting:
            room = self._waiting.popleft()
            if not room.done():
                room.set_result(None)
                return

    def _lacks(self, account: Account, most: Usage, *, spent: Callable[[Account], Usage] = _at_most) -> str:
        """The key of a limit that one request more would break beside what is ``spent``; empty when it fits."""
        limits = self.limits
        if not self._limited:
            return ""
        own = most + account.excess
        if limits.calls is not None and self.requests + 1 > limits.calls:
            return "budget.calls"
        if limits.tokens is not None and self._tokens(spent) + own.total > limits.tokens:
            return "budget.tokens"
        if limits.usd is not None and self._usd(spent) + self._cost(account.endpoint, own) > limits.usd:
            return "budget.usd"
        return ""

    def _tokens(self, spent: Callable[[Account], Usage]) -> int:
        return sum(spent(account).total for account in self.ledger.accounts.values())

    def _usd(self, spent: Callable[[Account], Usage]) -> Decimal:
        accounts = self.ledger.accounts.values()
        return sum((self._cost(account.endpoint, spent(account)) for account in accounts), Decimal(0))

    def _cost(self, endpoint: bytes, usage: Usage) -> Decimal:
        price = self.prices.get(endpoint)
        return cost(price, usage) if price else Decimal(0)


class Budgeted(Layer):
    """Sends a request only within the budget, and has what it cost counted. ``http`` knows what it may cost."""

    def __init__(self, inner: Client, *, http: HttpClient, budget: Budget, account: Account) -> None:
        super().__init__(inner)
        self._http = http
        self._budget = budget
        self._account = account

    async def complete(self, request: Request) -> Completion:
        """The completion. Raises BudgetReached when the request may cost more than is left."""
        most = self._http.most(request)
        await self._budget.admit(self._account, most)
        usage = None
        try:
            completion = await self.inner.complete(request)
            # A server that counts no tokens has said nothing of the price.
            usage = completion.usage if completion.usage.total else None
            return completion
        except CallFailed as error:
            usage = NOTHING if error.free else None
            raise
        finally:
            self._budget.release(self._account, most, usage)
