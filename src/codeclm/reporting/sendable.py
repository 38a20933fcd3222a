"""What a report says of the machine it was made on: nothing, since a report is sent to others.

Messages, names of models and benchmarks tell of a machine: addresses of servers, folders and with them the user's name,
keys that a server repeated in part. :func:`sendable` takes these out. What models, seeds and people wrote is not looked
through: that is what a report is to show.
"""

from __future__ import annotations

import re
from typing import Final

ADDRESS: Final = "[address]"
KEY: Final = "[key]"

_FILES: Final = "jsonl|json|ndjson|yaml|yml|csv|tsv|txt|py|md|html|sqlite|parquet|gguf|safetensors"
_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]*[^\s\"'<>)\].,;:]", re.IGNORECASE)
_IP: Final = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f]*:[0-9a-f:.]*\])(?::\d{1,5})?(?![\w.]*\w)", re.IGNORECASE
)
# A name with a port, but not a file with a line.
_HOST: Final = re.compile(
    rf"(?<![\w.@/-])(?:localhost|[\w-]+(?:\.[\w-]+)*\.(?!(?:{_FILES}):)[\w-]+|(?<=host )[\w-]+):\d{{2,5}}\b",
    re.IGNORECASE,
)
_SECRET: Final = re.compile(
    r"(?<![\w-])(?:(?:sk|rk|pk|hf|gsk|xai|ghp|gho|glpat)[-_][\w*-]{6,}|AIza[\w*-]{10,}|[\w-]*\*{3,}[\w*-]*)"
)
_MAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# At least two parts of a path from the root, a home or a drive on; the last of them stays.
_PART: Final = r"[^\s/\\:;,'\"<>|()\[\]]+"
_PATH: Final = re.compile(rf"(?<![\w.…/\\:-])(?:~[\w.-]*|[A-Za-z]:)?[/\\](?:{_PART}[/\\])+(?={_PART}|)")


def sendable(text: str) -> str:
    """The text without addresses, keys, and the folders of paths. Doing it twice changes nothing more."""
    for pattern, instead in ((_URL, ADDRESS), (_SECRET, KEY), (_MAIL, ADDRESS), (_IP, ADDRESS), (_HOST, ADDRESS)):
        text = pattern.sub(instead, text)
    return _PATH.sub("…/", text)
