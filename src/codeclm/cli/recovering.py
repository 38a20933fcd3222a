"""`codeclm recover`: saves a damaged journal and says what is lost, before anything is paid for again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codeclm import run_directory
from codeclm.cli.display import emit
from codeclm.journal import CallTotal
from codeclm.recover import Recovered, recover


def recover_journal(folder: Path, *, json: bool) -> None:
    """Recover the journal in ``folder`` and print what was saved and lost."""
    found = recover(folder)
    if json:
        emit(
            {
                "event": "recovered",
                "damaged": str(found.damaged) if found.damaged else None,
                "counted": found.counted,
                "saved": [asdict(total) for total in found.saved],
                "lost": [asdict(total) for total in found.lost],
            }
        )
        return
    console = Console()
    for line in _lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.lost:
        console.print(_table(found.lost))


def _lines(found: Recovered) -> Iterable[str]:
    saved, lost = (sum(total.calls for total in totals) for totals in (found.saved, found.lost))
    if found.damaged:
        yield f"Saved {saved:,} calls into a new {run_directory.JOURNAL}; the old one is kept as {found.damaged.name}."
    else:
        yield f"{run_directory.JOURNAL} is whole: {saved:,} calls. Nothing was changed in it."
    if not found.counted:
        yield f"There is no {run_directory.MANIFEST} to tell how many calls there were."
    elif lost:
        tokens = sum(total.prompt_tokens + total.completion_tokens for total in found.lost)
        yield (
            f"Lost: {lost:,} of {saved + lost:,} calls, which took {tokens:,} tokens. When the config is run again, "
            "they are made and paid for again, as are any made after the manifest was last written:"
        )
    else:
        yield f"No call that {run_directory.MANIFEST} counts is lost. Run the config again to go on."


def _table(lost: Iterable[CallTotal]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage")
    table.add_column("model", overflow="fold")
    for name in ("calls lost", "tokens in", "tokens out"):
        table.add_column(name, justify="right")
    for total in lost:
        numbers = (total.calls, total.prompt_tokens, total.completion_tokens)
        table.add_row(Text(total.stage), Text(total.model), *(f"{number:,}" for number in numbers))
    return table
