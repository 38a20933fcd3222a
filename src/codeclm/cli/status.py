"""`codeclm status`: a run directory in a few lines."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from codeclm import run_directory
from codeclm.cli.display import emit, printable
from codeclm.cli.planned import planned_and_actual
from codeclm.cli.spending import dollars_for, shared_line, spent_line
from codeclm.errors import RunDirectoryError
from codeclm.journal import as_row, recorded_totals, recovery
from codeclm.journal_uses import run_use, runs_of


def print_status(folder: Path, *, json: bool) -> None:
    """Print how far the run in ``folder`` has come. Raises RunDirectoryError where there is none."""
    manifest = run_directory.read_manifest(folder)
    if manifest is None:
        below = ", ".join(sorted(shlex.quote(path.parent.name) for path in folder.glob(f"*/{run_directory.MANIFEST}")))
        where = f"There are runs in folders of it: {below}." if below else "Is it the run_dir?"
        raise RunDirectoryError(f"{folder}: no run here: there is no {run_directory.MANIFEST}. {where}")
    manifest["state"] = run_directory.state_of(folder, manifest)
    # A running run writes its manifest now and then, and its calls at once.
    journal = run_directory.journal_of(folder)
    use = run_use(journal, folder)
    totals = use.calls if use else recorded_totals(journal)
    counted, recorded = run_directory.counted_calls(manifest), sum(total.calls for total in totals)
    if recorded < counted:
        manifest["error"] = f"{journal}: only {recorded:,} of {counted:,} calls can be read. {recovery(journal)}"
    elif use:
        usd = dollars_for(totals, manifest)
        manifest |= {"calls": [as_row(total) for total in totals], "shared_calls": use.shared, "usd_used": usd}
    elif not runs_of(journal):  # else others share it now, and which calls are this run's only its manifest tells
        manifest["calls"] = [as_row(total) for total in totals]
    if json:
        emit(manifest)
        return
    console = Console()
    counts = manifest["counts"]
    state = _STATES.get(manifest["state"], manifest["state"])
    console.print(
        f"{state}: {counts['kept']} of {manifest['size']} examples; {manifest['examples']} in {run_directory.EXAMPLES}",
        highlight=False,
        markup=False,
    )
    if manifest.get("error"):
        console.print(printable(manifest["error"]), style="yellow", markup=False, highlight=False)
    if spent := spent_line(manifest):
        console.print(printable(spent), markup=False, highlight=False)
    if "shared_calls" in manifest:
        console.print(printable(shared_line(manifest, journal)), markup=False, highlight=False, soft_wrap=True)
    for table in (_outcomes(manifest), _calls(manifest)):
        console.print(table)
    if planned := planned_and_actual(folder, manifest):
        console.print(planned)


_STATES = {
    "running": "Running",
    "complete": "Complete",
    "stopped": "Stopped; run the config again to go on",
    "failed": "Failed; mend the cause and run the config again to go on",
    "killed": "Killed; run the config again to go on",
}


def _outcomes(manifest: dict[str, Any]) -> Table:
    rows = Table.grid(padding=(0, 2))
    for name, count in manifest["counts"].items():
        if count:
            rows.add_row(Text(name.replace("_", " "), style="dim"), Text(f"{count:,}"))
    for number, count in manifest["kept_by_iteration"].items():
        rows.add_row(Text(f"kept at iteration {number}", style="dim"), Text(f"{count:,}"))
    for cause, count in manifest["failures_by_cause"].items():
        rows.add_row(Text(f"failures: {cause}", style="yellow"), Text(f"{count:,}"))
    for cause, count in manifest.get("faults", {}).items():
        rows.add_row(Text(f"failed attempts: {cause}", style="dim"), Text(f"{count:,}"))
    return rows


def _calls(manifest: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage")
    table.add_column("model", overflow="fold")
    for name in ("calls", "tokens in", "tokens out", "s per call"):
        table.add_column(name, justify="right")
    for row in manifest["calls"]:
        numbers = (row["calls"], row["prompt_tokens"], row["completion_tokens"])
        mean = row["seconds"] / row["calls"]
        table.add_row(Text(row["stage"]), Text(row["model"]), *(f"{number:,}" for number in numbers), f"{mean:.2f}")
    return table
