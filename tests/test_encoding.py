"""Corrections taught: seeds are encoded into a table, a person corrects it, and a run is shown the corrected rows."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.running import rows
from tests.test_raw_calls import Listening, config_in

from codeclm.clients.calls import StopSwitch
from codeclm.config import RunConfig
from codeclm.dataset.encode_examples import MOST
from codeclm.dataset.metadata_table import EncodedSeed
from codeclm.encoding import encoded, prepared, write_table
from codeclm.errors import ConfigError, InputError, OutputError, RunDirectoryError, RunFailed
from codeclm.generate import generate, read_inputs
from codeclm.planning.probing import first_rows, go_through, opened
from codeclm.progress import Progress
from codeclm.prompts.templates import PromptRead, read
from codeclm.raw_calls import raw_calls


async def encode(config: RunConfig, out: Path) -> tuple[EncodedSeed, ...]:
    """As the command does it."""
    found = await encoded(prepared(config, out), stop=StopSwitch(), progress=Progress(config.size))
    write_table(out, found)
    return found


def heard(simulator: Listening) -> list[PromptRead]:
    """The prompts that came over the wire since the last time, but for the handshakes."""
    texts = [body["messages"][-1]["content"] for body, _ in simulator.heard if body.get("messages")]
    simulator.heard.clear()
    return [prompt for text in texts if (prompt := read(text)) and prompt.name != "probe"]


def corrected(table: Path, numbers: set[int]) -> None:
    """A person's work, in a spreadsheet: these rows get another use case and a mark."""
    with table.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    for number in numbers:
        found[number] |= {"use_case": f"my case {number}", "skills": "tact;logic", "corrected": "x"}
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, found[0].keys(), delimiter=";")
        writer.writeheader()
        writer.writerows(found)


async def test_a_run_makes_none_of_these_calls_again(tmp_path: Path) -> None:
    async with Listening() as simulator:
        config = config_in(tmp_path, simulator.base_url, size=3, method={"pool": 0})
        found = await encode(config, tmp_path / "metadata.csv")
        assert [row.seed.id for row in found] == [f"seeds.jsonl:{n}" for n in range(1, 11)]
        assert Counter(prompt.name for prompt in heard(simulator)) == {"encode": 10}
        await encode(config, tmp_path / "metadata.csv")
        assert not heard(simulator)
        await generate(config)
        names = {prompt.name for prompt in heard(simulator)}
        assert "decode" in names
        assert "encode" not in names
        entries = {(row["use_case"], *row["skills"]) for row in rows(tmp_path / "run" / "metadata.jsonl")}
        assert entries == {(row.metadata.use_case, *row.metadata.skills) for row in found if row.metadata}
        await encode(config, tmp_path / "again.csv")
        assert not heard(simulator)


async def test_corrected_rows_are_shown_to_encode_and_a_resumed_run_asks_nothing(tmp_path: Path) -> None:
    async with Listening() as simulator:
        plain = config_in(tmp_path, simulator.base_url, size=3, method={"pool": 0})
        table = tmp_path / "metadata.csv"
        seeds = [row.seed.instruction for row in await encode(plain, table)]
        corrected(table, {0, 4})
        heard(simulator)
        values: dict[str, Any] = {"size": 3, "method": {"pool": 0}, "encode_examples": "metadata.csv"}
        config = config_in(tmp_path, simulator.base_url, **values)
        await generate(config)
        asked = [prompt for prompt in heard(simulator) if prompt.name.startswith("encode")]
        assert Counter(prompt.name for prompt in asked) == {"encode_like": 10}
        for prompt in asked:
            own = seeds.index(prompt.fields["instruction"])
            shown = prompt.fields["examples"]
            assert [n for n in range(10) if f"Use case: my case {n}\nSkills: tact, logic" in shown] == [
                n for n in (0, 4) if n != own
            ]
            assert shown.count("Use case: ") == len({0, 4} - {own}) <= MOST
        before = (tmp_path / "run" / "examples.jsonl").read_bytes()
        (tmp_path / "run" / "examples.jsonl").unlink()  # so that it has something to do
        await generate(config)
        assert not heard(simulator)
        assert (tmp_path / "run" / "examples.jsonl").read_bytes() == before
        # The calls behind an example are found again, the one with the corrected rows among them.
        example = next(row for row in rows(tmp_path / "run" / "examples.jsonl") if len(row["seed_ids"]) == 1)
        calls = await raw_calls(tmp_path / "run", example["id"])
        assert not calls.missing
        assert calls.calls[0].stage == "encode"
        assert "my case" in calls.calls[0].messages[0].content
        table.unlink()
        calls = await raw_calls(tmp_path / "run", example["id"])
        assert "The examples of encode can't be read" in calls.missing
        assert [call.stage for call in calls.calls][:1] == ["decode"]


