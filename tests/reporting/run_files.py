"""Run directories made by hand for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.dataset.samples import ENTRY, KEPT, MANIFEST, dropped, failed, iteration

from codeclm.dataset.outcomes import discarded_row, example_row, failure_row, row_line
from codeclm.records import (
    Answer,
    Comparison,
    Entry,
    Failure,
    Instruction,
    Iteration,
    Metadata,
    Outcome,
    Status,
)

NOWHERE = Entry("", Metadata("", ()))

DROPPED = (
    dropped("discarded", iteration("Write a letter.", (8, 7)), iteration("Write a long letter.", (9, 8))),
    dropped("duplicate", iteration("Write a note.", (9, 3))),
    dropped("surplus", iteration("Write a card.", (9, 3))),
)
FAILED = (
    failed(iteration("Write a poem.", (6, 6))),
    failed(),
    Outcome("000009", "failed", ENTRY, failure=Failure("decode", "refused", "the model declined", raw="No.")),
    Outcome("seed-000004", "failed", NOWHERE, "A seed.", failure=Failure("encode", "refused", "declined too")),
)
METADATA = (
    {"id": "m0", "use_case": "Writing letters", "skills": ["tone", "brevity"], "seed_ids": ["s:1", "s:2"]},
    {"id": "m1", "use_case": "poems", "skills": ["rhyme"], "seed_ids": ["s:3"]},
    {"id": "m2", "use_case": "poems", "skills": ["tone"], "seed_ids": []},
    {"id": "", "use_case": "nonsense", "skills": ["rhyme"], "seed_ids": [], "turned_away": True},
)


def manifest(**changes: Any) -> dict[str, Any]:
    """A manifest that fits the outcomes of :func:`write_run`."""
    counts = MANIFEST["counts"] | {"kept": 3, "mixed_entries": 1, "entries": 3, "seeds": 3}
    return MANIFEST | {"counts": counts} | changes


def write_run(
    folder: Path,
    kept: Sequence[Outcome] = KEPT,
    dropped: Sequence[Outcome] = DROPPED,
    failed: Sequence[Outcome] = FAILED,
    **changes: Any,
) -> Path:
    """The files of a run; ``changes`` are those of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, outcomes, row in (
        ("examples", kept, example_row),
        ("discarded", dropped, discarded_row),
        ("failures", failed, failure_row),
    ):
        (folder / f"{name}.jsonl").write_bytes(b"".join(row_line(row(outcome)) for outcome in outcomes))
    rows = [{"turned_away": False} | row for row in METADATA]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "manifest.json").write_text(json.dumps(manifest(**changes)))
    return folder


def spoken(text: str, number: int = 0, status: Status = "kept") -> Outcome:
    """An outcome that says ``text`` wherever a row holds a text."""
    entry = Entry(text, Metadata(text, (text, f"{text} 2")), (text,))
    rounds = tuple(
        Iteration(
            Instruction(f"{place} {text}", text if place else ""),
            strong=Answer(f"strong {text}", model=text),
            target=Answer(text),
            comparison=Comparison((9, 2), (8, 3)),
            reason="" if place and status == "kept" else text,
            measures=((text, 0.5),),
        )
        for place in range(2)
    )
    failure = Failure(text, text, text, raw=text) if status == "failed" else None
    outcome = Outcome(f"{text} {number}", status, entry, f"0 {text}", rounds, failure, reason=text)
    return replace(outcome, reason="") if status == "kept" else outcome


def write_spoken(folder: Path, *texts: str) -> Path:
    """A run whose every text is one of these, its manifest, audit and evaluation too."""
    text = texts[0]
    write_run(
        folder,
        [spoken(text, number) for number, text in enumerate(texts)],
        [spoken(text, number, "discarded") for number, text in enumerate(texts)],
        [spoken(text, number, "failed") for number, text in enumerate(texts)],
        codeclm=text, error=text, state=text, config_sha256=text, seeds_sha256=text,
        models={name: {"model": text, "base_url": text} for name in ("strong", "target", text)},
        method={"name": text, "source": text, text: text, "skills": [text]},
        calls=[{"stage": text, "model": text, "calls": 3, "prompt_tokens": 5, "completion_tokens": 7, "seconds": 1.5}],
    )  # fmt: skip
    metadata = [
        {"id": "m0", "use_case": text, "skills": [text, "tone"], "seed_ids": [text], "turned_away": False}
        for text in texts
    ]
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metadata))
    names = {"missing": [text], "missing_count": 1, "distance": 0.5, "coverage": 0.5}
    checks = {text: {"findings": 1, "examples": 1, "share": 1.0}, f"{text} 2": {"findings": None, "not_done": text}}
    audit = {"examples": 1, "fidelity": {"use_cases": names, "skills": names}, "checks": checks}
    (folder / "audit.json").write_text(json.dumps(audit))
    evaluation = {
        "benchmark": text, "candidate": text, "reference": text, "rule": text, "items": 4, "wins": 1, "ties": 1,
        "losses": 2, "crr": 0.5, "crr_interval": [0.2, 0.8],
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder
