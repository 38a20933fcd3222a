"""The figures of what a run took: calls, tokens, dollars and latency by stage."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from codeclm.amounts import dollars, short
from codeclm.pages.figures import Figure
from codeclm.pages.rendering import visible
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.facts import Facts
from codeclm.reporting.json_files import StageCalls


def calls(facts: Facts, draw: Drawing) -> tuple[Figure, ...]:
    """Calls, tokens, dollars and latency by stage, a figure each; dollars only where a price is known."""
    made = facts.manifest.calls if facts.manifest else ()
    rows = [row for row in made if row.calls]
    if not rows:
        return ()
    names = _stage_names(rows)
    found = [_call_count(rows, names, draw), _tokens(rows, names, draw)]
    assert facts.manifest is not None  # noqa: S101 - it has the rows
    usd = [facts.manifest.dollars(row) for row in rows]
    if any(usd):
        found.append(_dollars(rows, names, usd, draw))
    return (*found, _latency(rows, names, draw))


def _stage_names(rows: Sequence[StageCalls]) -> list[str]:
    """What a stage is called in a chart: with its model where it asked several."""
    stages = [row.stage for row in rows]
    return [
        visible(row.stage.replace("_", " ") + (f" ({row.model})" if stages.count(row.stage) > 1 else ""))
        for row in rows
    ]


def _call_count(rows: Sequence[StageCalls], names: list[str], draw: Drawing) -> Figure:
    values = [
        {"name": name, "value": row.calls, "label": short(row.calls)} for name, row in zip(names, rows, strict=True)
    ]
    title = f"{sum(row.calls for row in rows):,} calls"
    drawn = draw("calls", title, lambda charts: charts.bars(values, "calls"))
    table = tuple((row.stage, row.model, row.calls) for row in rows)
    about = "Recorded calls by what they were made for, failed attempts not among them."
    return Figure("calls", title, about, ("stage", "model", "calls"), table, drawn)


def _tokens(rows: Sequence[StageCalls], names: list[str], draw: Drawing) -> Figure:
    kinds = ("prompt", "completion")
    values = [
        {"name": name, "part": kind, "value": getattr(row, f"{kind}_tokens")}
        for name, row in zip(names, rows, strict=True)
        for kind in kinds
    ]
    total = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    title = f"{short(total)} tokens"
    drawn = draw("tokens", title, lambda charts: charts.parts(values, "tokens", kinds))
    table = tuple((row.stage, row.model, row.prompt_tokens, row.completion_tokens) for row in rows)
    about = "Tokens as the servers counted them: what was sent, and what came back."
    return Figure("tokens", title, about, ("stage", "model", "prompt", "completion"), table, drawn)


def _dollars(rows: Sequence[StageCalls], names: list[str], usd: Sequence[float | None], draw: Drawing) -> Figure:
    known = [(name, amount) for name, amount in zip(names, usd, strict=True) if amount is not None]
    values = [{"name": name, "value": amount, "label": _as_dollars(amount)} for name, amount in known]
    title = f"{_as_dollars(sum(amount for _, amount in known))} for these calls"
    about = "The recorded calls at the prices known; attempts that failed may have been charged besides."
    if None in usd:
        about += " Stages of models without a known price are left out."
    drawn = draw("dollars", title, lambda charts: charts.bars(values, "dollars", format=charts.DOLLARS))
    table = tuple(
        (row.stage, row.model, None if amount is None else _as_dollars(amount))
        for row, amount in zip(rows, usd, strict=True)
    )
    return Figure("dollars", title, about, ("stage", "model", "dollars"), table, drawn)


def _latency(rows: Sequence[StageCalls], names: list[str], draw: Drawing) -> Figure:
    means = [row.seconds / row.calls for row in rows]
    values = [{"name": name, "value": mean, "label": f"{mean:.2g} s"} for name, mean in zip(names, means, strict=True)]
    title = "How long a call took"
    about = "Mean seconds from the sending of a call to the end of its reply; many were under way at once."
    drawn = draw("latency", title, lambda charts: charts.bars(values, "seconds per call, mean", format=charts.NUMBERS))
    table = tuple((row.stage, row.model, round(mean, 4)) for row, mean in zip(rows, means, strict=True))
    return Figure("latency", title, about, ("stage", "model", "seconds per call"), table, drawn)


def _as_dollars(amount: float) -> str:
    return dollars(Decimal(str(amount)))
