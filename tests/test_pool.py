"""The metadata pool: from seeds to entries, and mixed and matched up to its size."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.running import BUNDLED_SEEDS, rows
from tests.world_client import WorldClient

from codeclm.config import MethodConfig
from codeclm.errors import AuthFailed, RateLimited
from codeclm.pool import Known, Pool, drawn_place, encode_seeds, mix
from codeclm.records import Completion, Entry, Metadata, Outcome, Request, Seed

SEEDS = [Seed(f"s{n}", row["instruction"]) for n, row in enumerate(rows(BUNDLED_SEEDS))]


def settings(**values: int) -> MethodConfig:
    return MethodConfig.model_validate(values)


async def encoded(seeds: Sequence[Seed], strong: WorldClient) -> tuple[Known, list[Outcome]]:
    known, failed = Known(), []
    async for seed, result in encode_seeds(seeds, strong=strong, settings=settings(), window=8):
        if isinstance(result, Metadata):
            known.add(result, seed)
        else:
            failed.append(result)
    return known, failed


async def test_each_seed_becomes_metadata_of_at_most_three_skills_and_equal_ones_share_an_entry() -> None:
    known, failed = await encoded([*SEEDS, Seed("again", SEEDS[0].instruction)], WorldClient())
    entries = known.entries()
    assert not failed
    assert [entry.id for entry in entries] == [f"m{n:06d}" for n in range(len(entries))]
    assert all(1 <= len(entry.metadata.skills) <= 3 for entry in entries)
    assert sorted(seed for entry in entries for seed in entry.seed_ids) == sorted([*(s.id for s in SEEDS), "again"])
    [shared] = [entry for entry in entries if "again" in entry.seed_ids]
    assert "s0" in shared.seed_ids


async def test_a_seed_that_cannot_be_encoded_is_a_failure_with_its_text() -> None:
    def twist(request: Request, completion: Completion) -> Completion:
        return replace(completion, text="") if SEEDS[1].instruction in request.messages[0].content else completion

    known, [failed] = await encoded(SEEDS, WorldClient(twist=twist))
    assert (failed.basic, failed.entry.seed_ids) == (SEEDS[1].instruction, ("s1",))
    assert failed.failure is not None
    assert (failed.failure.stage, failed.failure.cause, failed.failure.attempts) == ("encode", "empty", 3)
    assert not any("s1" in entry.seed_ids for entry in known.entries())


async def test_a_refused_key_stops_the_encoding() -> None:
    def twist(request: Request, completion: Completion) -> Completion:
        raise AuthFailed("HTTP 401")

    with pytest.raises(AuthFailed):
        await encoded(SEEDS, WorldClient(twist=twist))


async def test_mixing_fills_the_pool_with_new_reasonable_pairs_of_what_is_known() -> None:
    known, _ = await encoded(SEEDS, WorldClient())
    strong = WorldClient()
    pool = await mix(known, strong=strong, settings=settings(pool=60), seed=0)
    assert len(pool.entries) == 60
    assert pool.entries[: len(known.entries())] == known.entries()
    assert strong.asked("reasonable") == 60 - len(known.entries()) + len(pool.turned_away)
    use_cases = {entry.metadata.use_case for entry in known.entries()}
    skills = {skill for entry in known.entries() for skill in entry.metadata.skills}
    for entry in pool.entries:
        assert entry.metadata.use_case in use_cases
        assert set(entry.metadata.skills) <= skills
    named = {(entry.metadata.use_case, frozenset(entry.metadata.skills)) for entry in pool.entries}
    assert len(named) == 60


async def test_the_pool_depends_on_the_seed_alone() -> None:
    known, _ = await encoded(SEEDS, WorldClient())
    first, again, other = [
        await mix(known, strong=WorldClient(), settings=settings(pool=50), seed=seed) for seed in (0, 0, 1)
    ]
    assert first == again != other


@pytest.mark.parametrize("size", [0, 5])
async def test_no_entry_of_a_seed_is_dropped_for_a_small_pool(size: int) -> None:
    known, _ = await encoded(SEEDS, WorldClient())
    strong = WorldClient()
    pool = await mix(known, strong=strong, settings=settings(pool=size), seed=0)
    assert pool.entries == known.entries()
    assert not strong.requests


async def test_no_more_pairs_are_asked_about_at_once_than_the_window() -> None:
    class Slow(WorldClient):
        asking = most = 0

        async def complete(self, request: Request) -> Completion:
            self.asking += 1
            self.most = max(self.most, self.asking)
            for _ in range(5):
                await asyncio.sleep(0)
            self.asking -= 1
            return await super().complete(request)

    known, _ = await encoded(SEEDS, WorldClient())
    slow = Slow()
    pool = await mix(known, strong=slow, settings=settings(pool=400), seed=0, window=16)
    assert slow.most == 16
    assert pool == await mix(known, strong=WorldClient(), settings=settings(pool=400), seed=0)


async def test_mixing_ends_where_there_are_no_more_pairs() -> None:
    known = Known()
    known.add(Metadata("a", ("x",)))
    known.add(Metadata("b", ("x",)))
    assert len((await mix(known, strong=WorldClient(), settings=settings(pool=50), seed=0)).entries) == 2


async def test_mixing_gives_up_on_a_model_that_finds_nothing_reasonable_and_records_what_it_turned_away() -> None:
    known, _ = await encoded(SEEDS, WorldClient())
    missing = 30 - len(known.entries())
    never = WorldClient(twist=lambda _, completion: replace(completion, text='{"reasonable": false}'))
    pool = await mix(known, strong=never, settings=settings(pool=30), seed=0)
    assert pool.entries == known.entries()
    assert len(pool.turned_away) == 5 * missing


async def test_a_pair_without_a_verdict_is_a_failure() -> None:
    known, _ = await encoded(SEEDS, WorldClient())
    silent = WorldClient(twist=lambda _, completion: replace(completion, text="maybe"))
    pool = await mix(known, strong=silent, settings=settings(pool=21), seed=0)
    assert pool.failures
    assert {outcome.failure.stage for outcome in pool.failures if outcome.failure} == {"mix_and_match"}


@given(st.integers(1, 40), st.integers(0, 5))
def test_every_entry_gets_an_equal_share_of_the_slots(count: int, seed: int) -> None:
    pool = Pool(tuple(Entry(f"m{n:06d}", Metadata(str(n), ("x",))) for n in range(count)))
    slot = pool.slots(seed)
    for chunk in range(3):
        turn = [slot(chunk * count + n) for n in range(count)]
        assert {one.entry for one in turn} == set(pool.entries)
        assert {one.chunk for one in turn} == {chunk}
    assert [slot(n).entry for n in range(count)] == [slot(count + n).entry for n in range(count)]


@pytest.mark.parametrize("stage", ["encode", "reasonable"])
async def test_a_passing_fault_ends_the_run_rather_than_leave_a_pool_that_the_next_run_would_change(stage: str) -> None:
    def twist(request: Request, completion: Completion) -> Completion:
        if request.stage == stage:
            raise RateLimited("HTTP 429")
        return completion

    async def pool() -> None:
        known, _ = await encoded(SEEDS, WorldClient(twist=twist))
        await mix(known, strong=WorldClient(twist=twist), settings=settings(pool=30), seed=0)

    with pytest.raises(RateLimited):
        await pool()


async def test_an_entrys_place_and_name_hang_on_its_first_seed_alone() -> None:
    few, _ = await encoded(SEEDS[:5], WorldClient())
    more, _ = await encoded(
        [Seed(f"renamed.jsonl:{n}", seed.instruction) for n, seed in enumerate(SEEDS)], WorldClient()
    )
    first = {entry.metadata: entry.name for entry in few.entries()}
    assert first.items() <= {entry.metadata: entry.name for entry in more.entries()}.items()
    assert set(first.values()) <= {seed.name for seed in SEEDS[:5]}
    names = [entry.name for entry in few.entries()]

    def order(known: Known) -> list[str]:
        slot = Pool(known.entries()).slots(7)
        return [slot(n).entry.name for n in range(len(known.entries()))]

    assert order(few) == [name for name in order(more) if name in names]
    assert order(few) == sorted(names, key=lambda name: drawn_place(name, 7))


def test_another_seed_draws_another_order() -> None:
    pool = Pool(tuple(Entry(f"m{n:06d}", Metadata(str(n), ("x",))) for n in range(30)))
    assert [pool.slots(0)(n).entry for n in range(30)] != [pool.slots(1)(n).entry for n in range(30)]


@given(st.integers(1, 40), st.integers(0, 100), st.integers(0, 100))
def test_a_run_that_skips_slots_goes_on_where_another_ended(count: int, skip: int, number: int) -> None:
    pool = Pool(tuple(Entry(f"m{n:06d}", Metadata(str(n), ("x",))) for n in range(count)))
    assert pool.slots(3, skip=skip)(number) == pool.slots(3)(skip + number)
