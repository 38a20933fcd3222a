"""Ranges of counts and dollars for people: one number where it is certain."""

from __future__ import annotations

from decimal import Decimal

from codeclm.amounts import dollars, short
from codeclm.planning.estimate import Range


def between(found: Range[int]) -> str:
    """A range of counts; one number where it is certain."""
    return f"{found.point:,}" if found.low == found.high else f"{short(found.low)}–{short(found.high)}"


def dollars_between(found: Range[Decimal]) -> str:
    """A range of dollars."""
    return f"{dollars(found.low)}–{dollars(found.high).removeprefix('$')}"
