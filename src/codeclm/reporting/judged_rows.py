"""The tables of a report that tell of the audit and the evaluations: each figure with what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from codeclm.pages.rendering import clip
from codeclm.reporting.facts import Facts
from codeclm.reporting.json_files import LikenessFound

_NAME = 60
_MISSING = 5  # names

_COLUMNS: Final = (
    "benchmark", "candidate", "reference", "items", "wins", "ties", "losses", "not scored", "CRR", "95 % interval",
    "by the other rule", "win rate", "judge’s lean, points",
)  # fmt: skip


def evaluation_rows(facts: Facts) -> dict[str, Any]:
    """The columns and rows of the evaluations."""
    rows = [
        (
            clip(one.benchmark, _NAME),
            clip(one.candidate, _NAME),
            clip(one.reference, _NAME),
            one.items,
            one.wins,
            one.ties,
            one.losses,
            one.invalid,
            _share(one.crr),
            f"{_share(one.crr_interval[0])} to {_share(one.crr_interval[1])}" if one.crr_interval else None,
            _share(one.other_rule.crr),
            _share(one.win_rate),
            one.position.lean,
        )
        for one in facts.evaluations
    ]
    return {"evaluation_columns": _COLUMNS, "evaluations": rows}


def difficulties(facts: Facts) -> list[tuple[int, float]]:
    """The judge's difficulty by iteration, where the audit asked for it."""
    levels = facts.audit.complexity if facts.audit else ()
    return [(level.iteration, level.difficulty) for level in levels if level.difficulty is not None][:_NAME]


def not_done(facts: Facts) -> list[str]:
    """Checks that the audit did not make."""
    return [name for name, found in facts.audit.checks.items() if found.not_done] if facts.audit else []


def audit_rows(facts: Facts) -> list[tuple[str, str | None, str]]:
    """What the audit measured, and what each figure says."""
    audit = facts.audit
    if audit is None:
        return []
    fidelity, diversity = audit.fidelity, audit.diversity
    used = f"{fidelity.entries_covered:,} of {fidelity.entries:,}"
    rows = [
        ("seeds’ entries used", used, "entries of the pool read from seeds that some example was made from"),
        *_likeness("use cases", fidelity.use_cases),
        *_likeness("skills", fidelity.skills),
        ("distinct-2", _number(diversity.distinct_2, 2), "different pairs of words among the first 2,000: 1 is all"),
        (
            "self-BLEU",
            _number(diversity.self_bleu, 2),
            f"0 nothing in common, 1 all the same; of {diversity.sampled:,}",
        ),
        ("Vendi score", _number(diversity.vendi, 0), f"as varied as so many unlike ones; of {diversity.sampled:,}"),
    ]
    return [row for row in rows if row[1] is not None]


def _likeness(of: str, found: LikenessFound) -> Iterator[tuple[str, str | None, str]]:
    yield f"{of} away", _number(found.distance, 2), "Jensen-Shannon distance from the seeds’: 0 the same, 1 all other"
    missing = ", ".join(clip(name, _NAME) for name in found.missing[:_MISSING])
    more = f" and {found.missing_count - _MISSING:,} more" if found.missing_count > _MISSING else ""
    said = f"of the seeds’; missing: {missing}{more}" if missing else "of the seeds’"
    yield f"{of} covered", _share(found.coverage), said


def _share(value: float | None) -> str | None:
    return None if value is None else f"{100 * value:.1f}\u00a0%"


def _number(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:,.{digits}f}"
