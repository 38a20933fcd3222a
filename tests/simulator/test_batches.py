"""The simulator's Batch API over real HTTP: its wire format, what becomes of a line, and what /stats counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import Simulator

URL = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")


def line(name: str, *, text: str = "Write a haiku about rain.", model: str = "target", url: str = URL) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0.0}
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": body})


class Provider:
    """The Batch API of a simulator, as a client sees it."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self._session = session

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        async with self._session.request(method, self.simulator.base_url + path, **more) as response:
            return response.status, json.loads(await response.read())

    async def upload(self, *lines: str, purpose: str = "batch") -> tuple[int, Any]:
        form = aiohttp.FormData()
        form.add_field("purpose", purpose)
        form.add_field("file", "\n".join(lines).encode() + b"\n", filename="batch.jsonl")
        return await self.ask("POST", "/files", data=form)

    async def create(self, file_id: str, **more: Any) -> tuple[int, Any]:
        asked = {"input_file_id": file_id, "endpoint": URL, "completion_window": "24h"} | more
        return await self.ask("POST", "/batches", json=asked)

    async def batch(self, *lines: str, **more: Any) -> dict[str, Any]:
        """A batch of these lines, at its end."""
        _, file = await self.upload(*lines)
        _, made = await self.create(file["id"], **more)
        assert made["status"] == "validating"
        return await self.end_of(made["id"])

    async def end_of(self, batch_id: str) -> dict[str, Any]:
        while True:
            _, batch = await self.ask("GET", f"/batches/{batch_id}")
            if batch["status"] in ENDED:
                return dict(batch)

    async def results(self, file_id: str) -> dict[str, Any]:
        async with self._session.get(f"{self.simulator.base_url}/files/{file_id}/content") as response:
            rows = [json.loads(row) for row in (await response.read()).splitlines()]
        return {row["custom_id"]: row for row in rows}


@asynccontextmanager
async def provider(**options: Any) -> AsyncIterator[Provider]:
    async with Simulator(SimulatorOptions(**options)) as simulator, aiohttp.ClientSession() as session:
        yield Provider(simulator, session)


async def test_a_line_is_answered_and_counted_as_the_live_call_is() -> None:
    async with provider() as api:
        batch = await api.batch(line("a"), line("b", text="Name a tree."), metadata={"mine": "x"})
        results = await api.results(batch["output_file_id"])
        live = json.loads(line("a"))["body"]
        _, reply = await api.ask("POST", "/chat/completions", json=live)
        stats = api.simulator.stats()
    assert (batch["status"], batch["metadata"], batch["error_file_id"]) == ("completed", {"mine": "x"}, None)
    assert batch["request_counts"] == {"total": 2, "completed": 2, "failed": 0}
    assert set(results) == {"a", "b"}
    assert (results["a"]["error"], results["a"]["response"]["status_code"]) == (None, 200)
    assert results["a"]["response"]["body"]["choices"] == reply["choices"]
    assert (stats["calls"], stats["by_status"], stats["repeated"]) == (3, {"200": 3}, 0)
    assert stats["batches"]["uploads"] == stats["batches"]["creates"] == stats["batches"]["contents"] == 1


async def test_the_same_call_live_and_in_a_batch_counts_as_repeated() -> None:
    async with provider() as api:
        await api.batch(line("a"))
        await api.batch(line("b"))
        assert api.simulator.stats()["repeated"] == 1


async def test_lines_that_fail_or_expire_are_in_the_error_file() -> None:
    async with provider(batch_error=0.3, batch_expire=0.3) as api:
        batch = await api.batch(*(line(str(n), text=f"Tell me about {n}.") for n in range(40)))
        done, failed = await api.results(batch["output_file_id"]), await api.results(batch["error_file_id"])
    assert batch["status"] == "expired"
    assert set(done) | set(failed) == {str(n) for n in range(40)}
    assert not set(done) & set(failed)
    kinds = {row["error"]["code"] if row["error"] else row["response"]["status_code"] for row in failed.values()}
    assert kinds == {"batch_expired", 500}


