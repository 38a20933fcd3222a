"""Checkpoints served over real HTTP: an answer hangs on its prompt alone, and what can't be done is said."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from benchmarks.test_tube.greedy import Greedy, Prompt
from benchmarks.test_tube.pretraining import exercise
from benchmarks.test_tube.target_server import MOST, TargetServer
from benchmarks.test_tube.tokens import CONTEXT, tokenizer

from codeclm.errors import ConfigError, InputError

pytestmark = pytest.mark.slow  # torch

Ask = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large random weights: every token of a prompt changes all that follows."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(1)  # as the experiment does: two threads on so small a model are slower, and others test here
    words = tokenizer()
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=CONTEXT,
            eos_token_id=words.eos_token_id,
            initializer_range=0.4,
        )
    )
    folder = tmp_path_factory.mktemp("checkpoint")
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@asynccontextmanager
async def serving(**checkpoints: Path) -> AsyncIterator[tuple[TargetServer, Ask]]:
    limit = aiohttp.ClientTimeout(60)
    async with TargetServer(checkpoints) as server, aiohttp.ClientSession(timeout=limit) as session:

        async def ask(prompt: str = "sort may june", **body: Any) -> tuple[int, Any]:
            messages = [{"role": "user", "content": prompt}]
            whole = {"model": "target", "messages": messages, "temperature": 0} | body
            async with session.post(f"{server.base_url}/chat/completions", json=whole) as response:
                return response.status, await response.json()

        yield server, ask


def said(got: tuple[int, Any]) -> tuple[str, str]:
    (choice,) = got[1]["choices"]
    return choice["message"]["content"], choice["finish_reason"]


def prompts(count: int) -> list[str]:
    draws = random.Random(5)
    return [exercise(draws)[0] for _ in range(count)]


async def test_batching_changes_no_answer(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = Greedy.answers

    def counted(self: Greedy, asked: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        sizes.append(len(asked))
        return whole(self, asked)

    monkeypatch.setattr(Greedy, "answers", counted)
    async with serving(target=checkpoint) as (_, ask):
        together = [said(each) for each in await asyncio.gather(*(ask(each, max_tokens=40) for each in prompts(80)))]
        assert 32 < max(sizes) <= MOST
        sizes.clear()
        alone = [said(await ask(prompt, max_tokens=40)) for prompt in prompts(80)]
    assert sizes == [1] * 80
    assert together == alone
    assert len(set(alone)) > 70
    assert {reason for _, reason in alone} == {"stop", "length"}


def test_nothing_is_rounded_to_float32_on_the_way(checkpoint: Path) -> None:
    import torch

    greedy = Greedy(checkpoint)
    ids = torch.tensor([greedy.prompt([{"role": "user", "content": prompts(1)[0]}], 1).tokens])
    with torch.inference_mode():
        before = greedy._model(input_ids=ids).logits[0, -1]
        greedy._model.model.embed_tokens.weight[ids[0, 0], 0] += 1e-11
        moved = (greedy._model(input_ids=ids).logits[0, -1] - before).abs()
    assert before.dtype == torch.float64
    assert 0 < moved.min() <= moved.max() < 1e-8  # float32 would keep it off, or make it a step of 1e-7


async def test_an_answer_is_that_of_transformers(checkpoint: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words, model = (kind.from_pretrained(checkpoint) for kind in (AutoTokenizer, AutoModelForCausalLM))
    async with serving(target=checkpoint) as (_, ask):
        for prompt in prompts(5):
            status, body = await ask(prompt, max_tokens=12)
            asked = words.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt"
            )
            whole = model.generate(**asked, max_new_tokens=12, do_sample=False, pad_token_id=0)[0].tolist()
            given = whole[asked["input_ids"].shape[1] :]
            ended = given[-1] == words.eos_token_id
            assert status == 200
            assert said((status, body)) == (words.decode(given[:-1] if ended else given), "stop" if ended else "length")
            count = len(given) - ended
            assert body["usage"] == {
                "prompt_tokens": len(whole) - len(given),
                "completion_tokens": count,
                "total_tokens": len(whole) - len(given) + count,
            }


async def test_an_answer_ends_at_its_own_limit_or_that_of_the_context(checkpoint: Path) -> None:
    async with serving(target=checkpoint) as (_, ask):
        limits = (1, 5, 5000)
        *got, _ = await asyncio.gather(*(ask(max_tokens=limit) for limit in limits), ask("sort " * 60, max_tokens=1))
        short, middle, longest = (said(each)[0].split() for each in got)
        long = await ask("sort " * CONTEXT)
    assert [said(each)[1] for each in got] == ["length"] * 3
    assert (len(short), middle, longest[:5]) == (1, longest[:5], middle)
    assert got[2][1]["usage"]["total_tokens"] == CONTEXT
    assert (long[0], long[1]["error"]["code"]) == (400, "context_length_exceeded")


async def test_models_come_and_go_while_the_server_runs(checkpoint: Path, tmp_path: Path) -> None:
    async with serving(target=checkpoint) as (server, ask):
        before = await ask(model="tuned")
        await server.add("tuned", checkpoint)
        with pytest.raises(ConfigError, match="tuned"):
            await server.add("tuned", checkpoint)
        with pytest.raises(InputError, match="checkpoint"):
            await server.add("none", tmp_path)
        both = await asyncio.gather(*(ask(model=name) for name in ("tuned", "target") * 3))
        async with aiohttp.ClientSession() as session, session.get(f"{server.base_url}/models") as response:
            assert [row["id"] for row in (await response.json())["data"]] == ["target", "tuned"]
        server.remove("tuned")
        after = await ask(model="tuned")
    assert [body["model"] for _, body in both] == ["tuned", "target"] * 3
    assert len({said(each) for each in both}) == 1
    for status, body in (before, after):
        assert (status, body["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"temperature": 0.7}, "temperature"),
        ({"temperature": None}, "temperature"),  # OpenAI's default is 1
        ({"stop": ["x"]}, "stop"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
    ],
)
async def test_what_it_does_not_do_is_refused(checkpoint: Path, body: dict[str, Any], param: str) -> None:
    async with serving(target=checkpoint) as (_, ask):
        status, answer = await ask(**body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_a_model_that_fails_is_a_500_and_the_next_call_is_answered(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Greedy, asked: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        raise MemoryError("no room")

    async with serving(target=checkpoint) as (_, ask):
        with monkeypatch.context() as patch:
            patch.setattr(Greedy, "answers", failing)
            failed = await asyncio.gather(ask(), ask())
        status, _ = await ask()
    assert [(code, body["error"]["message"]) for code, body in failed] == [(500, "MemoryError: no room")] * 2
    assert status == 200


async def test_stopping_ends_the_thread_and_the_calls_under_way(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on = threading.Event(), threading.Event()
    whole = Greedy.answers

    def held(self: Greedy, asked: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        began.set()
        goes_on.wait(30)
        return whole(self, asked)

    monkeypatch.setattr(Greedy, "answers", held)
    async with serving(target=checkpoint) as (_, ask):
        calls = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.to_thread(began.wait, 30)
        goes_on.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError) or end[0] == 200 for end in ends)  # type: ignore[index]
    assert not [each for each in threading.enumerate() if each.name.startswith("targets")]
