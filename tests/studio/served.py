"""The studio as a browser meets it: served on a free port, over run directories made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from codeclm.studio.app import make_app
from codeclm.studio.safety import Door

OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def made_run(folder: Path, **changes: Any) -> Path:
    """A run directory with a manifest, some of whose values are changed."""
    manifest: dict[str, Any] = {
        "codeclm": "0.1.0",
        "state": "complete",
        "size": 60,
        "examples": 60,
        "counts": {"instructions": 120, "kept": 60, "discarded": 59, "failed": 1, "seeds": 20, "entries": 200},
        "kept_by_iteration": {"1": 42, "2": 18},
        "mean_gap": 5.4,
        "kept_target_answers": 2,
        "failures_by_cause": {"unparseable": 1},
        "models": {
            "judge": {"model": "strong-model", "base_url": "https://strong.test/v1"},
            "strong": {"model": "strong-model", "base_url": "https://strong.test/v1"},
            "target": {"model": "target-model", "base_url": "http://127.0.0.1:8000/v1"},
        },
        "method": {"name": "codeclm", "judging": "pairwise", "threshold": 3.0},
        "seed": 7,
        "calls": [
            {
                "stage": "judge",
                "model": "strong-model",
                "calls": 120,
                "prompt_tokens": 9000,
                "completion_tokens": 800,
                "seconds": 60.0,
            }
        ],
        "faults": {"rate": 3},
        "usd": 1.25,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder


class Browser:
    """An HTTP client that keeps cookies, and sends what a browser sends from a page of ours."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a GET; redirects are not followed."""
        url = URL(self.base + path, encoded=True)  # as it is written, dots and all
        async with self.session.get(url, headers=headers, allow_redirects=False) as answer:
            return Answer(answer.status, await answer.text(), answer.headers.copy())

    async def post(self, path: str, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """The answer to a form that a page of ours sends."""
        sent = OWN_PAGE if headers is None else headers
        async with self.session.post(self.base + path, data=fields, headers=sent, allow_redirects=False) as answer:
            return Answer(answer.status, await answer.text(), answer.headers.copy())

    async def csrf(self, path: str = "/") -> str:
        """The token that a page of ours holds for its forms."""
        found = re.search('name="studio-csrf" content="([^"]+)"', (await self.get(path)).text)
        assert found
        return found[1]


class Answer:
    """What the server answered."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.text = text
        self.headers = headers

    def __repr__(self) -> str:
        return f"{self.status} {dict(self.headers)}\n{self.text}"


@asynccontextmanager
async def studio(folder: Path, door: Door | None = None) -> AsyncIterator[Browser]:
    """The studio of the runs below ``folder``, and somebody who looks at it."""
    runner = web.AppRunner(make_app(folder, door), access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        jar = aiohttp.CookieJar(unsafe=True)  # keeps those of an address too
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield Browser(session, base)
    finally:
        await runner.cleanup()
