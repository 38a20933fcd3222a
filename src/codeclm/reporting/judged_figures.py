"""The figures of what was asked about a run when it was made: its audit and its evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from codeclm.pages.figures import Figure
from codeclm.pages.rendering import visible
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.facts import Facts
from codeclm.reporting.json_files import EvaluationFound
from codeclm.reporting.tally import clipped_name

_EVALUATION_CHARTS: Final = "codeclm.evaluating.charts"


def findings(facts: Facts, draw: Drawing) -> Figure | None:
    """Examples with a finding, by check of the audit."""
    made = facts.audit.checks if facts.audit else {}
    rows = tuple(
        (clipped_name(name), found.examples, found.share, found.findings)
        for name, found in made.items()
        if found.examples is not None
    )
    if not any(count for _, count, _, _ in rows):
        return None
    values = [{"name": visible(name), "value": count, "label": f"{count:,}"} for name, count, _, _ in rows]
    title = "What the audit found"
    about = "Examples with a finding of each check; a finding is a place to look at, and not always a fault."
    drawn = draw("findings", title, lambda charts: charts.bars(values, "examples with a finding"))
    return Figure("findings", title, about, ("check", "examples", "share", "findings"), rows, drawn)


def evaluations(facts: Facts, draw: Drawing) -> tuple[Figure, ...]:
    """Wins, ties and losses of each candidate, and its Capacity Recovery Ratio with the interval."""
    found = facts.evaluations
    if not found:
        return ()
    names = _evaluation_names(found)
    rows = [one.model_dump() | {"candidate": name} for name, one in zip(names, found, strict=True)]
    ended = tuple((name, one.wins, one.ties, one.losses, one.invalid) for name, one in zip(names, found, strict=True))
    title = "How the candidates fared against the reference"
    about = f"Items of the benchmark, judged in both orders; the reference is {visible(found[0].reference)}."
    drawn = draw("results", title, lambda charts: charts.results(rows), _EVALUATION_CHARTS)
    columns = ("candidate", "wins", "ties", "losses", "not scored")
    figures = [Figure("results", title, about, columns, ended, drawn)]
    scored = [row for row in rows if row["crr"] is not None and row["crr_interval"]]
    if scored:
        title = "How much of the reference's capacity is recovered"
        about = (
            "The Capacity Recovery Ratio: wins and ties among all items that were scored (section 5 of the paper). The "
            "line is its 95 % interval: where those of two candidates overlap much, they may be the same."
        )
        drawn = draw("recovered", title, lambda charts: charts.recovered(scored), _EVALUATION_CHARTS)
        shares = tuple((row["candidate"], row["crr"], *row["crr_interval"]) for row in scored)
        figures.append(Figure("recovered", title, about, ("candidate", "CRR", "from", "to"), shares, drawn))
    return tuple(figures)


def _evaluation_names(found: Sequence[EvaluationFound]) -> list[str]:
    """Candidates by their names, with as much beside as it takes to tell them apart."""
    ways: tuple[Callable[[EvaluationFound], str], ...] = (
        lambda one: one.candidate,
        lambda one: f"{one.candidate}, {one.benchmark}",
        lambda one: f"{one.candidate}, {one.benchmark}, against {one.reference}",
    )
    for way in ways:
        names = [visible(clipped_name(way(one))) for one in found]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {name}" for number, name in enumerate(names, start=1)]
