"""Where a worker's questions are sent from, when that worker is there no more or no longer asks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from codeclm.clients.elsewhere import Send, Sent
from codeclm.clients.http import Traits
from codeclm.config import RunConfig
from codeclm.engines.link import Link
from codeclm.engines.ray_engine import Hello, Seat
from codeclm.errors import ConfigError, WorkerLost
from codeclm.prompts.templates import BUILT_IN
from codeclm.records import Completion, Message, Request
from codeclm.remote.questions import Complete, Opening, SendOwn, files_of_parts
from codeclm.remote.slots import Asker
from codeclm.remote.worker import open_worker

REQUEST = Request((Message("user", "hi"),), 0.0)


async def never(*asked: Any) -> Any:
    raise AssertionError("nobody asks")


def taken_seat() -> Seat:
    seat = Seat(0, never)
    seat.took(Hello("node", 1, ("", "")))
    return seat


def asker(seat: Seat) -> Asker:
    return Asker(seat, Complete("strong", turn=0, number=7, request=REQUEST))


async def test_the_next_worker_on_a_seat_is_not_told_to_send_a_question_of_the_last_one() -> None:
    seat = taken_seat()
    gone = asker(seat)
    assert gone.works
    seat.lost()
    seat.took(Hello("node", 2, ("", "")))
    # It numbers its questions from 0 too: its own question 7 would be sent, and recorded as the answer to another.
    assert not gone.works
    asking = asyncio.create_task(gone.ask(Send("strong", Traits(), REQUEST)))
    await asyncio.wait({asking}, timeout=1)
    assert seat.link.taken() == b""
    with pytest.raises(WorkerLost):
        await asyncio.wait_for(asking, 1)
    assert asker(seat).works


@pytest.mark.parametrize("open_there", [True, False])
async def test_a_completion_counts_as_read_there_only_where_the_question_is_still_open(open_there: bool) -> None:
    sent = Sent(Completion("hello"))
    asked: list[type] = []

    async def worker(question: Any) -> Sent | None:
        asked.append(type(question))
        return sent if open_there or isinstance(question, Send) else None

    seat, there = taken_seat(), Link(worker)
    asking = asker(seat)
    answer = asyncio.create_task(asking.ask(Send("strong", Traits(), REQUEST)))
    while not answer.done():
        await asyncio.sleep(0)
        there.received(seat.link.taken())
        await asyncio.sleep(0)
        seat.link.received(there.taken())
    assert (await answer).completion == sent.completion
    assert asked == ([SendOwn] if open_there else [SendOwn, Send])
    assert (asking.read is not None) == open_there


async def test_a_node_whose_file_of_parts_is_another_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("async def source(slot, context):\n    return ('one',)\n")
    models = {name: {"model": name, "base_url": "http://127.0.0.1:9/v1"} for name in ("strong", "target")}
    method = {"source": f"{mine}:source"}
    config = RunConfig.model_validate({"seeds": mine, "run_dir": tmp_path, "models": models, "method": method})
    opening = Opening(config, BUILT_IN, (), frozenset(), files_of_parts(config.method))
    async with open_worker(opening, never):
        pass
    mine.write_text("async def source(slot, context):\n    return ('two',)\n")
    with pytest.raises(ConfigError, match=r"mine\.py is not the same file as where the run is"):
        async with open_worker(opening, never):
            raise AssertionError
