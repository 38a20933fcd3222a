"""The index of bands: every text under its key, however many there are, in tables that are added and never moved."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm import bands
from codeclm.bands import Bands
from codeclm.records import Seed
from codeclm.select import Selector


def key_of(value: int) -> int:
    """A key as the selector makes them."""
    return hash((0, (value,))) & 2**64 - 1


@given(st.lists(st.integers(0, 20).map(key_of), max_size=60))
def test_each_key_has_its_texts_in_the_order_they_came(keys: list[int]) -> None:
    index = Bands(0)
    for text, key in enumerate(keys, start=1):
        index.add(key, text)
    for key in keys:
        assert index.find(key) == [text for text, other in enumerate(keys, start=1) if other == key]


def test_more_than_was_expected_goes_into_further_tables_and_is_found() -> None:
    draws = random.Random(1)
    keys = [draws.getrandbits(64) for _ in range(10_000)]
    index = Bands(10)
    for text, key in enumerate(keys, start=1):
        index.add(key, text)
    assert len(index._tables) == 2  # some 4,096 slots, three quarters of which are used, and four times as many
    assert all(index.find(key) == [text] for text, key in enumerate(keys, start=1))
    assert not any(index.find(draws.getrandbits(64)) for _ in range(1000))


def test_what_is_expected_fits_into_one_table_and_a_large_run_does_not_begin_with_gigabytes() -> None:
    index = Bands(50_000)
    for text in range(1, 50_001):
        index.add(hash((text, "")) & 2**64 - 1, text)
    assert len(index._tables) == 1
    assert bands._MOST * 8 <= 2**29


def test_equal_keys_do_not_make_others_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Bands(4000)
    much_used = key_of(7)
    for text in range(1, 501):
        index.add(much_used, text)

    class Counted:
        looks = 0

        def __init__(self, table: memoryview) -> None:
            self.table = table

        def __len__(self) -> int:
            return len(self.table)

        def __getitem__(self, slot: int) -> int:
            Counted.looks += 1
            return int(self.table[slot])

    tables = index._tables
    monkeypatch.setattr(index, "_tables", [Counted(table) for table in tables])
    for after in range(500):  # begin at the slots right after its own, which going from slot to slot would have filled
        assert index.find((key_of(1000 + after) >> 32 << 32) | (much_used + 1 + after) % 2**32) == []
    assert Counted.looks < 1000
    monkeypatch.setattr(index, "_tables", tables)


def test_room_for_more_is_made_at_the_beginning_and_a_large_table_is_not_followed_by_one_four_times_its_size() -> None:
    index = Bands(10_000)
    index.expect(20_000)
    for text in range(1, 30_001):
        index.add(key_of(text), text)
    assert len(index._tables) == 1
    index.expect(1000)  # too late: what is in it stays
    assert index.find(key_of(1)) == [1]


def test_a_run_whose_seeds_come_beside_its_examples_needs_one_table() -> None:
    with Selector(size=3000, near_duplicates=0.7) as selector:
        selector.know(Seed(str(number), f"{number} {number + 1} {number + 2} {number * 7}") for number in range(3000))
        for number in range(3000):
            selector.repeats(str(number), f"a{number} b{number} c{number} d{number}")
        assert len(selector._bands._tables) == 1


def test_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_LITTLE", 20_000)
    index = Bands(0)
    for text in range(1, 60_001):
        index.add(key_of(text), text)
    sizes = [len(table) for table in index._tables]
    assert [round(size / sizes[0]) for size in sizes] == [1, 4, 5, 10]
    assert all(index.find(key_of(text)) == [text] for text in range(1, 60_001, 97))
