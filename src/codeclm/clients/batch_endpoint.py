"""What the parts of batch mode share: the endpoint, what a call may cost there, and patience with its Batch API."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from codeclm.batch_records import BatchRecord, open_batches
from codeclm.clients.batch_api import BatchApi
from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls
from codeclm.clients.retrying import delay
from codeclm.errors import CallFailed, EndpointDown
from codeclm.journal import Journal
from codeclm.records import Usage

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: ``quiet`` is how long nothing new may come before a batch is sent, ``first_poll`` and ``longest_poll``
    are the pauses between two looks at a batch.
    """

    quiet: float = 0.2
    first_poll: float = 0.25
    longest_poll: float = 60.0


@dataclass(frozen=True)
class BatchEndpoint:
    """An endpoint reached through its Batch API. ``key`` is its name in the journal; ``now`` is a steady clock."""

    api: BatchApi
    key: bytes
    journal: Journal
    calls: Calls
    budget: Budget
    sleep: Callable[[float], Awaitable[None]]
    now: Callable[[], float] = time.monotonic
    times: Times = field(default_factory=Times)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.api.http.config.model

    @property
    def where(self) -> str:
        """The endpoint, for messages."""
        return self.api.http.where

    def open_batches(self) -> list[BatchRecord]:
        """The batches that an earlier process left under way, their calls reserved in the budget."""
        records = open_batches(self.journal, self.key)
        self.budget.collects(self.key)
        adopt(self.budget, records, self.key)
        return records

    def settle(self, most: Usage, usage: Usage | None) -> None:
        """A call that was reserved with ``most`` is over and cost ``usage``; None where nobody can tell."""
        self.budget.settle(self.key, most, usage)

    async def insist(
        self, action: Callable[[], Awaitable[T]], *, on: type[CallFailed] | tuple[type[CallFailed], ...] = CallFailed
    ) -> T:
        """The action's result, however often it must be tried: what may pass, of the kinds ``on``, is waited out.

        Raises EndpointDown after ``give_up_after`` seconds, and every other error at once.
        """
        attempt, since = 1, None
        while True:
            try:
                return await action()
            except on as error:
                if not error.retriable:
                    raise
                since = self.now() if since is None else since
                wait, patience = delay(attempt, error.retry_after), self.api.http.config.give_up_after
                if self.now() + wait - since > patience:
                    raise EndpointDown(
                        f"{error.message} That is how its Batch API has been for {patience:g} s. Everything is kept, "
                        "and batches under way go on at the provider: run again when it is back."
                    ) from None
                await self.sleep(wait)
            attempt += 1


def adopt(budget: Budget, records: Sequence[BatchRecord], key: bytes) -> None:
    """Count what an endpoint's open batches may cost as under way, unless it is counted already."""
    if not budget.ledger.accounts[key].batched.requests:
        for call in (call for record in records for call in record.calls):
            budget.adopt(key, call.most)
