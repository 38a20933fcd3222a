"""Run directories with outcomes in them, made by hand, for tests of pages that show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from tests.dataset.samples import ENTRY, KEPT, SINGLE, dropped, failed, iteration
from tests.studio.served import made_run

from codeclm.dataset.outcomes import discarded_row, example_row, failure_row, row_line
from codeclm.records import Outcome

DISCARDED = dropped("discarded", iteration("Say hello."), iteration("Say hello thrice.", action="ask for more"))
FAILED = failed(iteration("Write a letter."))
OUTCOMES = (*KEPT, DISCARDED, FAILED)

__all__ = ["DISCARDED", "ENTRY", "FAILED", "KEPT", "OUTCOMES", "SINGLE", "outcomes_run", "write_outcomes"]


def outcomes_run(folder: Path, outcomes: Sequence[Outcome] = OUTCOMES, **config: object) -> Path:
    """A run directory with these outcomes, its seeds beside it in the runs folder."""
    made_run(folder)
    seeds = folder.parent / "seeds.jsonl"
    seeds.write_text(
        '{"id": "s1", "instruction": "The first <b>seed</b>."}\n{"prompt": "2"}\n{"prompt": "The third."}\n'
    )
    models = {name: {"model": f"secret-{name}", "base_url": "http://127.0.0.1:1/v1"} for name in ("strong", "target")}
    values = {"seeds": str(seeds), "size": 3, "run_dir": str(folder), "models": models} | config
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    write_outcomes(folder, outcomes)
    return folder


def write_outcomes(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """The run's files with these outcomes."""
    kept = [example_row(one) for one in outcomes if one.status == "kept"]
    failures = [failure_row(one) for one in outcomes if one.status == "failed"]
    others = [discarded_row(one) for one in outcomes if one.status not in ("kept", "failed")]
    for name, rows in (("examples", kept), ("discarded", others), ("failures", failures)):
        (folder / f"{name}.jsonl").write_bytes(b"".join(map(row_line, rows)))
