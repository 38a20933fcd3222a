"""The figures of a report: each chart of a run with its title, how to read it, and what it draws as a table.

A function for each, from facts to a :class:`~codeclm.pages.figures.Figure`, or None where there is nothing to show;
report and studio call the same.
"""

from __future__ import annotations

from typing import Any, Final

from codeclm.pages.figures import Figure
from codeclm.pages.rendering import visible
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.facts import Facts, Shares

_NAMES: Final = 12  # of a chart with a line for each name
_CELLS: Final = 12  # names to a side of a heat map

Values = list[dict[str, Any]]


def funnel(facts: Facts, draw: Drawing) -> Figure | None:
    """From seeds to examples: how many there were at each step, and how the instructions ended."""
    counts = facts.manifest.counts if facts.manifest else {}
    from_seeds = [("seeds", counts.get("seeds", 0)), ("metadata pool", counts.get("entries", 0))]
    steps = [(name, count) for name, count in from_seeds if count] + [("instructions", facts.instructions)]
    ends = [(name, facts.statuses[name]) for name in facts.statuses if facts.statuses[name] or name == "kept"]
    if not facts.instructions:
        return None
    rows = tuple(steps + ends)
    values = [{"name": name, "value": count, "label": f"{count:,}"} for name, count in rows]
    grey, blue, orange = "#9aa5b1", "#3b6ea5", "#d9822b"
    colours = [grey] * len(steps) + [blue if name == "kept" else orange for name, _ in ends]
    kept = facts.statuses["kept"]
    title = f"{kept:,} of {facts.instructions:,} instructions became examples"
    about = (
        "Grey: what the run began with and wrote. Blue: instructions kept. Orange: how the others ended; discarded "
        "ones did not pass in any iteration, surplus ones were beyond the size asked for."
    )
    drawn = draw("funnel", title, lambda charts: charts.bars(values, "how many", colours=colours))
    return Figure("funnel", title, about, ("step", "how many"), rows, drawn)


def by_iteration(facts: Facts, draw: Drawing) -> Figure | None:
    """The share of the examples from each iteration, as in the paper's Figure 3."""
    kept = facts.kept_by_iteration
    total = sum(kept.values())
    if not total:
        return None
    first = kept.get(1, 0)
    title = f"{first / total:.0%} of the examples are as first written"
    if not first:
        title = "No example is as first written"
    elif first == total:
        title = "Every example is as first written"
    rows = tuple((number, count, count / total) for number, count in kept.items())
    values = [{"name": n, "value": share, "label": f"{share:.0%}"} for n, _, share in rows]
    about = (
        "The iteration in which an instruction was kept; 1 is the basic instruction, each further one an improvement."
    )
    drawn = draw(
        "by-iteration",
        title,
        lambda charts: charts.columns(values, "iteration", "share of the examples", format=charts.SHARES),
    )
    return Figure("by-iteration", title, about, ("iteration", "examples", "share"), rows, drawn)


def gap_histogram(facts: Facts, draw: Drawing) -> Figure | None:
    """How wide the gaps were in the last iteration, kept and not."""
    if not facts.compared:
        return None
    threshold = _threshold(facts)
    values = [
        {"from": at / 2, "to": (at + 1) / 2, "part": "kept" if kept else "not kept", "instructions": count}
        for (at, kept), count in facts.gaps.items()
    ]
    bins = sorted({at for at, _ in facts.gaps})
    rows = tuple((at / 2, (at + 1) / 2, facts.gaps.get((at, True), 0), facts.gaps.get((at, False), 0)) for at in bins)
    mean = "" if facts.mean_gap is None else f", {facts.mean_gap:.1f} points on average where kept"
    title = f"How far apart the two answers were{mean}"
    about = "The gap that decided: right of 0 the strong model's answer scored higher, left of 0 the target's."
    if threshold is not None:
        about += f" The dashed lines are the threshold ({threshold:g}): what lies between them is not kept."
    drawn = draw("gaps", title, lambda charts: charts.gaps(values, threshold))
    return Figure("gaps", title, about, ("from", "below", "kept", "not kept"), rows, drawn)


def use_cases(facts: Facts, draw: Drawing) -> Figure | None:
    """Shares of use cases among seeds and examples."""
    return _shares(facts.use_cases, "use-cases", "use case", draw)


def skills(facts: Facts, draw: Drawing) -> Figure | None:
    """Shares of skills among seeds and examples."""
    return _shares(facts.skills, "skills", "skill", draw)


def _shares(found: Shares, name: str, of: str, draw: Drawing) -> Figure | None:
    if not found.examples:
        return None
    sides = [("examples", found.examples), *([("seeds", found.seeds)] if found.seeds else [])]
    shown = found.top[:_NAMES]
    values = [
        {"name": visible(one.name), "of": side, "share": getattr(one, side) / total}
        for one in shown
        for side, total in sides
    ]
    rows = tuple(
        (one.name, one.examples, one.examples / found.examples, one.seeds, one.seeds / max(1, found.seeds))
        for one in found.top
    )
    title = f"{of.capitalize()}s: {found.distinct:,} in all"
    if found.distinct > len(shown):
        title += f", the {len(shown)} most frequent"
    about = "Where circle and diamond lie together, the examples are as much about it as the seeds are."
    if not found.seeds:
        about = "The share of the examples that each has; there are no seeds to hold them against."
    drawn = draw(name, title, lambda charts: charts.shares(values))
    columns = (of, "examples", "share of examples", "seeds", "share of seeds")
    return Figure(name, title, about, columns, rows, drawn)


