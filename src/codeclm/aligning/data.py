"""What a round trains on: its own examples and those of the rounds before it, each instruction once.

Every round trains the start model anew on all of them. So nothing of an earlier round is forgotten, and no adapter is
put on another. Rows are kept byte for byte, in the rounds' order, but for those that people edited or dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from codeclm import run_directory
from codeclm.config import RunConfig
from codeclm.dataset.outcomes import last_text, outcome_from_row, preference_row, row_line
from codeclm.edits import Applied, edited_lines, read_edits
from codeclm.select import Selector


def gather(rounds: Sequence[Path], folder: Path, config: RunConfig) -> int:
    """Write the examples and preferences of the run directories ``rounds`` into ``folder``; how many are learnt.

    An instruction that nearly equals one of an earlier round (``method.near_duplicates``) is left out, as in a run. The
    config is written beside them: what trains there goes by its settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run_directory.write_config(folder, config)
    examples: list[bytes] = []
    pairs: dict[str, bytes] = {}  # another than is in the file; empty: none
    with Selector(size=sys.maxsize, near_duplicates=config.method.near_duplicates) as selector:
        for made in rounds:
            applied = Applied()
            for line in edited_lines(made, read_edits(made), applied):
                row = orjson.loads(line)
                outcome = outcome_from_row(row)
                if selector.repeats(f"example {outcome.id}", last_text(outcome)):
                    pairs[outcome.id] = b""
                    continue
                examples.append(line)
                if outcome.id in applied.edited_ids:
                    pair = preference_row(outcome)
                    pairs[outcome.id] = row_line(pair) if pair else b""
            pairs |= dict.fromkeys(applied.dropped_ids, b"")
    preferences = [
        kept
        for line in _lines(rounds, run_directory.PREFERENCES)
        if (kept := pairs.get(orjson.loads(line)["id"], line))
    ]
    run_directory.write(folder / run_directory.EXAMPLES, b"".join(examples))
    run_directory.write(folder / run_directory.PREFERENCES, b"".join(preferences))
    return len(preferences if config.training.objective == "dpo" else examples)


def _lines(rounds: Sequence[Path], name: str) -> Iterator[bytes]:
    for folder in rounds:
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                yield from file
