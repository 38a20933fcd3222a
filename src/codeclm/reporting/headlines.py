"""What a report says first: the few numbers that tell most, and what a reader has to know before reading on."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from codeclm.amounts import dollars, short
from codeclm.pages.rendering import visible
from codeclm.reporting.facts import Facts
from codeclm.reporting.json_files import Manifest

Tile = tuple[str, str, str]

_SCALE: Final = "of 9 at most"


def headlines(facts: Facts) -> list[Tile]:
    """The numbers, each with its name and a note."""
    return [*_of_outcomes(facts), *(_of_manifest(facts.manifest) if facts.manifest else ())]


def _of_outcomes(facts: Facts) -> Iterator[Tile]:
    kept, size = facts.statuses["kept"], facts.manifest.size if facts.manifest else 0
    yield "Examples", f"{kept:,}", f"of {size:,} asked for" if size else ""
    if facts.instructions:
        yield "Instructions written", f"{facts.instructions:,}", f"{kept / facts.instructions:.0%} kept"
    if facts.mean_gap is not None:
        yield "Mean gap", f"{facts.mean_gap:.1f}", f"points, {_SCALE}"
        yield "Answers from the target", f"{facts.kept_target:,}", f"{facts.kept_target / kept:.0%} of the examples"
    scored = [one for one in facts.evaluations if one.crr is not None]
    if scored and scored[0].crr is not None:
        first = scored[0]
        yield "CRR", f"{first.crr:.1%}", visible(f"{first.candidate:.30} on {first.benchmark:.30}")


def _of_manifest(manifest: Manifest) -> Iterator[Tile]:
    calls = sum(row.calls for row in manifest.calls)
    tokens = sum(row.prompt_tokens + row.completion_tokens for row in manifest.calls)
    shared = f"; {manifest.shared_calls:,} shared with other runs" if manifest.shared_calls else ""
    if calls:
        yield "Model calls", f"{calls:,}", f"{short(tokens)} tokens{shared}"
    usd = manifest.usd if manifest.shared_calls is None else manifest.usd_used
    if usd is not None:
        unsure = any(row.unknown_prompt_tokens or row.unknown_completion_tokens for row in manifest.spending)
        yield "Spent", dollars(Decimal(str(usd))), "at most" if unsure else ""


def notices(facts: Facts) -> list[tuple[str, str]]:
    """What stands above everything else: the kind of each notice, and its text."""
    return [*_warnings(facts), *(("warn", text) for text in facts.unread)]


def _warnings(facts: Facts) -> Iterator[tuple[str, str]]:
    manifest = facts.manifest
    if manifest and manifest.simulated:
        yield "warn", "Simulated text: for rehearsal, not for training. No real model wrote it."
    if manifest and manifest.state in _STATES:
        yield ("bad" if manifest.state == "failed" else "warn"), _STATES[manifest.state]
    if manifest and manifest.error:
        yield ("warn" if manifest.state == "stopped" else "bad"), manifest.error
    if manifest and manifest.counts.get("kept", 0) != facts.statuses["kept"]:
        told, found = manifest.counts.get("kept", 0), facts.statuses["kept"]
        yield (
            "warn",
            f"The last run came to {told:,} examples; the files hold {found:,}, of a run before it or changed since. "
            "This page tells of the files, and what it says of calls is of all runs here.",
        )
    if told_of_edits := facts.edits.told():
        yield "", f"{told_of_edits} The figures are of what the models said; texts shown are as edited."


_STATES: Final = {
    "running": "The run was at work when this was written, or was killed at it: this is not all of it.",
    "stopped": "The run was stopped before its end. Run the config again to go on.",
    "failed": "The run failed before its end. Mend the cause and run the config again to go on.",
}
