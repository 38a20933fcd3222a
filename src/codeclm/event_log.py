"""A file of JSON lines, one for each event that ``codeclm.events`` tells of.

Each line has ``time`` (UTC), ``event`` and the event's fields. The file is appended to, so that the resumed run goes on
in it. A line that can't be written is counted and does not hold the run up: the journal, not this file, is its record.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from codeclm.errors import ConfigError
from codeclm.events import LOGGER


class EventLog(logging.Handler):
    """Writes events to a file. ``lost`` is how many did not fit on the disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self.lost = 0
        self._torn = False
        try:
            # Unbuffered: a line is on its way to the disk before the run goes on, so a kill loses none.
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise ConfigError(f"--log {path}: can't write there ({error.strerror}). Choose another file.") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Append the event as one line; records that are none (of other code under the same name) keep their text."""
        try:
            at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        except (ValueError, OverflowError, OSError):  # a clock that has lost its mind
            at = str(record.created)
        event = getattr(record, "event", None)
        fields = getattr(record, "fields", {}) if event else {"text": record.getMessage()}
        row = {"time": at, "event": event or "message", **fields}
        line = json.dumps(row, default=str).encode() + b"\n"  # ASCII: holds any text there is
        line = b"\n" + line if self._torn else line
        try:
            written = self._file.write(line)
        except OSError:
            self.lost += 1
            return
        self._torn = written != len(line)
        self.lost += self._torn

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextmanager
def written_to(path: Path) -> Iterator[EventLog]:
    """Append every event to ``path`` meanwhile. Raises ConfigError where it can't be written."""
    log = EventLog(path)
    level = LOGGER.level
    LOGGER.addHandler(log)
    LOGGER.setLevel(logging.INFO)
    try:
        yield log
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(log)
        log.close()
