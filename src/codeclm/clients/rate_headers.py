"""What an endpoint says of its rate limits in the headers of a reply.

Two ways are read: OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, with times such as `6m0s` or
`120ms`, and Anthropic's `anthropic-ratelimit-{requests,tokens}-{limit,remaining,reset}`, with times of day. Headers
are hints from a stranger: what can't be read, or can't be true, is as if it were not there.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Kind = Literal["requests", "tokens"]
KINDS: tuple[Kind, ...] = ("requests", "tokens")

# Where each kind's limit, what remains and the reset stand, in both ways.
_NAMES = tuple(
    (kind, *names)
    for kind in KINDS
    for names in (
        (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}"),
        (
            f"anthropic-ratelimit-{kind}-limit",
            f"anthropic-ratelimit-{kind}-remaining",
            f"anthropic-ratelimit-{kind}-reset",
        ),
    )
)

_MINUTE = 60.0
_LONGEST = 86_400.0  # seconds to a reset that are still believed
_MOST = 1e12
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an endpoint still allows: ``remaining`` of ``limit`` now, and ``rate`` more per second."""

    limit: float
    remaining: float
    rate: float


def allowances(headers: Mapping[str, str]) -> dict[Kind, Allowance]:
    """The allowances that a reply's headers tell of; header names in any case if the mapping takes any."""
    found: dict[Kind, Allowance] = {}
    for kind, limit, remaining, reset in _NAMES:
        if remaining in headers:
            read = _allowance(headers.get(limit, ""), headers[remaining], _seconds(headers.get(reset, ""), headers))
            if read:
                found[kind] = read
    return found


def speaking_of_limits(headers: Mapping[str, str]) -> dict[str, str]:
    """Those headers that allowances are read from, by names in small letters; none where no limit is told."""
    names = [name for name in headers if "ratelimit" in name.lower()]
    return (
        {name.lower(): headers[name] for name in (*names, *(n for n in headers if n.lower() == "date"))}
        if names
        else {}
    )


def _allowance(limit_text: str, remaining_text: str, reset: float | None) -> Allowance | None:
    limit, remaining = _number(limit_text), _number(remaining_text)
    if limit is None or remaining is None or not 0 <= remaining <= limit or not 0 < limit <= _MOST:
        return None
    # A limit is per minute unless the reset says otherwise; a full bucket has nothing to fill.
    missing = limit - remaining
    rate = missing / reset if reset and missing else limit / _MINUTE
    return Allowance(limit, remaining, rate)


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _seconds(text: str, headers: Mapping[str, str]) -> float | None:
    """The seconds until a reset, which is given as a duration or as a time of day; None for anything else."""
    text = text.strip()
    seconds: float | None = None
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    elif text:
        try:
            when = datetime.fromisoformat(text)
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            seconds = when.timestamp() - _their_time(headers)
        except (ValueError, OverflowError, OSError):
            return None
    return seconds if seconds is not None and math.isfinite(seconds) and 0 < seconds <= _LONGEST else None


def _their_time(headers: Mapping[str, str]) -> float:
    """The time of day by the endpoint's own clock where it tells it, since ours may be wrong."""
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return time.time()
