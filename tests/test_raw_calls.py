"""The calls behind an outcome, word for word as the server saw them, found again without asking anybody."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import pytest
from aiohttp import web
from tests.conftest import Endpoint
from tests.running import BUNDLED_SEEDS, rows
from tests.serving.engines import fake, starts

from codeclm.config import RunConfig
from codeclm.config_files import from_mapping
from codeclm.errors import InputError
from codeclm.generate import generate
from codeclm.methods import METHODS
from codeclm.raw_calls import RawCall, RawCalls, raw_calls
from codeclm.simulator.server import Simulator

FILES = ("examples", "discarded", "failures")
OF_THE_POOL = {"encode", "reasonable"}


class Listening(Simulator):
    """A simulator that keeps what came over the wire and what it replied.

    ``spoils`` is the share of calls whose reply is ``spoilt``; which ones goes by their words, not by when they come.
    """

    def __init__(self, *, spoils: float = 0.0, spoilt: Literal["refused", "torn"] = "refused", draw: int = 0) -> None:
        super().__init__()
        self.heard: list[tuple[dict[str, Any], Any]] = []
        self._bodies: dict[Any, dict[str, Any]] = {}
        self._spoils, self._spoilt, self._draw = spoils, spoilt, draw

    async def __aenter__(self) -> Listening:
        await self.start()
        return self

    def _asked(self, path: str, content: Any, body: bytes) -> Any:
        self._bodies[asyncio.current_task()] = content
        return super()._asked(path, content, body)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await super()._handle(request)
        if not request.path.endswith("completions") or not isinstance(response, web.Response):
            return response
        assert isinstance(response.body, bytes)
        body = self._bodies.pop(asyncio.current_task())
        reply = json.loads(response.body) if response.status == 200 else None
        if reply and self._is_spoilt(body):
            if self._spoilt == "torn":
                return web.Response(body=response.body[:40], content_type="application/json")
            reply["choices"][0]["message"] |= {"content": None, "refusal": "I'd rather not."}
            response = web.Response(body=json.dumps(reply).encode(), content_type="application/json")
        self.heard.append((body, reply))
        return response

    def _is_spoilt(self, body: dict[str, Any]) -> bool:
        words = json.dumps([self._draw, body.get("messages"), body.get("seed")])
        return crc32(words.encode()) % 100 < 100 * self._spoils

    def _answer_line(self, path: str, content: Any) -> tuple[int, Any]:
        status, reply = super()._answer_line(path, content)
        self.heard.append((content, reply if status == 200 else None))
        return status, reply


@pytest.fixture
async def simulator() -> Any:
    async with Listening() as simulator:
        yield simulator


def config_in(folder: Path, base_url: str, **values: Any) -> RunConfig:
    model = {"base_url": base_url, "retries": 0}
    models: dict[str, Any] = {name: {"model": name, **model} for name in ("strong", "target")}
    models |= {
        name: {key: {**model, **one} for key, one in more.items()}
        if name in ("jury", "ensemble")
        else {**model, **more}
        for name, more in values.pop("models", {}).items()
    }
    lines = BUNDLED_SEEDS.read_bytes().splitlines(keepends=True)
    (folder / "seeds.jsonl").write_bytes(b"".join(lines[:10]))
    (folder / "general.jsonl").write_bytes(b"".join(lines[10:16]))
    files = {"seeds": "seeds.jsonl", "general_seeds": "general.jsonl"}
    return from_mapping(files | {"size": 6, "run_dir": "run", "models": models} | values, folder=folder)


async def one_slot_after_another(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run, with no slot begun that is not needed."""
    monkeypatch.setattr("codeclm.generate.slots_at_once", lambda *_: 1)
    return (await generate(config)).run_dir


def outcomes_in(run_dir: Path) -> list[dict[str, Any]]:
    return [row for name in FILES for row in rows(run_dir / f"{name}.jsonl")]


def recorded(run_dir: Path) -> dict[tuple[Any, ...], str]:
    """Every row of the journal, by what tells it from the others, and its stage."""
    with closing(sqlite3.connect(run_dir / "journal.sqlite")) as db:
        found = db.execute("SELECT model, made_at, latency, stage FROM calls WHERE stage <> 'handshake'").fetchall()
    return {tuple(row[:3]): row[3] for row in found}


def place(call: RawCall) -> tuple[Any, ...]:
    return call.model, call.made_at, call.completion.latency