def heat_maps(facts: Facts, draw: Drawing) -> tuple[Figure, ...]:
    """Use cases and skills together: of the seeds, and of the examples, in the same places and colours."""
    rows = [one.name for one in facts.use_cases.top[:_CELLS]]
    across = [one.name for one in facts.skills.top[:_CELLS]]
    inside = {pair: counts for pair, counts in facts.pairs.items() if pair[0] in rows and pair[1] in across}
    totals = facts.skills.seeds, facts.skills.examples
    if not inside or not all(totals):
        return ()
    of = {"seeds": (1, totals[0]), "examples": (0, totals[1])}
    return tuple(_heat_map(name, inside, place, total, (rows, across), draw) for name, (place, total) in of.items())


def _heat_map(
    of: str,
    inside: dict[tuple[str, str], tuple[int, int]],
    place: int,
    total: int,
    names: tuple[list[str], list[str]],
    draw: Drawing,
) -> Figure:
    found = {pair: counts[place] for pair, counts in inside.items() if counts[place]}
    values = [
        {"use case": visible(use_case), "skill": visible(skill), "share": count / total}
        for (use_case, skill), count in found.items()
    ]
    shown = [[visible(name) for name in side] for side in names]
    highest = max(found.values(), default=1) / total
    title = f"Use cases and skills of the {of}"
    about = (
        f"Each cell is a use case (row) with a skill (column): the more of the {of} have both, the darker. "
        "The same cell stands for the same pair among seeds and examples; the darkest is the most frequent of each."
    )
    drawn = draw(f"together-{of}", title, lambda charts: charts.together(values, shown[0], shown[1], highest))
    rows = tuple((use_case, skill, count, count / total) for (use_case, skill), count in found.items())
    return Figure(f"together-{of}", title, about, ("use case", "skill", of, "share"), rows, drawn)


def weak_spots(facts: Facts, draw: Drawing) -> Figure | None:
    """The mean gap of basic instructions by skill."""
    if not facts.weak:
        return None
    values = [
        {
            "name": visible(one.skill),
            "label": f"{one.count:,}",
            "mean": one.gap,
            "low": one.interval and one.interval[0],
            "high": one.interval and one.interval[1],
        }
        for one in facts.weak
    ]
    rows = tuple((one.skill, one.count, one.gap, *(one.interval or (None, None))) for one in facts.weak)
    title = f"The target falls short most in {visible(facts.weak[0].skill)}"
    if facts.weak[0].gap <= 0:
        title = "The target is on a par with the strong model in every skill"
    about = (
        "The mean gap of the basic instructions that take a skill, kept or not: the farther right, the more the target "
        "falls short. At the right how many instructions; the line is the 95 % interval of the mean (Student's)."
    )
    drawn = draw("weak-spots", title, lambda charts: charts.means(values, "mean gap, in points"))
    return Figure("weak-spots", title, about, ("skill", "instructions", "mean gap", "from", "to"), rows, drawn)


def lengths(facts: Facts, draw: Drawing) -> Figure | None:
    """Words of the instructions by iteration."""
    about = (
        f"Mean words of the instructions that came to an iteration, of {_sample(facts)}; those kept earlier are not in."
    )
    return _levels(facts, ("words", "Instructions grow longer", "Words of an instruction"), about, draw)


def demands(facts: Facts, draw: Drawing) -> Figure | None:
    """Demands of the instructions by iteration."""
    about = (
        "How many things an instruction asks for, by its wording (requests and constraints, in English): the mean of "
        f"those that came to an iteration, of {_sample(facts)}. A proxy, good for telling iterations apart."
    )
    names = ("demands", "Instructions ask for more", "Demands of an instruction")
    return _levels(facts, names, about, draw)


def _sample(facts: Facts) -> str:
    return "all instructions" if facts.measured >= facts.instructions else f"{facts.measured:,} drawn by their ids"


def _levels(facts: Facts, names: tuple[str, str, str], about: str, draw: Drawing) -> Figure | None:
    of, growing, plain = names
    if not facts.levels:
        return None
    found = [(one.iteration, one.instructions, round(getattr(one, of), 2)) for one in facts.levels]
    grows = len(found) > 1 and found[-1][2] > found[0][2]
    title = f"{growing}: {found[0][2]:.3g} {of} at first, {found[-1][2]:.3g} in the end" if grows else f"{plain}"
    values = [{"name": number, "value": value, "label": f"{value:.3g}"} for number, _, value in found]
    drawn = draw(of, title, lambda charts: charts.columns(values, "iteration", f"{of}, mean"))
    return Figure(of, title, about, ("iteration", "instructions", f"{of}, mean"), tuple(found), drawn)


def failures(facts: Facts, draw: Drawing) -> Figure | None:
    """What failed, by cause."""
    if not facts.causes:
        return None
    rows = tuple((one.cause, one.count) for one in facts.causes)
    values = [{"name": visible(cause), "value": count, "label": f"{count:,}"} for cause, count in rows]
    total = sum(count for _, count in rows)
    title = f"{total:,} failed, most for the cause {visible(rows[0][0])}" if len(rows) > 1 else f"{total:,} failed"
    about = "Seeds, mixed pairs, slots and instructions that came to no end, by why the last attempt failed."
    drawn = draw("failures", title, lambda charts: charts.bars(values, "items that failed"))
    return Figure("failures", title, about, ("cause", "items"), rows, drawn)


def _threshold(facts: Facts) -> float | None:
    """The threshold that gaps were held against, where the method has one."""
    method = facts.manifest.method if facts.manifest else {}
    if method.get("filter") or method.get("selection") == "random":
        return None  # another rule than the gap's decided
    told = method.get("threshold")
    return float(told) if isinstance(told, int | float) and 0 <= told <= 9 else None
