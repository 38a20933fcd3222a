"""The ledger: what each endpoint was sent and may have charged, kept in the journal's file.

Contract. Every request counts from the moment it may be sent. While it is in flight the most it may cost is reserved;
when it ends, what it did cost is charged, or, where nobody can tell (a broken connection, a reply without usage), the
most it may have cost is filed as unknown. Rows are written in the same transactions as the calls. What was in flight
when a process was killed is unknown for the next one. So the ledger may say too much, and never too little.

Recorded calls are the journal's; this counts what they and all the others cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from codeclm.journal import Journal
from codeclm.records import Usage

NOTHING = Usage()


@dataclass(slots=True)
class Reserved:
    """Requests that are not over: how many, and the most they may cost together."""

    requests: int = 0
    tokens: Usage = NOTHING

    def add(self, most: Usage) -> None:
        """One more."""
        self.requests += 1
        self.tokens += most

    def remove(self, most: Usage) -> None:
        """One is over."""
        self.requests -= 1
        self.tokens -= most


@dataclass(slots=True)
class Account:
    """One endpoint: requests sent, and tokens by what is known of them.

    ``in_flight`` are live requests; ``batched`` those in batches, which have records of their own and outlive a
    process. ``excess`` is by how much a request was seen to go beyond what was taken for its most: any other may too.
    """

    endpoint: bytes
    model: str
    requests: int = 0
    charged: Usage = NOTHING
    unknown: Usage = NOTHING
    excess: Usage = NOTHING
    in_flight: Reserved = field(default_factory=Reserved)
    batched: Reserved = field(default_factory=Reserved)

    @property
    def at_most(self) -> Usage:
        """What will have been spent when all that is under way has ended as badly as it can."""
        return self.charged + self.unknown + self.with_excess(self.in_flight) + self.with_excess(self.batched)

    def with_excess(self, reserved: Reserved) -> Usage:
        """The most that reserved requests may cost."""
        if not self.excess.total:
            return reserved.tokens
        return Usage(
            reserved.tokens.prompt_tokens + reserved.requests * self.excess.prompt_tokens,
            reserved.tokens.completion_tokens + reserved.requests * self.excess.completion_tokens,
        )

    def charge(self, most: Usage, usage: Usage | None) -> None:
        """A request of at most ``most`` has ended and cost ``usage``; None where nobody can tell."""
        if usage is None:
            self.unknown += most + self.excess
            return
        self.charged += usage
        prompt, completion = usage.prompt_tokens - most.prompt_tokens, usage.completion_tokens - most.completion_tokens
        if prompt > self.excess.prompt_tokens or completion > self.excess.completion_tokens:
            self.excess = Usage(max(self.excess.prompt_tokens, prompt), max(self.excess.completion_tokens, completion))


class Ledger:
    """The accounts of a run directory, and its faults: failed attempts by model and cause."""

    def __init__(self, journal: Journal) -> None:
        self.accounts = {account.endpoint: account for account in _accounts(journal)}
        self.faults = {(model, cause): count for model, cause, count in journal.rows("SELECT * FROM faults")}
        self._journal = journal

    def account(self, endpoint: bytes, model: str) -> Account:
        """The endpoint's account; one without a row starts from its model's recorded calls, if there are any."""
        account = self.accounts.get(endpoint)
        if account is None:
            account = self.accounts[endpoint] = Account(endpoint, model)
            for total in self._journal.totals():
                if total.model == model:
                    account.requests += total.calls
                    account.charged += Usage(total.prompt_tokens, total.completion_tokens)
        return account

    def write(self, account: Account) -> asyncio.Future[None]:
        """Have the account's row written with the next commit, which the future is of."""
        charged, unknown, excess = account.charged, account.unknown, account.excess
        reserved = account.with_excess(account.in_flight)
        return self._journal.note(
            ("spending", account.endpoint),
            "INSERT OR REPLACE INTO spending VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            account.endpoint, account.model, account.requests,
            charged.prompt_tokens, charged.completion_tokens, unknown.prompt_tokens, unknown.completion_tokens,
            reserved.prompt_tokens, reserved.completion_tokens, excess.prompt_tokens, excess.completion_tokens,
        )  # fmt: skip

    def fault(self, model: str, cause: str) -> None:
        """Count one failed attempt."""
        self.faults[model, cause] = count = self.faults.get((model, cause), 0) + 1
        self._journal.note(("fault", model, cause), "INSERT OR REPLACE INTO faults VALUES (?,?,?)", model, cause, count)

    def faults_by_cause(self) -> dict[str, int]:
        """Failed attempts of all models since the run directory was made, by cause in alphabetical order."""
        causes = sorted({cause for _, cause in self.faults})
        return {cause: sum(n for (_, found), n in self.faults.items() if found == cause) for cause in causes}


def _accounts(journal: Journal) -> Iterator[Account]:
    """The accounts as a process before this one left them: what it had in flight then is unknown now."""
    for endpoint, model, requests, *tokens in journal.rows("SELECT * FROM spending"):
        charged, unknown, in_flight, excess = (Usage(*tokens[at : at + 2]) for at in range(0, 8, 2))
        yield Account(endpoint, model, requests, charged, unknown + in_flight, excess)
