"""The report at the end of what is done in a run directory: written by a process of its own, whatever else happens.

What draws weighs more than a run, and at some fault of its own it ends its process: neither is the run's concern. So
:func:`refresh` starts ``codeclm report``, waits for it, and gives back a line where no report came of it. It never
raises, and the environment variable :data:`SWITCH` turns it off.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from codeclm import run_directory
from codeclm.errors import CodecLMError, ConfigError, InputError, JournalError, RunDirectoryError

SWITCH: Final = "CODECLM_REPORT"
"""Set to :data:`OFF`, no report is written but by ``codeclm report``."""
OFF: Final = "off"

# What has a page and is made of runs in folders below; the modules that write these lie above this one.
COMPARISONS: Final = ("comparison.json", "study-*.json")
ALIGNMENT: Final = "alignment.json"

_WITHIN = 900.0  # seconds; 100,000 outcomes take a few
_SAID = 300  # characters
_NEVER_BEGAN = (ConfigError, InputError, JournalError, RunDirectoryError)


def refresh(*folders: Path) -> str:
    """Write the pages of these directories anew; empty, or one line on why that failed. Those without a run are left.

    Ctrl-C ends the writing alone.
    """
    begun = [str(folder) for folder in folders if _holds_something(folder)]
    if not begun or os.environ.get(SWITCH) == OFF:
        return ""
    # -P: no module is taken from the current folder. A session of its own: a Ctrl-C at the terminal is for us.
    command = [sys.executable, "-P", "-m", "codeclm", "report", *begun]
    try:
        done = subprocess.run(  # noqa: S603 (our own command)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=_WITHIN, start_new_session=True, check=False,
        )  # fmt: skip
    except KeyboardInterrupt:
        return _line("interrupted", begun)
    except subprocess.TimeoutExpired:
        return _line(f"it took more than {_WITHIN:g} s", begun)
    except OSError as error:
        return _line(str(error), begun)
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.decode(errors="replace").split())[-_SAID:]
    return _line(said.removeprefix("error: ") or f"its process ended with {done.returncode}", begun)


def began(error: CodecLMError) -> bool:
    """Whether what ended with this error had begun: else its directory is as it was, and may be another's."""
    return not isinstance(error, _NEVER_BEGAN)


@contextmanager
def reported(folders: Callable[[], list[Path]], tell: Callable[[str], None]) -> Iterator[None]:
    """Write reports when what is done meanwhile has ended, in whatever way but one: that it never began.

    ``folders`` gives, at the end, the directories; ``tell`` is told where that failed.
    """
    try:
        yield
    except CodecLMError as error:
        if began(error):
            _told(refresh(*folders()), tell)
        raise
    _told(refresh(*folders()), tell)


def _told(problem: str, tell: Callable[[str], None]) -> None:
    if problem:
        tell(problem)


def _line(why: str, folders: list[str]) -> str:
    return f"No report was written ({why}). To write it: codeclm report {' '.join(folders)}"


def _holds_something(folder: Path) -> bool:
    names = (run_directory.MANIFEST, run_directory.EXAMPLES)
    return any((folder / name).exists() for name in names) or any(
        any(folder.glob(name)) for name in (*COMPARISONS, ALIGNMENT)
    )
