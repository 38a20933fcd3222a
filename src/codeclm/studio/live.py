"""A run at work, second by second."""

from __future__ import annotations

from aiohttp import web


def routes() -> list[web.RouteDef]:
    """What this feature answers."""
    return []
