"""What to show of a run's endpoints while it works: the limits found, who is out of order, what was spent."""

from __future__ import annotations

from typing import Any

from codeclm.amounts import dollars, duration
from codeclm.clients.budget import Budget
from codeclm.clients.calls import Calls


def limits(calls: Calls) -> str:
    """How many calls at once each endpoint was found to take, and how many a second where that is limited too."""
    parts = []
    for name, gate in dict(calls.gates).items():
        pace = f", {gate.pace * 60:,.0f} a minute" if gate.pace is not None else ""
        parts.append(f"{name} {gate.limit} at once{pace}")
    return "; ".join(parts)


def out_of_order(calls: Calls) -> str:
    """The endpoints that are waited for, for how long, and what was wrong at the last look."""
    parts = []
    for name, breaker in calls.waiting_for.items():
        if outage := breaker.outage:
            parts.append(f"{name} for {duration(breaker.out_for)} ({outage.error.cause}): tried now and then")
    return "; ".join(parts)


def starting(calls: Calls) -> str:
    """The servers of the run's own that are being started, for how long, and where their logs are."""
    return "; ".join(
        f"{server.serve.engine} for models.{server.name}, {duration(seconds)} so far ({server.log})"
        for server in calls.servers
        if (seconds := server.starting_for) is not None
    )


def workers(calls: Calls) -> str:
    """The workers of the run's engine, on how many nodes, and where their cluster shows itself; empty without any."""
    if (of := calls.workers) is None:
        return ""
    lost = f", {of.lost:,} lost so far" if of.lost else ""
    nodes = f" on {of.nodes:,} node{'s' * (of.nodes != 1)}" if of.nodes else ""
    return f"{of.working:,} of {of.wanted:,}{nodes}{lost}{f' ({of.dashboard})' if of.dashboard else ''}"


def spent(budget: Budget) -> str:
    """What may have been spent at most, of what may be; empty where neither a price nor a limit is known."""
    limits, parts = budget.limits, []
    if limits.usd is not None or (budget.prices and budget.all_priced):
        cap = f" of ${limits.usd}" if limits.usd is not None else ""
        parts.append(f"{dollars(budget.usd)}{cap}")
    if limits.tokens is not None:
        parts.append(f"{budget.tokens:,} of {limits.tokens:,} tokens")
    if limits.calls is not None:
        parts.append(f"{budget.requests:,} of {limits.calls:,} calls")
    return ", ".join(parts)


def as_values(calls: Calls, budget: Budget | None) -> dict[str, Any]:
    """The same as plain values, for JSON events."""
    gates = dict(calls.gates)
    return {
        "limits": {name: gate.limit for name, gate in gates.items()},
        "starting_seconds": {
            server.name: round(seconds, 1) for server in calls.servers if (seconds := server.starting_for) is not None
        },
        "workers": calls.workers.working if calls.workers else None,
        "out_of_order_seconds": {name: round(b.out_for, 1) for name, b in calls.waiting_for.items()},
        "usd": float(budget.usd) if budget and budget.prices and budget.all_priced else None,
    }