async def test_a_probe_shows_them_too_and_the_run_pays_for_nothing_again(tmp_path: Path) -> None:
    async with Listening() as simulator:
        values: dict[str, Any] = {"size": 2, "method": {"pool": 0}}
        await encode(config_in(tmp_path, simulator.base_url, **values), tmp_path / "metadata.csv")
        corrected(tmp_path / "metadata.csv", {0, 4})
        config = config_in(tmp_path, simulator.base_url, **values, encode_examples="metadata.csv")
        inputs = read_inputs(config)
        heard(simulator)
        async with opened(config, inputs) as models:
            await go_through(first_rows(config, inputs, 3), models, config)
        probed = [prompt for prompt in heard(simulator) if prompt.name.startswith("encode")]
        assert [prompt.name for prompt in probed] == ["encode_like"] * 3
        await generate(config)
        assert sum(prompt.name == "encode_like" for prompt in heard(simulator)) == 7


async def test_a_table_of_a_config_with_examples_is_made_with_them(tmp_path: Path) -> None:
    async with Listening() as simulator:
        await encode(config_in(tmp_path, simulator.base_url), tmp_path / "metadata.csv")
        corrected(tmp_path / "metadata.csv", {0, 4})
        heard(simulator)
        taught = config_in(tmp_path, simulator.base_url, encode_examples="metadata.csv")
        await encode(taught, tmp_path / "taught.csv")
        assert Counter(prompt.name for prompt in heard(simulator)) == {"encode_like": 10}


async def test_another_table_makes_another_run(tmp_path: Path) -> None:
    async with Listening() as simulator:
        values: dict[str, Any] = {"size": 2, "method": {"pool": 0}}
        await encode(config_in(tmp_path, simulator.base_url, **values), tmp_path / "metadata.csv")
        config = config_in(tmp_path, simulator.base_url, **values, encode_examples="metadata.csv")
        await generate(config)
        corrected(tmp_path / "metadata.csv", {1})
        with pytest.raises(RunDirectoryError, match="or `encode_examples` names has changed"):
            await generate(config)
        with pytest.raises(RunDirectoryError, match="not the one this run began with"):
            await generate(config_in(tmp_path, simulator.base_url, **values))
        with pytest.raises(RunDirectoryError, match="not the one this run began with"):
            await encode(config, tmp_path / "other.csv")


def test_a_table_that_is_not_there_or_no_table_is_told(tmp_path: Path) -> None:
    config = config_in(tmp_path, "simulator", encode_examples="metadata.csv")
    with pytest.raises(InputError, match=r"metadata\.csv: there is no such file"):
        read_inputs(config)
    (tmp_path / "metadata.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="`codeclm encode` writes such a table"):
        read_inputs(config)


async def test_a_seed_that_cannot_be_encoded_is_an_empty_row(tmp_path: Path) -> None:
    async with Listening(spoils=0.3) as simulator:
        config = config_in(tmp_path, simulator.base_url, models={"strong": {"model": "strong", "reply_form": "text"}})
        found = await encode(config, tmp_path / "metadata.jsonl")
        failed = {row.seed.id for row in found if row.metadata is None}
        assert 0 < len(failed) < len(found) == 10
        assert {row.cause for row in found if row.metadata is None} == {"refused"}
        table = rows(tmp_path / "metadata.jsonl")
        assert {row["id"] for row in table if not row["use_case"] and not row["skills"]} == failed
        assert [row["instruction"] for row in table] == [row.seed.instruction for row in found]


async def test_where_no_seed_can_be_encoded_there_is_no_table(tmp_path: Path) -> None:
    async with Listening(spoils=1.0) as simulator:
        config = config_in(tmp_path, simulator.base_url, models={"strong": {"model": "strong", "reply_form": "text"}})
        with pytest.raises(RunFailed, match=r"None of the 10 seeds could be encoded: refused \(10\)"):
            await encode(config, tmp_path / "metadata.csv")
        assert not (tmp_path / "metadata.csv").exists()


async def test_a_table_that_a_person_may_have_corrected_is_not_written_over(tmp_path: Path) -> None:
    async with Listening() as simulator:
        config = config_in(tmp_path, simulator.base_url)
        table = tmp_path / "metadata.csv"
        await encode(config, table)
        corrected(table, {1})
        mine = table.read_bytes()
        with pytest.raises(InputError, match="is there already with other content"):
            await encode(config, table)
        assert table.read_bytes() == mine


def test_what_can_be_wrong_is_told_before_a_call(tmp_path: Path) -> None:
    config = config_in(tmp_path, "simulator")
    with pytest.raises(InputError, match="a file of the run's own"):
        prepared(config, tmp_path / "run" / "metadata.jsonl")
    with pytest.raises(InputError, match=r"ends in \.csv"):
        prepared(config, tmp_path / "metadata.txt")
    with pytest.raises(OutputError, match="there is no folder"):
        prepared(config, tmp_path / "nowhere" / "metadata.csv")
    (tmp_path / "m.jsonl").write_text('{"use_case": "a", "skills": ["b"]}\n')
    by_hand = config.model_copy(update={"seeds": None, "metadata": tmp_path / "m.jsonl"})
    with pytest.raises(ConfigError, match="metadata written by hand is not encoded"):
        prepared(by_hand, tmp_path / "metadata.csv")
