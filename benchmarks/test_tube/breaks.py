"""Ways to break the method on purpose: an instrument must show that each makes it worse."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from codeclm import run_directory
from codeclm.parts import Context
from codeclm.records import Instruction, Iteration
from codeclm.stages.contrastive_filter import contrast


async def flipped(instruction: Instruction, context: Context) -> Iteration:
    """Contrastive Filtering with its sign turned: what it would keep goes round, and the rest is kept."""
    found = await contrast(instruction, context)
    if found.passes:
        return replace(found, chosen="strong", reason="the gap is wide")
    return replace(found, chosen="strong", reason="")


def shuffle_answers(run_dir: Path, out: Path, seed: int) -> None:
    """Copy a run's examples to the folder ``out``, every answer moved to another instruction."""
    rows = [json.loads(line) for line in (run_dir / run_directory.EXAMPLES).read_text(encoding="utf-8").splitlines()]
    places = list(range(len(rows)))
    random.Random(f"shuffle {seed}").shuffle(places)
    answers = [row["messages"][-1]["content"] for row in rows]
    following = dict(zip(places, [*places[1:], places[0]], strict=True))
    for place, row in enumerate(rows):
        row["messages"][-1]["content"] = answers[following[place]]
    out.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (out / run_directory.EXAMPLES).write_text(text, encoding="utf-8")
