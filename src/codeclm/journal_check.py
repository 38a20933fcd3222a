"""Opening a run directory's journal only if it is all there.

A journal that was cut off, emptied or lost would have the run pay for its calls again without a word. So before the
first call the file's structure is checked, and the calls in it are held against what the manifest had counted. The
person who has read what is lost settles it with ``codeclm recover``.
"""

from __future__ import annotations

from pathlib import Path

from codeclm import run_directory
from codeclm.errors import JournalError
from codeclm.journal import Journal, recovery

_WAL = "-wal"


def open_journal(folder: Path) -> Journal:
    """The journal of a run directory that is held. Raises JournalError where it is damaged or calls are missing."""
    path = folder / run_directory.JOURNAL
    counted = run_directory.counted_calls(run_directory.read_manifest(folder) or {})
    log = path.with_name(path.name + _WAL)
    if not path.exists() or not path.stat().st_size:
        # Not opened: SQLite would delete the log of an empty file, and with it calls that were paid for.
        orphaned = log.exists() and log.stat().st_size > 0
        if counted or orphaned:
            what = "is empty" if path.exists() else "is missing"
            told = f"though {run_directory.MANIFEST} counts {counted:,} calls" if counted else "and has left a log"
            raise JournalError(
                f"{path}: the journal {what}, {told}. Put it back if you have it, and its {_WAL} file with it. If not, "
                f"{recovery(path)}"
            )
    journal = Journal(path)
    try:
        _require_whole(journal, counted)
    except BaseException:
        journal.close()
        raise
    return journal


def _require_whole(journal: Journal, counted: int) -> None:
    if not journal.is_sound():
        raise JournalError(f"{journal.path}: the file is damaged. {recovery(journal.path)}")
    there = sum(total.calls for total in journal.totals())
    if there < counted:
        raise JournalError(
            f"{journal.path}: holds {there:,} calls, though {run_directory.MANIFEST} counts {counted:,}. Put the whole "
            f"journal back if you have it. If not, {recovery(journal.path)}"
        )
