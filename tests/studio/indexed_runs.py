"""Run directories of outcomes whose gaps a test names, and their index, built here and now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from tests.studio.served import made_run

from codeclm import run_directory
from codeclm.dataset.outcomes import discarded_row, example_row, failure_row, row_line
from codeclm.records import Answer, Comparison, Entry, Failure, Instruction, Iteration, Metadata, Outcome, Status
from codeclm.studio.index import Index, open_index
from codeclm.studio.index_keeping import NAME
from codeclm.studio.indexing import build, signature_of

METADATA = Metadata("limericks", ("rhyme",))


def iteration(gap: float | None, text: str = "Write a poem.", *, cut_off: bool = False, reason: str = "") -> Iteration:
    """A time round whose two answers are so many points apart; ``cut_off`` is the better one's end."""
    compared = None if gap is None else Comparison((5 + gap / 2, 5 - gap / 2), (5 + gap / 2, 5 - gap / 2))
    strong = (gap or 0) > 0
    return Iteration(
        Instruction(text),
        Answer(f"strong on {text}", truncated=cut_off and strong),
        Answer(f"target on {text}", truncated=cut_off and not strong),
        compared,
        "strong" if strong else "target",
        reason,
    )


def outcome(id: str, status: Status, iterations: Sequence[Iteration], metadata: Metadata = METADATA) -> Outcome:
    """One outcome; a failed one timed out in the filter."""
    failure = Failure("filter", "timeout", "no reply in time", 3) if status == "failed" else None
    basic = iterations[0].instruction.text if iterations else ""
    return Outcome(id, status, Entry("m000000", metadata), basic, tuple(iterations), failure, "" if failure else "why")


def write_outcomes(folder: Path, outcomes: Iterable[Outcome]) -> Path:
    """A run directory that has these outcomes, in their order; its threshold is 3."""
    made_run(folder)
    model = {"base_url": "http://127.0.0.1:9/v1"}
    config = {
        "seeds": "seeds.txt",
        "size": 10,
        "run_dir": ".",
        "method": {"name": "codeclm", "threshold": 3.0},
        "models": {name: model | {"model": name} for name in ("strong", "target")},
    }
    (folder / "seeds.txt").write_text("Write a poem.\n")
    (folder / run_directory.CONFIG).write_text(yaml.safe_dump(config))
    lines: dict[str, list[bytes]] = {
        name: [] for name in (run_directory.EXAMPLES, run_directory.DISCARDED, run_directory.FAILURES)
    }
    for one in outcomes:
        if one.status == "kept":
            lines[run_directory.EXAMPLES].append(row_line(example_row(one)))
        elif one.status == "failed":
            lines[run_directory.FAILURES].append(row_line(failure_row(one)))
        else:
            lines[run_directory.DISCARDED].append(row_line(discarded_row(one)))
    for name, written in lines.items():
        (folder / name).write_bytes(b"".join(written))
    return folder


def indexed(folder: Path) -> Index:
    """The index of a run directory, built here and now."""
    build(folder, folder / NAME, lambda done, total: None)
    index = open_index(folder / NAME, folder, signature_of(folder))
    assert index is not None
    return index
