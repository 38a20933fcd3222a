"""The simulator over real HTTP: OpenAI's wire format, its errors, the options, and what /stats counts."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
import pytest

from codeclm.errors import ConfigError
from codeclm.prompts.templates import BUILT_IN, render
from codeclm.simulator import SimulatedModel, SimulatorOptions
from codeclm.simulator.options import models
from codeclm.simulator.server import Simulator
from codeclm.simulator.world import reply

HELLO = [{"role": "user", "content": "Write a haiku about rain."}]
FIELDS = {"instruction": "a", "answer_1": "b", "answer_2": "c"}
JUDGE = [{"role": "user", "content": render("judge", "text", FIELDS)[0].content}]


class Got(NamedTuple):
    status: int
    body: Any
    headers: Any

    @property
    def text(self) -> str:
        return str(self.body["choices"][0]["message"]["content"])


Post = Callable[..., Awaitable[Got]]


@asynccontextmanager
async def serving(
    options: SimulatorOptions | None = None, *, timeout: float = 10
) -> AsyncIterator[tuple[Simulator, Post]]:
    client_timeout = aiohttp.ClientTimeout(timeout)
    async with (
        Simulator(options or SimulatorOptions()) as simulator,
        aiohttp.ClientSession(timeout=client_timeout) as session,
    ):

        async def post(path: str = "/chat/completions", headers: dict[str, str] | None = None, **body: Any) -> Got:
            whole = {"model": "target", "messages": HELLO} | body
            async with session.post(simulator.base_url + path, json=whole, headers=headers) as response:
                return Got(response.status, json.loads(await response.read()), response.headers)

        yield simulator, post


async def test_a_chat_completion_has_the_openai_shape() -> None:
    async with serving() as (_, post):
        got = await post(temperature=0.7, seed=3, n=5, top_p=0.9, user="me")
    expected = reply(models(SimulatorOptions())["target"], HELLO, temperature=0.7, seed=3)
    assert (got.status, got.text) == (200, expected)
    assert [choice["finish_reason"] for choice in got.body["choices"]] == ["stop"]
    assert got.body["object"] == "chat.completion"
    usage = got.body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > usage["prompt_tokens"] > 0


@pytest.mark.parametrize(
    "prompt", ["### Instruction:\nWrite a haiku about rain.\n\n### Response:\n", "Write a haiku about rain."]
)
async def test_completions_take_the_instruction_form_and_raw_text(prompt: str) -> None:
    async with serving() as (_, post):
        got = await post("/completions", prompt=prompt, temperature=0, stop=["rain"])
        chat = await post(temperature=0)
    assert got.body["object"] == "text_completion"
    assert got.body["choices"][0]["text"] == chat.text.split("rain")[0]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_token_limits_cut_the_text_and_say_so(name: str) -> None:
    async with serving() as (_, post):
        whole, short = await post(), await post(**{name: 10})
    assert short.body["choices"][0]["finish_reason"] == "length"
    assert short.body["usage"]["completion_tokens"] == 10
    assert whole.text.startswith(short.text)
    assert len(short.text) == 40


SCHEMA = {"type": "object", "properties": {"score_1": {"type": "number"}, "score_2": {"type": "number"}}}
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "scores", "schema": SCHEMA}}


async def test_response_format_is_obeyed_refused_or_ignored() -> None:
    async with serving() as (_, post):
        obeyed = await post(model="judge", messages=JUDGE, response_format=JSON_SCHEMA)
        free = await post(response_format={"type": "json_object"})
        assert set(json.loads(obeyed.text)) == {"score_1", "score_2"}
        assert set(json.loads(free.text)) == {"answer"}
    async with serving(SimulatorOptions(json="refuse")) as (_, post):
        refused = await post(response_format=JSON_SCHEMA)
        assert (refused.status, refused.body["error"]["param"]) == (400, "response_format")
        assert "response_format" in refused.body["error"]["message"]
    async with serving(SimulatorOptions(json="ignore")) as (_, post):
        ignored = await post(model="judge", messages=JUDGE, response_format=JSON_SCHEMA)
        assert ignored.text.replace(" ", "").replace(".", "").isdigit()


async def test_models_and_health_are_served() -> None:
    async with serving() as (simulator, _), aiohttp.ClientSession() as session:
        async with session.get(simulator.base_url + "/models") as response:
            assert [row["id"] for row in (await response.json())["data"]] == ["strong", "target", "judge", "embedding"]
        async with session.get(simulator.base_url.removesuffix("/v1") + "/health") as response:
            assert await response.json() == {"status": "ok"}
        async with session.get(simulator.base_url + "/nothing") as response:
            assert response.status == 404


async def test_an_unknown_model_is_404_in_openais_shape() -> None:
    async with serving() as (_, post):
        got = await post(model="gpt-9")
    assert (got.status, got.body["error"]["code"]) == (404, "model_not_found")
    assert "gpt-9" in got.body["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": []},
        {"messages": "hi"},
        {"messages": [{"role": "user", "content": 7}]},
        {"model": None},
        {"temperature": "warm"},
        {"seed": "x"},
        {"max_tokens": 0},
        {"stream": True},
        {"response_format": {"type": "yaml"}},
    ],
)
async def test_a_bad_body_is_400(wrong: dict[str, Any]) -> None:
    async with serving() as (_, post):
        got = await post(**wrong)
    assert got.status == 400
    assert got.body["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_not_json_is_400_and_a_large_one_is_welcome() -> None:
    large = json.dumps({"model": "target", "messages": [{"role": "user", "content": "word " * 500_000}]}).encode()
    async with serving() as (simulator, _), aiohttp.ClientSession() as session:
        for body, status in ((b'{"model": "str', 400), (b'"\xff"', 400), (large, 200)):
            async with session.post(simulator.base_url + "/chat/completions", data=io.BytesIO(body)) as response:
                assert response.status == status


async def test_capabilities_can_be_taken_away() -> None:
    options = SimulatorOptions(tokens_parameter="max_completion_tokens", refuses_temperature=True, refuses_seed=True)
    async with serving(options) as (_, post):
        for name, value in (("max_tokens", 9), ("temperature", 0.7), ("seed", 1)):
            got = await post(**{name: value})
            assert (got.status, got.body["error"]["param"]) == (400, name)
        assert (await post(max_completion_tokens=9, temperature=1)).status == 200


async def test_a_key_is_asked_for_when_one_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SimulatorOptions(api_key_env="SIMULATOR_TEST_KEY")
    with pytest.raises(ConfigError, match="SIMULATOR_TEST_KEY"):
        Simulator(options)
    monkeypatch.setenv("SIMULATOR_TEST_KEY", "right")
    async with serving(options) as (simulator, post):
        statuses = [(await post(headers=headers)).status for headers in (None, {"Authorization": "Bearer wrong"})]
        assert statuses == [401, 401]
        assert (await post(headers={"Authorization": "Bearer right"})).status == 200
        async with aiohttp.ClientSession() as session, session.get(simulator.base_url + "/models") as response:
            assert response.status == 401


async def test_faults_have_their_own_look() -> None:
    async with serving(SimulatorOptions(rate_429=1, retry_after=0.25)) as (_, post):
        got = await post()
        assert (got.status, got.headers["Retry-After"]) == (429, "0.25")
    async with serving(SimulatorOptions(rate_500=1)) as (_, post):
        assert (await post()).status == 500
    async with serving(SimulatorOptions(rate_refused=1)) as (_, post):
        message = (await post()).body["choices"][0]["message"]
        assert (message["content"], bool(message["refusal"])) == (None, True)
    async with serving(SimulatorOptions(rate_malformed=1)) as (simulator, post):
        with pytest.raises(json.JSONDecodeError):
            await post()
        assert simulator.stats()["by_status"] == {"200": 1}
    async with serving(SimulatorOptions(rate_truncated=1)) as (_, post):
        got = await post(max_tokens=2048)
        assert got.body["choices"][0]["finish_reason"] == "length"
        assert got.body["usage"]["completion_tokens"] < 100


async def test_a_dropped_connection_and_a_call_never_answered() -> None:
    async with serving(SimulatorOptions(rate_drop=1)) as (simulator, post):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await post()
        assert simulator.stats()["by_status"] == {"none": 1}
    async with serving(SimulatorOptions(rate_hang=1), timeout=0.05) as (_, post):
        with pytest.raises(TimeoutError):
            await post()


async def test_faults_never_change_what_a_reply_says() -> None:
    async with serving(SimulatorOptions(rate_500=0.5)) as (_, post):
        got = [await post(seed=1) for _ in range(20)]
    assert {one.status for one in got} == {200, 500}
    assert len({one.text for one in got if one.status == 200}) == 1


async def test_requests_beyond_the_rate_limit_are_told_when_to_come_back() -> None:
    async with serving(SimulatorOptions(requests_per_minute=3)) as (_, post):
        got = [await post(seed=seed) for seed in range(5)]
    assert [one.status for one in got] == [200, 200, 200, 429, 429]
    assert 15 < float(got[-1].headers["Retry-After"]) <= 20


async def test_rate_limits_are_told_in_headers_unless_switched_off() -> None:
    async with serving(SimulatorOptions(requests_per_minute=3)) as (_, post):
        got = [await post(seed=seed) for seed in range(4)]
    assert [one.headers["x-ratelimit-remaining-requests"] for one in got] == ["2", "1", "0", "0"]
    assert {one.headers["x-ratelimit-limit-requests"] for one in got} == {"3"}
    assert 55 < float(got[-1].headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 60
    for options in (SimulatorOptions(requests_per_minute=3, rate_headers=False), SimulatorOptions()):
        async with serving(options) as (_, post):
            assert not [name for name in (await post()).headers if "ratelimit" in name.lower()]


async def test_calls_beyond_max_in_flight_wait_their_turn() -> None:
    async with serving(SimulatorOptions(max_in_flight=2, latency=0.02)) as (simulator, post):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        got = await asyncio.gather(*(post(seed=seed) for seed in range(6)))
        assert loop.time() - begun >= 0.055
        assert simulator.stats()["peak_in_flight"] == 6
    assert {one.status for one in got} == {200}


async def test_stats_count_calls_repetitions_and_tokens() -> None:
    async with serving() as (simulator, post), aiohttp.ClientSession() as session:
        await post(seed=1)
        await post(seed=1)
        await post(model="judge", messages=JUDGE)
        await post(model="nobody")
        root = simulator.base_url.removesuffix("/v1")
        async with session.get(root + "/stats") as response:
            stats = await response.json()
        assert stats == simulator.stats()
        assert (stats["calls"], stats["repeated"], stats["in_flight"], stats["peak_in_flight"]) == (4, 1, 0, 1)
        assert stats["by_model"] == {"target": 2, "judge": 1}
        assert stats["by_status"] == {"200": 3, "404": 1}
        assert stats["by_prompt"] == {"answer": 2, "judge": 1}
        assert stats["prompt_tokens"] > 0 < stats["completion_tokens"]
        async with session.post(root + "/stats/reset") as response:
            assert response.status == 200
        await post(seed=1)
        assert (simulator.stats()["calls"], simulator.stats()["repeated"]) == (1, 0)


async def test_asking_again_after_an_unusable_answer_is_no_repetition() -> None:
    async with serving(SimulatorOptions(rate_truncated=0.5, fault_seed=4)) as (simulator, post):
        reasons = [(await post()).body["choices"][0]["finish_reason"] for _ in range(8)]
        assert simulator.stats()["repeated"] == 8 - reasons.index("stop") - 1


async def test_stats_count_the_faults_that_were_put_in_by_name() -> None:
    async with serving(SimulatorOptions(rate_500=0.3, rate_429=0.3, fault_seed=2)) as (simulator, post):
        statuses = Counter([(await post()).status for _ in range(20)])
        assert simulator.stats()["by_fault"] == {"429": statuses[429], "500": statuses[500]}
        assert min(statuses.values()) > 0


async def test_thinking_comes_before_the_answer() -> None:
    async with serving(SimulatorOptions(thinking=True)) as (_, post), serving() as (_, plain):
        text, answer = (await post()).text, (await plain()).text
    assert text.startswith("<think>\n")
    assert text.endswith("\n</think>\n\n" + answer)


async def test_it_dies_when_told_to() -> None:
    async with serving(SimulatorOptions(die_after=2)) as (simulator, post):
        assert [(await post()).status for _ in range(2)] == [200, 200]
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await post()
        await simulator.stop()
        assert simulator.dead.is_set()
        with pytest.raises(aiohttp.ClientConnectorError):
            await post()


async def test_a_port_in_use_is_a_clear_error() -> None:
    async with serving() as (simulator, _):
        port = int(simulator.base_url.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(ConfigError, match=str(port)):
            await Simulator().start(port)


async def test_another_world_plays_the_models() -> None:
    heard: list[tuple[Any, ...]] = []

    def mine(model: SimulatedModel, messages: Sequence[Mapping[str, Any]], /, **how: Any) -> str:
        heard.append((model.name, messages, how))
        return "one two three four"

    async with Simulator(reply=mine) as simulator, aiohttp.ClientSession() as session:
        body = {"model": "target", "messages": HELLO, "temperature": 0.5, "seed": 7, "max_tokens": 2}
        async with session.post(f"{simulator.base_url}/chat/completions", json=body) as response:
            (choice,) = (await response.json())["choices"]
    assert heard == [("target", HELLO, {"temperature": 0.5, "seed": 7, "templates": BUILT_IN})]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("one two ", "length")


SERVE = """
from codeclm.simulator import SimulatorOptions
from codeclm.simulator.server import serve
serve(SimulatorOptions(), 0, lambda url: print(url, flush=True))
print("stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert process.communicate(timeout=10)[0] == "stopped\n"
        assert process.returncode == 0
