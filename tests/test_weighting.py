"""Weighted entries: turns as the weights say, in a sequence that nothing but weights and seed decide."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.config import MethodConfig, RunConfig
from codeclm.errors import ConfigError
from codeclm.generate import generate
from codeclm.pool import Known, Pool
from codeclm.records import Entry, Metadata, Seed
from codeclm.weighting import LEAST, check_weights, weighted_turns, weights_of

BY_SEEDS = MethodConfig(entry_weights="seeds")

weights = st.lists(st.floats(0.05, 20), min_size=1, max_size=30)


@given(weights, st.integers(1, 400), st.randoms(use_true_random=False))
def test_every_entry_has_its_share_of_the_turns_at_any_time(
    given: list[float], turns: int, draws: random.Random
) -> None:
    phases = [draws.random() for _ in given]
    turn = weighted_turns(given, phases)
    had: Counter[int] = Counter()
    for number in range(turns):
        place, before = turn(number)
        assert before == had[place]
        had[place] += 1
    total = sum(given)
    for place, weight in enumerate(given):
        assert abs(had[place] - turns * weight / total) <= 1 + len(given) * weight / total + 1e-6
    assert turn(turns - 1) == weighted_turns(given, phases)(turns - 1)


def _pool(*rows: tuple[str, tuple[str, ...], int], mixed: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Pool:
    known, number = Known(), 0
    for use_case, skills, seeds in rows:
        for _ in range(seeds):
            known.add(Metadata(use_case, skills), Seed(f"s{number}", f"seed {number}"))
            number += 1
    further = [Entry(f"x{place}", Metadata(*each)) for place, each in enumerate(mixed)]
    return Pool((*known.entries(), *further), len(further))


def test_a_weight_is_how_often_the_seeds_ask_for_its_use_case_and_skills() -> None:
    pool = _pool(("recipes", ("timing",), 6), ("letters", ("tone",), 3), mixed=(("Recipes", ("Tone",)),))
    found = weights_of(pool.entries, pool.mixed, BY_SEEDS)
    assert found is not None
    assert found == pytest.approx([1.0, 9 / 36, 18 / 36])


@pytest.mark.parametrize(("temperature", "expected"), [(0.5, 1 / 16), (1.0, 1 / 4), (2.0, 1 / 2), (100.0, 0.986)])
def test_the_temperature_evens_weights_out(temperature: float, expected: float) -> None:
    pool = _pool(("recipes", ("timing",), 6), ("letters", ("tone",), 3))
    settings = BY_SEEDS.model_copy(update={"weights_temperature": temperature})
    found = weights_of(pool.entries, pool.mixed, settings)
    assert found is not None
    assert found == pytest.approx([1.0, max(expected, LEAST * (1 + expected) / 2)], abs=1e-3)


def test_what_is_rare_stays() -> None:
    pool = _pool(("recipes", ("timing",), 900), ("letters", ("tone",), 1))
    found = weights_of(pool.entries, pool.mixed, BY_SEEDS)
    assert found is not None
    assert found[1] == pytest.approx(LEAST / 2, rel=0.01)
    slot = pool.slots(0, settings=BY_SEEDS)
    assert 3 <= sum(slot(number).entry.metadata.use_case == "letters" for number in range(100)) <= 6


def test_without_weights_the_turns_are_those_there_always_were() -> None:
    pool = _pool(("recipes", ("timing",), 6), ("letters", ("tone",), 3))
    assert weights_of(pool.entries, pool.mixed, MethodConfig()) is None
    slot = pool.slots(5)
    assert [slot(number).chunk for number in range(6)] == [0, 0, 1, 1, 2, 2]
    assert all(one.entry != other.entry for one, other in pairwise(map(slot, range(6))))


def test_weighted_slots_are_the_same_whatever_comes_before_or_is_left_out() -> None:
    pool = _pool(("recipes", ("timing",), 6), ("letters", ("tone",), 3))
    whole = [pool.slots(1, settings=BY_SEEDS)(number) for number in range(40)]
    assert [pool.slots(1, settings=BY_SEEDS, skip=7)(number) for number in range(33)] == whole[7:]
    assert [slot.index for slot in whole] == list(range(40))
    assert whole != [pool.slots(2, settings=BY_SEEDS)(number) for number in range(40)]


def test_methods_without_metadata_refuse_weights() -> None:
    with pytest.raises(ConfigError, match=r"entry_weights: seeds.*wizardlm starts from general seeds"):
        check_weights(MethodConfig(name="wizardlm", entry_weights="seeds"), "general seeds")
    check_weights(BY_SEEDS, "metadata")
    check_weights(MethodConfig(name="wizardlm"), "general seeds")


def test_a_run_follows_what_the_seeds_ask_for(tmp_path: Path) -> None:
    """Most seeds ask for a poem: so do most examples, and not where entries have equal turns."""
    subjects = ("rain", "a dog", "the sea", "old cars", "winter", "bread", "my aunt", "chess", "trains")
    asked = [f"Write a poem about {subject}." for subject in subjects] + ["Summarise this report on tax law."]
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text("".join(json.dumps({"instruction": text}) + "\n" for text in asked), encoding="utf-8")

    def shares(name: str, **method: object) -> Counter[str]:
        models = {role: {"model": role, "base_url": "simulator"} for role in ("strong", "target")}
        values = {"seeds": seeds, "size": 60, "run_dir": tmp_path / name, "models": models}
        method |= {"name": "metadata-only", "pool": 0, "instructions_per_entry": 2}
        asyncio.run(generate(RunConfig.model_validate({**values, "method": method})))
        rows = (tmp_path / name / "examples.jsonl").read_text(encoding="utf-8").splitlines()
        return Counter(json.loads(row)["use_case"] for row in rows)

    equal, followed = shares("equal"), shares("followed", entry_weights="seeds")
    most, _ = followed.most_common(1)[0]
    assert followed[most] > equal[most]
    assert len(followed) == len(equal) > 1
