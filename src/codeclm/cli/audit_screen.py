"""An audit on the terminal: one table of figures with a remark on each, readable from 60 columns on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from codeclm.auditing.audit import Audit
from codeclm.auditing.diversity import Diversity
from codeclm.auditing.embeddings import Embeddings
from codeclm.auditing.fidelity import Likeness
from codeclm.cli.display import printable

NONE = "–"

_NAMED = 3  # names in a remark
_CLIPPED = 40  # characters of a name
_NAME_WIDTH = 20
_VALUE_WIDTH = 14


def screen(made: Audit) -> Iterator[RenderableType]:
    """What is printed of an audit: a part of the table for each question, one below the other in the same columns."""
    for heading, section in _SECTIONS.items():
        rows = list(section(made))
        if not rows:
            continue
        table = Table(title=Text(heading, style="bold"), title_justify="left", box=None, pad_edge=False)
        table.show_header = False
        table.add_column(width=_NAME_WIDTH, overflow="fold")
        table.add_column(width=_VALUE_WIDTH, justify="right", overflow="fold")
        table.add_column(overflow="fold", style="dim")
        for name, value, remark in rows:
            table.add_row(Text(printable(name)), value, Text(printable(remark)))
        yield Text("")
        yield table
    if told := made.edits.told():
        yield Text("")
        yield Text(told)
    for name, reason in made.not_done:
        yield Text(printable(f"Not done: {name} ({reason})"), style="yellow")
    if made.dropped:
        of, out = ", ".join(made.dropped.checks), made.dropped.left_out
        yield Text(f"Left out by {of}: {out:,} of {made.examples:,} examples; {made.dropped.kept:,} are left.")


Rows = Iterable[tuple[str, str, str]]


def _fidelity(made: Audit) -> Rows:
    found = made.fidelity
    yield (
        "seeds' entries used",
        f"{found.entries_covered:,} of {found.entries:,}",
        _some(
            (f"{row['use_case']}" for row in found.entries_missing), found.entries - found.entries_covered, "none of"
        ),
    )
    for of, likeness in (("use cases", found.use_cases), ("skills", found.skills)):
        yield from _likeness(of, likeness)
    if made.embeddings:
        yield from _embeddings(made.embeddings)
    if made.measured:
        of_sample = f"as the models read {made.measured.examples:,}"
        for of, likeness in (("use cases", made.measured.use_cases), ("skills", made.measured.skills)):
            yield f"{of} away", _number(likeness.distance, 2), of_sample


def _embeddings(found: Embeddings) -> Rows:
    if found.coverage is not None and found.expected_coverage is not None:
        expected = f"have an example near; {found.expected_coverage:.0%} to be expected of their like"
        yield "seeds covered", _percent(found.coverage), expected
        yield "density", _number(found.density, 2), "of examples where seeds are; 1 to be expected"
    if found.to_seeds is None:
        return
    far = ", ".join(f"{seed.id:.{_CLIPPED}} {seed.cosine:.2f}" for seed in found.farthest[:_NAMED])
    yield "to nearest seed", _number(found.to_seeds, 2), f"mean cosine of {found.examples:,}, by {found.model}"
    yield "to nearest example", _number(found.to_examples, 2), f"of {found.seeds:,} seeds; farthest {far}"
    yield "Vendi by embedding", _number(found.vendi, 0), f"that of the seeds {_number(found.seeds_vendi, 0)}"
    if found.left_out:
        causes = Counter(text.cause for text in found.left_out_listed)
        yield "not embedded", f"{found.left_out:,}", ", ".join(causes)


def _likeness(of: str, found: Likeness) -> Rows:
    yield f"{of} away", _number(found.distance, 2), "Jensen-Shannon distance, 0 the same to 1"
    missing = _some(found.missing, found.missing_count, "missing")
    yield f"{of} covered", _percent(found.coverage), missing
    if found.over:
        yield (
            f"{of} in excess",
            f"{found.over_count:,}",
            _some(
                (f"{over.name} {over.share:.0%} for {over.of_seeds:.0%}" for over in found.over), found.over_count, ""
            ),
        )


def _diversity(made: Audit) -> Rows:
    found: Diversity = made.diversity
    distinct = "/".join(_number(value, 2) for value in (found.distinct_1, found.distinct_2, found.distinct_3))
    yield "distinct-1/2/3", distinct, "different among 2,000 words, pairs, triples"
    yield "self-BLEU", _number(found.self_bleu, 2), f"of {found.sampled:,}; 0 nothing alike to 1 all the same"
    yield "Vendi score", _number(found.vendi, 0), f"unlike texts that {found.sampled:,} are as varied as"
    verbs = (f"{verb.verb} {verb.examples:,}" for verb in found.most_verbs)
    yield "verbs", f"{found.verbs:,}", _some(verbs, found.verbs, "")
    yield "verbs and objects", f"{found.verb_objects:,}", f"{found.without_verb:,} without"
    for of, spread in (("words", found.words), ("words of answers", found.answer_words)):
        if spread:
            yield of, f"{spread.median:,.0f}", f"median; {spread.least:,.0f} to {spread.greatest:,.0f}"


def _complexity(made: Audit) -> Rows:
    for level in made.complexity:
        share = level.examples / made.examples if made.examples else 0
        rated = "" if level.difficulty is None else f", difficulty {level.difficulty:.1f}"
        remark = f"{share:.0%} of the pairs; {level.words:,.0f} words, {level.demands:.1f} demands{rated}"
        yield f"iteration {level.iteration}", f"{level.examples:,}", remark


def _checks(made: Audit) -> Rows:
    for name, checked in made.checks.items():
        if checked.not_done:
            continue
        count = len(checked.ids)
        share = f"{count / made.examples:.1%} of the pairs" if made.examples else ""
        details = {detail: n for detail, n in checked.by_detail.items() if detail and n > 1}
        kinds = _some((f"{detail} {n:,}" for detail, n in details.items()), len(details), "")
        yield name, f"{count:,}", "; ".join(part for part in (share if count else "", kinds) if part)


def _mentions(made: Audit) -> Rows:
    found = sorted(made.checks["bias"].mentions, key=lambda group: (-group.mentions, group.group))
    if not found:
        return
    counts = (f"{group.group} {group.mentions:,}" for group in found)
    yield "sentences on groups", f"{sum(group.mentions for group in found):,}", _some(counts, len(found), "")
    told = sorted((group.tone, group.group) for group in found if group.tone is not None)
    if told:
        spread = f"{told[0][0]:.2f} to {told[-1][0]:.2f}"
        names = (f"{group} {tone:.2f}" for tone, group in told)
        yield "their tone, -1 to 1", spread, _some(names, len(told), "lowest")


def _swaps(made: Audit) -> Rows:
    if not made.swapping:
        return
    asked, mentioning = made.swapping.asked, made.swapping.mentioning
    yield "examples asked about", f"{asked:,}", f"{made.swapping.model}; of {mentioning:,} with a group to swap"
    for row in made.swapping.directions:
        low_high = f", {row.interval[0]:+.2f} to {row.interval[1]:+.2f}" if row.interval else ""
        shift = NONE if row.shift is None else f"{row.shift:+.2f}{low_high}"
        parts = [f"{row.answered:,} pair{'s' if row.answered != 1 else ''}"]
        if row.declined or row.twins_declined:
            parts.append(f"declined {row.declined:,} before and {row.twins_declined:,} after")
        parts += [f"{row.failed:,} failed"] if row.failed else []
        arrow = "and" if row.both else "to"
        yield f"{row.named} {arrow} {row.becomes}", shift, "tone's shift; " + ", ".join(parts)


_SECTIONS = {
    "About what the seeds are about": _fidelity,
    "How varied": _diversity,
    "How demanding, by iteration": _complexity,
    "What was found in them": _checks,
    "How groups of people are mentioned": _mentions,
    "What swapping groups changes": _swaps,
}


def _some(names: Iterable[str], count: int, word: str) -> str:
    """The first names of a list of ``count``, clipped, and how many more there are."""
    shown = [name if len(name) <= _CLIPPED else f"{name[: _CLIPPED - 1]}…" for name in islice(names, _NAMED)]
    if not shown:
        return ""
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return f"{word}{': ' if word else ''}{', '.join(shown)}{more}"


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"
