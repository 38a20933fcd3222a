"""What a run directory has cost, in one line, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from codeclm.cli.amounts import dollars


def spent_line(manifest: Mapping[str, Any]) -> str:
    """Dollars spent, what of them is uncertain, and the models without a price; empty where no price is known."""
    rows = manifest.get("spending", ())
    known = [row for row in rows if row["usd"] is not None]
    if not known:
        return ""
    line = f"{dollars(sum((Decimal(str(row['usd'])) for row in known), Decimal(0)))} spent"
    if any(row["unknown_prompt_tokens"] or row["unknown_completion_tokens"] for row in known):
        line += " at most (some requests ended so that nobody can tell what they cost)"
    unpriced = sorted({row["model"] for row in rows if row["usd"] is None})
    return line + (f", without {', '.join(unpriced)}, whose price is unknown" if unpriced else "")
