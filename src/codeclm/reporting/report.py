"""report.html: a run as one page that opens anywhere, without a script and without the network.

The page is a pure function of the run's files and its folder's name: the same files give the same bytes. Every text of
a model, a seed, a file or a person is escaped, clipped, and shown as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from codeclm import run_directory
from codeclm.dataset.outcomes import example_row, last_text
from codeclm.edits import EDITED
from codeclm.methods import METHODS
from codeclm.pages.rendering import clip, render, styles
from codeclm.part_names import shown
from codeclm.pictures import INSTALL
from codeclm.records import Outcome
from codeclm.reporting import cost_figures, figures, judged_figures
from codeclm.reporting.drawing import Drawing
from codeclm.reporting.facts import Facts, read_facts
from codeclm.reporting.headlines import headlines, notices
from codeclm.reporting.judged_rows import audit_rows, difficulties, evaluation_rows, not_done
from codeclm.reporting.sendable import sendable

STYLES: Final = Path(__file__).parent / "static" / "report.css"

_INSTRUCTION, _ANSWER, _ACTION, _NAME = 3_000, 1_500, 600, 120  # characters that are shown
_ITERATIONS = 10
_MEASURES = 8
_ROWS = 60  # of a table of settings


def write_report(run_dir: Path) -> Path:
    """Write RUN_DIR/report.html and return its path.

    Raises RunDirectoryError where there is no run, or a file of it is not a run's, and OutputError where there is no
    room.
    """
    path = run_dir / run_directory.REPORT
    run_directory.write(path, report_page(read_facts(run_dir)).encode(errors="replace"))
    return path


def report_page(facts: Facts) -> str:
    """The page that tells these facts, as HTML."""
    draw = Drawing()
    drawn = {
        "funnel": figures.funnel(facts, draw),
        "by_iteration": figures.by_iteration(facts, draw),
        "gaps": figures.gap_histogram(facts, draw),
        "use_cases": figures.use_cases(facts, draw),
        "skills": figures.skills(facts, draw),
        "heat_maps": figures.heat_maps(facts, draw),
        "weak_spots": figures.weak_spots(facts, draw),
        "lengths": figures.lengths(facts, draw),
        "demands": figures.demands(facts, draw),
        "evaluations": judged_figures.evaluations(facts, draw),
        "findings": judged_figures.findings(facts, draw),
        "failures": figures.failures(facts, draw),
        "calls": cost_figures.calls(facts, draw),
    }
    return page(
        "report.html",
        draw,
        facts=facts,
        manifest=facts.manifest,
        drawn=drawn,
        notices=notices(facts),
        tiles=headlines(facts),
        case=facts.case and _case(facts.case),
        sample=[_example(outcome) for outcome in facts.sample],
        contents=_contents(facts, drawn),
        difficulties=difficulties(facts),
        audit_rows=audit_rows(facts),
        not_done=not_done(facts),
        **_made(facts),
        **evaluation_rows(facts),
    )


def page(template: str, draw: Drawing, /, *, notices: Sequence[tuple[str, str]] = (), **values: Any) -> str:
    """A page of the reports' kind; says so where nothing could be drawn."""
    told = [*notices]
    if draw.missing:
        told.append(("", f"No charts, only their figures: {draw.missing}. {INSTALL} gets what draws them."))
    return render(
        template,
        styles=Markup(styles()),  # noqa: S704 - our own file
        own_styles=Markup(_own_styles()),  # noqa: S704 - our own file
        notices=told,
        **values,
    )


@cache
def _own_styles() -> str:
    return STYLES.read_text(encoding="utf-8")


def _contents(facts: Facts, drawn: dict[str, Any]) -> list[tuple[str, str]]:
    """The sections that are there, in their order."""
    sections = (
        ("funnel", "In and out", True),
        ("about", "What it is about", drawn["use_cases"] or drawn["skills"]),
        ("weak", "Where the target is weak", drawn["weak_spots"]),
        ("complexity", "How instructions grow", drawn["lengths"]),
        ("case", "One instruction’s way", facts.case),
        ("sample", "A sample", facts.sample),
        ("evaluation", "Evaluations", facts.evaluations),
        ("audit", "Audit", facts.audit),
        ("failures", "What failed", facts.causes),
        ("cost", "What it took", drawn["calls"]),
        ("made", "How it was made", True),
    )
    return [(name, title) for name, title, there in sections if there]


def _case(outcome: Outcome) -> dict[str, Any]:
    """An example's whole way, its texts clipped; the last iterations of a very long one."""
    history = example_row(outcome)["history"]
    return {
        "id": outcome.id,
        "use_case": outcome.entry.metadata.use_case,
        "skills": outcome.entry.metadata.skills[:_MEASURES],
        "left_out": max(0, len(history) - _ITERATIONS),
        "history": [_iteration(one) for one in history[-_ITERATIONS:]],
    }


def _iteration(row: dict[str, Any]) -> dict[str, Any]:
    lengths = {
        "instruction": _INSTRUCTION,
        "strong_answer": _ANSWER,
        "target_answer": _ANSWER,
        "action": _ACTION,
        "reason": _ACTION,
    }
    clipped = {key: clip(row[key], length) for key, length in lengths.items() if row[key] is not None}
    if row["strong_model"]:
        clipped["strong_model"] = clip(sendable(row["strong_model"]), _NAME)
    measures = [{**one, "name": clip(one["name"], _NAME)} for one in row["measures"][:_MEASURES]]
    return {**row, **clipped, "measures": measures}


def _example(outcome: Outcome) -> dict[str, Any]:
    final = outcome.final
    return {
        "id": outcome.id,
        "use_case": outcome.entry.metadata.use_case,
        "skills": outcome.entry.metadata.skills[:_MEASURES],
        "iteration": len(outcome.iterations),
        "kept_answer": final.chosen,
        "gap": final.gap,
        "edited": final.instruction.action == EDITED,
        "instruction": clip(last_text(outcome), _INSTRUCTION),
        "answer": clip(final.kept.text, _ANSWER),
    }


def _made(facts: Facts) -> dict[str, Any]:
    """How the run was made: without any address, for a report is sent to others."""
    manifest = facts.manifest
    if manifest is None:
        return {"version": "", "method_text": "", "models": (), "settings": (), "provenance": (), "state_class": ""}
    method = {key: value for key, value in manifest.method.items() if value not in (None, [], ())}
    method |= {kind: shown(str(method[kind])) for kind in ("source", "tailor", "filter") if kind in method}
    row = METHODS.get(str(method.get("name")))
    provenance = (
        ("codeclm", manifest.codeclm or "unknown"),
        ("seed of the random draws", "unknown" if manifest.seed is None else str(manifest.seed)),
        ("config (SHA-256)", manifest.config_sha256 or "unknown"),
        ("seeds and other inputs (SHA-256)", manifest.seeds_sha256 or "unknown"),
    )
    return {
        "version": clip(manifest.codeclm, _NAME),
        "method_text": f"{row.about} From: {row.paper}." if row else "",
        "models": [(clip(role, _NAME), clip(one.model, _NAME)) for role, one in list(manifest.models.items())[:_ROWS]],
        "settings": [(clip(key, _NAME), clip(_listed(value), _NAME)) for key, value in list(method.items())[:_ROWS]],
        "provenance": [(what, clip(value, _NAME)) for what, value in provenance],
        "state_class": manifest.state if manifest.state in ("complete", "stopped", "failed", "running") else "",
    }


def _listed(value: object) -> str:
    return sendable(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
