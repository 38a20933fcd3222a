"""Counts, dollars and times for people: the digits that say something, in the room that a narrow terminal has."""

from __future__ import annotations

from decimal import Decimal


def dollars(amount: Decimal) -> str:
    """Dollars with as many digits as say something."""
    if not amount:
        return "$0"
    if amount >= 100:
        return f"${amount:,.0f}"
    if amount < Decimal("0.0001"):
        return "<$0.0001"
    return f"${amount:.2f}" if amount >= Decimal("0.1") else f"${amount:.2g}"


def short(count: int) -> str:
    """A count in at most five characters: 9,999, 12.2k, 5.17M."""
    if count < 10_000:
        return f"{count:,}"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    raise AssertionError


def duration(seconds: float) -> str:
    """A length of time: 45 s, 12 min, 3 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
