"""Counting what went wrong: every failed attempt once, by its cause, in this process and in the ledger for good."""

from __future__ import annotations

from dataclasses import dataclass

from codeclm import events
from codeclm.clients.calls import Calls
from codeclm.ledger import Ledger
from codeclm.records import Completion


@dataclass(frozen=True, slots=True)
class Faults:
    """The failed attempts at one model."""

    model: str
    calls: Calls
    ledger: Ledger

    def count(self, cause: str, *, stage: str = "", attempt: int = 1) -> None:
        """One attempt has failed, the ``attempt``-th of its call."""
        self.calls.faults[cause] += 1
        self.ledger.fault(self.model, cause)
        events.note("attempt_failed", model=self.model, stage=stage, cause=cause, attempt=attempt)


def cut_early(completion: Completion, max_tokens: int) -> bool:
    """Whether a reply was cut off before its own limit of tokens, as by a proxy or a full context."""
    return completion.finish_reason == "length" and 0 < completion.usage.completion_tokens < max_tokens
