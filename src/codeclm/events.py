"""Events of a run worth knowing afterwards, told to the standard logger ``codeclm``.

Fields are names, counts, seconds and causes. Never the text of a prompt or a reply, and never what a server said: it
may repeat either. While nobody listens (``codeclm run --log``, or a handler of your own) a note costs next to nothing.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("codeclm")

Plain = str | int | float | bool | None


def note(event: str, /, **fields: Plain) -> None:
    """Tell of an event at level INFO. ``record.event`` and ``record.fields`` hold it for handlers that want structure.

    Events are named in the past tense, in lower case with underscores: ``attempt_failed``, ``breaker_opened``.
    """
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("%s %s", event, fields, extra={"event": event, "fields": fields})
