"""A runs folder that says given texts in every field of every file that studio and report show."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from tests.aligning.test_page import _alignment
from tests.comparing.test_pictures import made_of, row
from tests.reporting.run_files import manifest, spoken, write_run, write_spoken

from codeclm.comparing.side_by_side import as_json
from codeclm.dataset.outcomes import example_row, row_line
from codeclm.edits import Edit, add_edit, digest_of, now
from codeclm.evaluating.human import Shown, write_set
from codeclm.records import Iteration, Outcome
from codeclm.studio.folders import LOG

IDS: Final = "kept"
AT_WORK: Final = "at-work"
ALL: Final = "all"


def joined(texts: Sequence[str]) -> str:
    """All the texts as one."""
    return "\n".join(texts)


def write_folder(root: Path, texts: Sequence[str]) -> Path:
    """The folder. ``all`` is a whole run, ``at-work`` one that is told to work, and ``NUMBER …`` has a run for each
    text, of that name; there are comparison sets, pages of comparisons and alignments, and files of seeds beside.
    """
    root.mkdir()
    _whole_run(root / ALL, texts)
    _at_work(root / AT_WORK, joined(texts))
    for number, text in enumerate(texts):
        one = made(text, number)
        folder = root / f"{number} {_file_name(text)}"
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps(one))
        (root / f"seeds {number} {_file_name(text)}.txt").write_text("A seed.\n")
    _comparison_set(root, texts)
    (root / "compared").mkdir()
    rows = [row(text, problem=text) for text in texts[:30]]
    made_by = replace(made_of(*rows), left_out=tuple((text, text) for text in texts[:30]))
    (root / "compared" / "comparison.json").write_bytes(as_json(made_by))
    (root / "aligned").mkdir()
    rounds = [_alignment()["rounds"][1] | {"name": text} for text in texts]
    paired = [_alignment()["paired"][0] | {"first": text, "second": text} for text in texts]
    named = dict.fromkeys(("benchmark", "best", "ended", "codeclm"), joined(texts))
    (root / "aligned" / "alignment.json").write_text(json.dumps(_alignment(rounds=rounds, paired=paired, **named)))
    return root


def made(text: str, number: int) -> dict[str, Any]:
    """A manifest with the text wherever a manifest has one; every third ended badly."""
    names = {text: 2, f"{text} 2": 3}
    model = {"model": text, "base_url": text}
    return manifest(
        state=("complete", "stopped", "failed")[number % 3],
        error="" if number % 3 == 0 else text,
        codeclm=text,
        models={"strong": model, "target": model, "judge": {"model": f"{text} judge"}, text: model},
        method={"name": text, "threshold": 3.0, text: text},
        kept_by_iteration=names,
        failures_by_cause=names,
        faults=names,
        calls=[{"stage": text, "model": text, "calls": 3, "prompt_tokens": 5, "completion_tokens": 7, "seconds": 1.5}],
    )


def _whole_run(folder: Path, texts: Sequence[str]) -> None:
    write_spoken(folder, *texts)
    outcomes = [replace(spoken(text, number), id=f"00000{number // 10}.{number}") for number, text in enumerate(texts)]
    every = _with_all(texts)
    lines = [row_line(example_row(outcome)) for outcome in (every, *outcomes)]
    (folder / "examples.jsonl").write_bytes(b"".join(lines) + (folder / "examples.jsonl").read_bytes())
    one = made(joined(texts), 1)
    calls = [dict(one["calls"][0], stage=text, model=text) for text in texts]
    counted = {text: number for number, text in enumerate(texts)}
    one |= {"calls": calls, "failures_by_cause": counted, "faults": counted, "kept_by_iteration": counted}
    (folder / "manifest.json").write_text(json.dumps(one))
    text = joined(texts)
    for edit in (
        Edit(every.id, "edit", f"{text} edited", f"{text} answered", digest_of(every), now(), text, text),
        *(Edit(outcome.id, "edit", f"{one} !", None, digest_of(outcome), now(), one, one)
          for one, outcome in list(zip(texts, outcomes, strict=True))[:5]),
    ):  # fmt: skip
        add_edit(folder, edit)
    (folder / LOG).write_text(text, errors="replace")
    (folder / "seeds.jsonl").write_text("".join(json.dumps({"id": f"s{n}", "instruction": one}) + "\n"
                                                for n, one in enumerate(texts)))  # fmt: skip
    model = {"model": text.replace("\0", ""), "base_url": "http://127.0.0.1:9/v1"}
    config = {"seeds": "seeds.jsonl", "run_dir": ".", "models": {"strong": model, "target": model}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def _with_all(texts: Sequence[str]) -> Outcome:
    """One example with all texts in each of its fields, and each of them as a skill and as a seed."""
    text = joined(texts)
    outcome = spoken(text, 0)
    metadata = replace(outcome.entry.metadata, skills=tuple(texts))
    entry = replace(outcome.entry, metadata=metadata, seed_ids=tuple(f"s{number}" for number in range(len(texts))))
    first, last = outcome.iterations
    told = replace(first, measures=tuple((one, 0.5) for one in texts))
    rounds: tuple[Iteration, ...] = (told, replace(first, reason=text), last)
    return replace(outcome, id=IDS, entry=entry, iterations=rounds)


def _at_work(folder: Path, text: str) -> None:
    write_run(folder)
    one = made(text, 0)
    (folder / "manifest.json").write_text(json.dumps(one | {"state": "running"}))
    notes = dict.fromkeys(("spent", "limits", "starting", "out of order"), text)
    counted = {text: 3}
    live = {
        "phase": text, "of_what": text, "done": 3, "total": 9, "elapsed_seconds": 5, "calls_made": 7, "usd": 0.25,
        "counts": {"kept": 3, text: 3}, "kept_by_iteration": counted, "failures_by_cause": counted, "retries": counted,
        "notes": notes,
    }  # fmt: skip
    (folder / ".live.json").write_text(json.dumps(live))


def _comparison_set(root: Path, texts: Sequence[str]) -> None:
    shown = [Shown(f"{n} {one}", one, f"{one} (a)", f"{one} (b)", one, "win") for n, one in enumerate(texts)]
    write_set(root / "set.csv", shown, candidate=joined(texts), reference=joined(texts), rule="strict")
    key = json.loads((root / "set.key.json").read_text())
    rows = [
        {"set": key["set"], "item": item, "preference": ("a", "b", "tie")[n % 3], "rater": "ada", "notes": item}
        for n, item in enumerate(key["items"])
    ]
    (root / "set.ada.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    bob = [row | {"rater": row["item"], "preference": row["item"]} for row in rows]
    (root / "set.bob.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bob))


def _file_name(text: str) -> str:
    """The text as it can be a part of a file's name."""
    name = text.replace("/", "∕").replace("\0", "␀").encode(errors="replace")[:150]
    return os.fsdecode(name).strip() or "blank"
