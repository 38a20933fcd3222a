"""The floor of any client: `http_alone.py BASE_URL CALLS IN_FLIGHT BODIES` sends CALLS requests and reads the replies.

No more than what cannot be left out: aiohttp with the settings of codeclm, orjson on both ways, IN_FLIGHT tasks that
send one request after another. BODIES holds what to send, a JSON object a line, from the beginning again where there
are fewer than CALLS. They are read before anything is sent, so that a run of one call costs what the start costs.
Ends with 0 only if every reply has a text.
"""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson


async def send(session: aiohttp.ClientSession, url: str, bodies: Iterator[dict[str, Any]]) -> None:
    """Send what is left of the bodies, one after another."""
    headers = {"Content-Type": "application/json"}
    for body in bodies:
        async with session.post(url, data=orjson.dumps(body), headers=headers, allow_redirects=False) as response:
            reply = orjson.loads(await response.read())
        if not reply["choices"][0]["message"]["content"]:
            raise SystemExit(f"a reply without a text: {reply}")


async def main(base_url: str, calls: int, in_flight: int, bodies: list[dict[str, Any]]) -> None:
    """Share the calls out among the tasks."""
    left = itertools.islice(itertools.cycle(bodies), calls)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(send(session, f"{base_url}/chat/completions", left) for _ in range(in_flight)))


if __name__ == "__main__":
    known = list(map(orjson.loads, Path(sys.argv[4]).read_bytes().splitlines()))
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), known))
