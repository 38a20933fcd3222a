"""What the server counts: calls by model, status and prompt, repetitions, calls in flight, tokens."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any


class Stats:
    """Counters since the last reset. A call is one POST to a completions endpoint, whatever became of it.

    ``repeated`` counts calls whose very body had been answered whole before (200, not torn, cut off or refused): the
    work a perfect client never asks for twice. Calls that got no answer (hung, dropped) count under the status "none".
    ``by_fault`` counts the faults that were put in, by the names of their options.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forgets everything but the calls now in flight."""
        self.calls = 0
        self.repeated = 0
        self.peak_in_flight = self.in_flight
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.by_model: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_prompt: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self._answered: set[bytes] = set()

    def begin(self) -> None:
        """A call has come in."""
        self.calls += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def end(self, status: str) -> None:
        """A call is over."""
        self.in_flight -= 1
        self.by_status[status] += 1

    def faulty(self, fault: str) -> None:
        """A fault is put into a call."""
        self.by_fault[fault] += 1

    def asked(self, model: str, prompt: str, body: bytes) -> bytes:
        """A sound request to ``model``; what is returned goes to :meth:`answered`."""
        self.by_model[model] += 1
        self.by_prompt[prompt] += 1
        key = hashlib.blake2b(body, digest_size=16).digest()
        self.repeated += key in self._answered
        return key

    def answered(self, key: bytes | None, prompt_tokens: int, completion_tokens: int) -> None:
        """A request was answered with 200; ``key`` is its own when the answer was whole, else None."""
        if key is not None:
            self._answered.add(key)
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def as_dict(self) -> dict[str, Any]:
        """The counters as plain data."""
        return {
            "calls": self.calls,
            "repeated": self.repeated,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "by_model": dict(self.by_model),
            "by_status": dict(self.by_status),
            "by_prompt": dict(self.by_prompt),
            "by_fault": dict(self.by_fault),
        }
