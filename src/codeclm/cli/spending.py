"""What a run directory has cost, in one line, from its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from codeclm.amounts import dollars
from codeclm.journal import CallTotal
from codeclm.prices import Price, cost, dearer
from codeclm.records import Usage


def spent_line(manifest: Mapping[str, Any]) -> str:
    """Dollars spent, what of them is uncertain, and the models without a price; empty where no price is known."""
    rows = manifest.get("spending", ())
    known = [row for row in rows if row["usd"] is not None]
    if not known:
        return ""
    who = " by all runs that share the journal" if "shared_calls" in manifest else ""
    line = f"{dollars(sum((Decimal(str(row['usd'])) for row in known), Decimal(0)))} spent{who}"
    if any(row["unknown_prompt_tokens"] or row["unknown_completion_tokens"] for row in known):
        line += " at most (some requests ended so that nobody can tell what they cost)"
    unpriced = sorted({row["model"] for row in rows if row["usd"] is None})
    return line + (f", without {', '.join(unpriced)}, whose price is unknown" if unpriced else "")


def dollars_for(calls: Iterable[CallTotal], manifest: Mapping[str, Any]) -> float | None:
    """What calls cost at the prices in a manifest, the dearest where a model has several; None where one is unknown."""
    prices: dict[str, Price | None] = {}
    for row in manifest.get("spending", ()):
        told = row["price"]
        price = told and Price(Decimal(told["input"]), Decimal(told["output"]), told["source"])
        known = prices.get(row["model"], price)
        prices[row["model"]] = dearer(price, known) if price and known else None
    usd = Decimal(0)
    for total in calls:
        price = prices.get(total.model)
        if price is None:
            return None
        usd += cost(price, Usage(total.prompt_tokens, total.completion_tokens))
    return float(usd)


def shared_line(manifest: Mapping[str, Any], journal: Path) -> str:
    """What a run used of a journal that it shares, and where that is."""
    used = sum(row["calls"] for row in manifest["calls"])
    usd = manifest.get("usd_used")
    cost = "" if usd is None else f", which cost {dollars(Decimal(str(usd)))}"
    return f"It used {used:,} calls{cost}; {manifest['shared_calls']:,} of them other runs of {journal} used too."
