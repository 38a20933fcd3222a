"""A plan held against what the run really took, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from codeclm import run_directory
from codeclm.amounts import dollars
from codeclm.cli.ranges import between, dollars_between
from codeclm.planning.estimate import Range
from codeclm.prices import Price, cost
from codeclm.records import Usage


def read_plan(folder: Path) -> dict[str, Any] | None:
    """The plan saved in a run directory; None where there is none that can be read."""
    try:
        planned = orjson.loads((folder / run_directory.PLAN).read_bytes())
    except (OSError, ValueError):
        return None
    return planned if isinstance(planned, dict) else None


def planned_and_actual(folder: Path, manifest: Mapping[str, Any]) -> RenderableType | None:
    """The plan saved in ``folder`` against the calls a run made; None where there is no plan for a run of this size."""
    planned = read_plan(folder)
    if planned is None or planned.get("size") != manifest["size"]:
        return None
    try:
        return _against(planned, manifest["calls"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return Text(f"{run_directory.PLAN} is not a plan that can be read: plan again.", style="yellow")


def _against(planned: Mapping[str, Any], calls: list[Mapping[str, Any]]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    for name in ("planned", "calls", "planned", "dollars"):
        table.add_column(name, justify="right", no_wrap=True)
    prices = {
        p["model"]: Price(Decimal(str(p["input"])), Decimal(str(p["output"])), "") for p in planned["prices"].values()
    }
    made_in_all, spent_in_all = 0, Decimal(0)
    for stage, amount in planned["stages"].items():
        made = [row for row in calls if row["stage"] == stage]
        count = sum(row["calls"] for row in made)
        spent = None
        if all(row["model"] in prices for row in made) and amount["usd"]:
            paid = (cost(prices[row["model"]], Usage(row["prompt_tokens"], row["completion_tokens"])) for row in made)
            spent = sum(paid, Decimal(0))
        made_in_all += count
        spent_in_all += spent or 0
        table.add_row(stage, *_cells(amount, count, spent))
    everything = spent_in_all if planned["total"]["usd"] else None
    table.add_row("total", *_cells(planned["total"], made_in_all, everything), style="bold")
    return Group(Text("Planned and actual", style="bold"), table)


def _cells(amount: Mapping[str, Any], count: int, spent: Decimal | None) -> tuple[str, str, str, str]:
    calls, usd = Range(**amount["calls"]), amount["usd"]
    off = "" if calls.low <= count <= calls.high else " !"
    planned = dollars_between(Range(*(Decimal(str(value)) for value in usd.values()))) if usd else "unknown"
    return between(calls), f"{count:,}{off}", planned, "unknown" if spent is None else dollars(spent)