def was_sent(call: RawCall, heard: list[tuple[dict[str, Any], Any]]) -> bool:
    """Whether a request with these very words went to this model, and this reply came back."""
    for body, reply in heard:
        if body["model"] != call.model or reply is None:
            continue
        if call.continuation:
            if body.get("prompt") == call.messages[0].content + call.continuation:
                return True
            continue
        sent = [(message["role"], message["content"]) for message in body.get("messages", ())]
        same = sent == [(message.role, message.content) for message in call.messages]
        form = body.get("response_format", {})
        schema = call.schema if form.get("type") == "json_object" else form.get("json_schema", {}).get("name", "")
        asked = (body.get("seed", 0), body.get("temperature"), schema) == (call.sample, call.temperature, call.schema)
        if same and asked and (reply["choices"][0]["message"]["content"] or "").strip() == call.completion.text.strip():
            return True
    return False


WAYS: dict[str, dict[str, Any]] = {
    **{name: {"method": {"name": name}} for name in METHODS},
    "verbalized": {"method": {"source": "verbalized"}},
    "ifd": {"method": {"filter": "ifd"}},
    "alone, by a judge": {"method": {"judging": "absolute"}, "models": {"judge": {"model": "judge"}}},
    "ensemble and jury": {
        "models": {
            "ensemble": {"second": {"model": "target"}},
            "jury": {"a": {"model": "judge"}, "b": {"model": "strong"}},
        }
    },
    "likeliest": {
        "size": 2,
        "method": {"best_answer": "likeliest"},
        "models": {"ensemble": {"second": {"model": "target"}}},
    },
    "as text": {"models": {"strong": {"model": "strong", "reply_form": "text"}}},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
async def test_every_call_is_found_by_an_outcome_in_the_words_that_were_sent(
    way: str, simulator: Listening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = WAYS[way] | {"method": {"pool": 14} | WAYS[way].get("method", {})}
    run_dir = await one_slot_after_another(config_in(tmp_path, simulator.base_url, **values), monkeypatch)
    asked = len(simulator.heard)
    everything, found = recorded(run_dir), dict[tuple[Any, ...], str]()
    for row in outcomes_in(run_dir):
        calls = await raw_calls(run_dir, row["id"])
        assert calls.missing == ""
        assert all(was_sent(call, simulator.heard) for call in calls.calls)
        assert len({(place(call), call.role) for call in calls.calls}) == len(calls.calls)
        stages = [call.stage for call in calls.calls]
        if row["entry"].startswith("m"):
            assert (stages[0] == "encode") == (len(row["seed_ids"]) == 1)
            assert (stages[0] == "reasonable") == (not row["seed_ids"])
        found |= {place(call): call.stage for call in calls.calls}
    lacking = {place: stage for place, stage in everything.items() if place not in found}
    assert set(lacking.values()) <= OF_THE_POOL  # of entries that no slot drew, and of pairs turned away
    assert set(found) <= set(everything)
    assert len(simulator.heard) == asked  # nobody was asked anything


async def calls_of_all(run_dir: Path) -> dict[str, RawCalls]:
    return {row["id"]: await raw_calls(run_dir, row["id"]) for row in outcomes_in(run_dir)}


@pytest.fixture
async def made(simulator: Listening, tmp_path: Path) -> Path:
    return (await generate(config_in(tmp_path, simulator.base_url, method={"pool": 14}))).run_dir


async def test_of_what_failed_the_useless_replies_are_shown(tmp_path: Path) -> None:
    async with Listening(spoils=0.12, draw=7) as simulator:
        run_dir = (await generate(config_in(tmp_path, simulator.base_url, size=10, method={"pool": 20}))).run_dir
    stages = set()
    for row in rows(run_dir / "failures.jsonl"):
        found = await raw_calls(run_dir, row["id"])
        stages.add(row["stage"])
        assert found.missing == ""
        assert any(row["raw"] == call.completion.refusal for call in found.calls)
        assert all(was_sent(call, simulator.heard) for call in found.calls)
    assert stages == {"encode", "mix_and_match", "decode", "filter", "improve"}


async def test_a_call_without_a_reply_is_told(tmp_path: Path) -> None:
    for size, spoils in ((1, 0.0), (6, 0.15)):  # handshake and pool are recorded before anything goes wrong
        async with Listening(spoils=spoils, spoilt="torn") as simulator:
            moved = {name: {"model": name, "identity": "http://there/v1"} for name in ("strong", "target")}
            config = config_in(tmp_path, simulator.base_url, size=size, models=moved, method={"pool": 0})
            folder = (await generate(config)).run_dir
    failed = rows(folder / "failures.jsonl")
    assert failed
    for row in failed:
        found = await raw_calls(folder, row["id"])
        assert "(malformed) got no reply" in found.missing
        assert found.calls


async def test_an_answer_that_was_refused_over_http_is_told_beside_all_others(
    simulator: Listening, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.says("yes")
    endpoint.then({"error": {"message": "too long"}}, 400)
    other = {"model": "other", "base_url": endpoint.base_url, "reply_form": "text"}
    models = {"ensemble": {"other": other}}
    config = config_in(tmp_path, simulator.base_url, size=2, models=models, method={"pool": 0})
    folder = (await generate(config)).run_dir
    row = rows(folder / "examples.jsonl")[0]
    found = await raw_calls(folder, row["id"])
    assert "gave no reply are not shown" in found.missing
    assert found.calls[-1].stage == "judge"


async def test_what_was_asked_anew_is_found_with_both_generations(tmp_path: Path) -> None:
    async with Listening(spoils=0.12, draw=7) as simulator:
        config = config_in(tmp_path, simulator.base_url, size=5, method={"pool": 0})
        await generate(config)
        again = await generate(config, retry_failed=True)
        found = await calls_of_all(again.run_dir)
    mended = [calls for calls in found.values() if any(call.sample >= 1_000_000 for call in calls.calls)]
    assert mended
    assert all(any(call.completion.refusal for call in calls.calls) for calls in mended)
    assert all(calls.missing == "" for calls in found.values())


@pytest.mark.slow
async def test_batches_are_recorded_calls_too(simulator: Listening, tmp_path: Path) -> None:
    models = {"strong": {"model": "strong", "batch": True}, "target": {"model": "target", "batch": True}}
    folder = (await generate(config_in(tmp_path, simulator.base_url, models=models, method={"pool": 0}))).run_dir
    for found in (await calls_of_all(folder)).values():
        assert found.missing == ""
        assert all(was_sent(call, simulator.heard) for call in found.calls)


async def test_a_server_of_the_runs_own_is_not_started_for_it(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    served = fake(str(tmp_path / "weights"), "--seen", tmp_path / "seen")
    models = {"strong": {"model": "strong", "base_url": "simulator"}, "target": {"serve": dict(served)}}
    seeds = BUNDLED_SEEDS.read_bytes().splitlines(keepends=True)[:3]
    (tmp_path / "seeds.jsonl").write_bytes(b"".join(seeds))
    values = {"seeds": "seeds.jsonl", "size": 2, "run_dir": "run", "models": models, "method": {"pool": 0}}
    folder = (await generate(from_mapping(values, folder=tmp_path))).run_dir
    shutil.rmtree(tmp_path / "weights")
    row = rows(folder / "examples.jsonl")[0]
    found = await raw_calls(folder, row["id"])
    assert found.missing == ""
    assert [call.completion.text for call in found.calls if call.role == "target"] == ["An answer of weights."]
    assert len(starts(tmp_path / "seen")) == 1


@pytest.mark.parametrize("method", ["codeclm", "wizardlm+"])
async def test_a_moved_directory_whose_inputs_are_gone_lacks_the_encoding_alone(
    simulator: Listening, tmp_path: Path, method: str
) -> None:
    first = tmp_path / "first"
    first.mkdir()
    run_dir = (await generate(config_in(first, simulator.base_url, method={"name": method, "pool": 0}))).run_dir
    before = await calls_of_all(run_dir)
    moved = tmp_path / "elsewhere" / "run"
    moved.parent.mkdir()
    run_dir.rename(moved)
    shutil.rmtree(first)
    improved = 0
    for name, found in (await calls_of_all(moved)).items():
        assert found.calls == tuple(call for call in before[name].calls if call.stage != "encode")
        assert "The seeds can't be read" in found.missing
        improved += any("evol" in call.stage or call.stage == "improve" for call in found.calls)
    assert improved


async def test_seeds_that_were_changed_are_told_and_nothing_else_is_shown_for_them(made: Path) -> None:
    before = await calls_of_all(made)
    seeds = made.parent / "seeds.jsonl"
    seeds.write_text(seeds.read_text().replace("a", "b").replace('"binstruction"', '"instruction"'))
    changed = 0
    for name, found in (await calls_of_all(made)).items():
        assert set(found.calls) <= set(before[name].calls)
        if len(found.calls) < len(before[name].calls):
            changed += 1
            assert "not recorded" in found.missing or "no longer the seed" in found.missing
    assert changed


async def test_an_own_part_is_never_executed(simulator: Listening, tmp_path: Path) -> None:
    code = """
from pathlib import Path
from codeclm.stages.strong_answer import answer_at_once

Path(__file__).with_name("imported").touch()

async def decide(instruction, context):
    return await answer_at_once(instruction, context)
"""
    (tmp_path / "own.py").write_text(code)
    method = {"pool": 0, "filter": "own.py:decide"}
    folder = (await generate(config_in(tmp_path, simulator.base_url, method=method))).run_dir
    (tmp_path / "own.py").write_text(code + "\n# another file by now, which would be imported anew")
    (tmp_path / "imported").unlink()
    row = rows(folder / "examples.jsonl")[0]
    found = await raw_calls(folder, row["id"])
    assert not (tmp_path / "imported").exists()
    assert [call.stage for call in found.calls] == ["encode", "decode"]
    assert "Parts of the user's own (method.filter own.py:decide) are not executed" in found.missing


async def test_a_journal_of_several_runs_and_one_that_is_written_meanwhile(
    simulator: Listening, tmp_path: Path
) -> None:
    shared = {"journal": "shared.sqlite", "method": {"pool": 0}}
    one = await generate(config_in(tmp_path, simulator.base_url, run_dir="one", size=3, **shared))
    two = config_in(tmp_path, simulator.base_url, run_dir="two", size=7, **shared)
    seen = list[dict[str, RawCalls]]()

    async def look() -> None:
        while len(seen) < 3:
            seen.append(await calls_of_all(one.run_dir))
            await asyncio.sleep(0)

    await asyncio.gather(generate(two), look())
    assert all(found.missing == "" and found.calls for calls in seen for found in calls.values())
    everything = tmp_path / "moved"
    everything.mkdir()
    for path in (tmp_path / "one", tmp_path / "two", *map(tmp_path.joinpath, ("shared.sqlite", "shared.sqlite-wal"))):
        with suppress(FileNotFoundError):
            path.rename(everything / path.name)
    moved = await calls_of_all(everything / "two")
    assert all(len(found.calls) > 3 for found in moved.values())


@pytest.mark.parametrize("number", [0, -1])
async def test_a_row_that_the_journal_does_not_lead_to_is_not_explained_by_it(made: Path, number: int) -> None:
    row = next(row for row in outcomes_in(made) if len(row["history"]) > 1)
    row |= {"status": "discarded", "reason": ""}
    row.pop("messages", None)
    row["history"][number]["instruction"] += " In verse."
    row["instruction"] = row["basic"] = row["history"][0]["instruction"]
    for name in FILES:
        (made / f"{name}.jsonl").write_text(json.dumps(row) if name == "discarded" else "")
    found = await raw_calls(made, row["id"])
    assert "leads to another instruction" in found.missing
    assert {call.stage for call in found.calls} <= OF_THE_POOL


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("gone", "There is no journal at"),
        ("empty", "The journal can't be read"),
        ("damaged", "the record of a call is damaged"),
        ("no config", "can't read the config"),
        ("no metadata", "does not tell how many entries"),
    ],
)
async def test_what_is_wrong_is_told_and_is_no_error(made: Path, harm: str, said: str) -> None:
    journal = made / "journal.sqlite"
    match harm:
        case "gone":
            journal.unlink()
        case "empty":
            journal.write_bytes(b"")
        case "damaged":
            with closing(sqlite3.connect(journal)) as db, db:
                db.execute("UPDATE calls SET reply = x'00' WHERE stage = 'decode'")
        case "no config":
            (made / "config.yaml").unlink()
        case "no metadata":
            (made / "metadata.jsonl").unlink()
    found = await raw_calls(made, rows(made / "examples.jsonl")[0]["id"])
    assert said in found.missing
    assert {call.stage for call in found.calls} <= {"encode", "reasonable"}


async def test_an_id_that_is_nowhere_is_an_error(made: Path) -> None:
    with pytest.raises(InputError, match=r"no instruction has the id '999999\.9'"):
        await raw_calls(made, "999999.9")