async def test_a_batch_that_can_not_be_begun_says_which_line_is_wrong() -> None:
    async with provider(batch_fail_first=1, batch_most_lines=2) as api:
        first = await api.batch(line("a"))
        large = await api.batch(line("a"), line("b"), line("c"))
        torn = await api.batch(line("a"), '{"custom_id":')
        other = await api.batch(line("a"), line("b", url="/v1/completions"))
        twice = await api.batch(line("a"), line("a"))
        assert api.simulator.stats()["calls"] == 0
    assert {batch["status"] for batch in (first, large, torn, other, twice)} == {"failed"}
    assert large["errors"]["data"][0]["code"] == "token_limit_exceeded"
    assert [(e["code"], e["line"]) for e in torn["errors"]["data"]] == [("invalid_json_line", 2)]
    assert [(e["code"], e["line"]) for e in other["errors"]["data"]] == [("mismatched_endpoint", 2)]
    assert twice["errors"]["data"][0]["code"] == "duplicate_custom_id"


async def test_a_model_that_is_not_served_fails_its_line_alone() -> None:
    async with provider() as api:
        batch = await api.batch(line("a"), line("b", model="other"))
        failed = await api.results(batch["error_file_id"])
    assert failed["b"]["response"]["status_code"] == 404


async def test_batches_are_listed_newest_first_and_in_pages() -> None:
    async with provider() as api:
        _, file = await api.upload(line("a"))
        made = [(await api.create(file["id"]))[1]["id"] for _ in range(5)]
        _, first = await api.ask("GET", "/batches?limit=3")
        _, rest = await api.ask("GET", f"/batches?limit=3&after={first['data'][-1]['id']}")
    assert [batch["id"] for batch in first["data"] + rest["data"]] == made[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


async def test_a_cancelled_batch_ends_without_the_rest_of_its_lines() -> None:
    async with provider(batch_latency=0.05) as api:
        _, file = await api.upload(line("a"))
        _, made = await api.create(file["id"])
        status, cancelling = await api.ask("POST", f"/batches/{made['id']}/cancel")
        batch = await api.end_of(made["id"])
        again, _ = await api.ask("POST", f"/batches/{made['id']}/cancel")
    assert (status, cancelling["status"]) == (200, "cancelling")
    assert (batch["status"], batch["output_file_id"], again) == ("cancelled", None, 409)


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/batches/batch-9", {}, 404),
        ("GET", "/files/file-9/content", {}, 404),
        ("DELETE", "/files/file-9", {}, 404),
        ("GET", "/files/file-9/other/path", {}, 404),
        ("POST", "/files", {"data": b"not a form"}, 400),
        ("POST", "/batches", {"data": b"not JSON"}, 400),
        ("POST", "/batches", {"json": {"input_file_id": "file-9", "endpoint": URL, "completion_window": "24h"}}, 400),
        ("POST", "/batches", {"json": {"input_file_id": "file-9", "endpoint": "/v1/x"}}, 400),
        ("POST", "/batches", {"json": {"endpoint": URL, "completion_window": "1h"}}, 400),
    ],
)
async def test_what_is_not_there_or_not_sound_is_refused(
    method: str, path: str, more: dict[str, Any], status: int
) -> None:
    async with provider() as api:
        got, body = await api.ask(method, path, **more)
    assert got == status
    assert body["error"]["message"]


async def test_a_deleted_file_makes_no_batch() -> None:
    async with provider() as api:
        _, file = await api.upload(line("a"))
        assert (await api.ask("DELETE", f"/files/{file['id']}"))[1]["deleted"]
        assert (await api.create(file["id"]))[0] == 400
        assert (await api.upload(line("a"), purpose="fine-tune"))[0] == 400


async def test_the_key_is_asked_for_as_for_live_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED_KEY", "right")
    async with provider(api_key_env="SIMULATED_KEY") as api:
        assert (await api.ask("GET", "/batches"))[0] == 401
        assert (await api.ask("GET", "/batches", headers={"Authorization": "Bearer right"}))[0] == 200


@pytest.mark.parametrize("phase", ["upload", "create", "created", "poll", "content"])
async def test_the_first_request_of_a_phase_is_held_until_its_client_is_gone(phase: str) -> None:
    async with provider(batch_hold=(phase,)) as api:

        async def whole() -> None:
            batch = await api.batch(line("a"))
            await api.results(batch["output_file_id"])

        client = asyncio.create_task(whole())
        while not api.simulator.stats()["batches"].get("held"):  # noqa: ASYNC110 (the server's own count)
            await asyncio.sleep(0)
        client.cancel()
        assert isinstance((await asyncio.gather(client, return_exceptions=True))[0], asyncio.CancelledError)
        batch = await api.batch(line("b"))
        assert set(await api.results(batch["output_file_id"])) == {"b"}
        _, listed = await api.ask("GET", "/batches")
        assert len(listed["data"]) == (1 if phase in ("upload", "create") else 2)
