"""Pages that are served as they are, shut off from the studio: they may be anybody's files."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from aiohttp import web

# Such a page has its styles in it, and may do nothing else: no script, no form, nothing of the studio's own.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox"
)
_LARGEST: Final = 32 * 2**20  # bytes


async def shut_off(path: Path, missing: str = "") -> web.Response:
    """The page in a file. Raises HTTPNotFound, which says ``missing``, where there is none that may be shown."""
    content = await asyncio.to_thread(_plain_file, path)
    if content is None:
        raise web.HTTPNotFound(text=missing)
    answer = web.Response(body=content, content_type="text/html", charset="utf-8")
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer


def _plain_file(path: Path) -> bytes | None:
    """A file's content; None where there is none, or it is a link or too large."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read() if os.fstat(handle).st_size <= _LARGEST else None
