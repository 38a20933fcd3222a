"""What goes wrong on the way, and how long a reply takes.

Drawn per HTTP call from a generator of the server's own, so that a call sent again draws anew. Nothing here can change
what a reply says.
"""

from __future__ import annotations

import math
import random
from typing import Literal, cast

from codeclm.simulator.options import FAULT_RATES, SimulatorOptions

Fault = Literal["429", "500", "hang", "drop", "malformed", "truncated", "refused"]

_SIGMA = 0.5


class Transport:
    """Draws the fault and the latency of each call."""

    def __init__(self, options: SimulatorOptions) -> None:
        self._options = options
        self._random = random.Random(options.fault_seed)
        self._rates = [(cast(Fault, name.removeprefix("rate_")), getattr(options, name)) for name in FAULT_RATES]

    def fault(self) -> Fault | None:
        """What goes wrong with the next call, if anything."""
        left = self._random.random()
        for name, rate in self._rates:
            if left < rate:
                return name
            left -= rate
        return None

    def latency(self, completion_tokens: int) -> float:
        """Seconds until the next reply of so many tokens is out."""
        options = self._options
        seconds = options.latency
        if options.latency_distribution == "exponential":
            seconds *= self._random.expovariate(1.0)
        elif options.latency_distribution == "lognormal":
            seconds *= self._random.lognormvariate(-_SIGMA * _SIGMA / 2, _SIGMA)
        if options.tokens_per_second:
            seconds += completion_tokens / options.tokens_per_second
        return seconds


class RateLimit:
    """At most so many calls per minute: a bucket that holds a minute's worth and fills steadily. 0 sets no limit."""

    def __init__(self, per_minute: int) -> None:
        self._capacity = float(per_minute)
        self._left = self._capacity
        self._at = -math.inf

    def wait(self, now: float) -> float:
        """0 when a call at ``now`` (seconds, never going back) may pass, which uses it up; else seconds to wait."""
        if not self._capacity:
            return 0.0
        per_second = self._capacity / 60
        self._left = min(self._capacity, self._left + (now - self._at) * per_second)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / per_second

    def headers(self) -> dict[str, str]:
        """What is left after the last call, as OpenAI tells it; nothing where there is no limit."""
        if not self._capacity:
            return {}
        missing = self._capacity - self._left
        return {
            "x-ratelimit-limit-requests": f"{self._capacity:.0f}",
            "x-ratelimit-remaining-requests": str(int(self._left)),
            "x-ratelimit-reset-requests": f"{missing * 60 / self._capacity:.3f}s",
        }
