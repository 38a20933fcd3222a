"""Selection: what repeats is dropped with the reason, in slot order, until there are enough."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.records import Answer, Comparison, Entry, Instruction, Iteration, Metadata, Outcome, Seed
from codeclm.select import Selector

ENTRY = Entry("m000000", Metadata("a", ("b",)))
WORDS = [f"w{n}" for n in range(500)]


def kept(name: str, text: str) -> Outcome:
    decided = Iteration(Instruction(text), Answer("s"), Answer("t"), Comparison((9, 1), (9, 1)))
    return Outcome(name, "kept", ENTRY, text, (decided,))


def select(texts: list[str], *, size: int = 100, near: float = 0.7, seeds: tuple[str, ...] = ()) -> list[Outcome]:
    with Selector(size=size, near_duplicates=near) as selector:
        selector.know(Seed(f"s{n}", text) for n, text in enumerate(seeds))
        return [selector.select(kept(str(n), text)) for n, text in enumerate(texts)]


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status for outcome in outcomes]


def words(count: int, seed: int) -> list[str]:
    return random.Random(seed).sample(WORDS, count)


def test_the_first_of_equals_stays_and_the_others_name_it() -> None:
    found = select(["Write a poem about rain.", "write a POEM about rain", "Write a poem about snow, please, today."])
    assert statuses(found) == ["kept", "duplicate", "kept"]
    assert found[1].reason == "equal to example 0"


def test_an_instruction_equal_to_a_seed_is_dropped() -> None:
    [found] = select(["Why is the sky blue?"], seeds=("Why is the sky blue?",))
    assert (found.status, found.reason) == ("duplicate", "equal to seed s0")


def test_nearly_equal_ones_are_dropped_with_how_near_they_are() -> None:
    base = words(60, 1)
    nearly = [*base[:59], "other"]
    found = select([" ".join(base), " ".join(nearly)])
    assert statuses(found) == ["kept", "duplicate"]
    assert found[1].reason.endswith("similar to example 0")
    assert statuses(select([" ".join(base), " ".join(nearly)], near=1)) == ["kept", "kept"]


def test_texts_that_share_half_their_words_both_stay() -> None:
    base = words(60, 1)
    assert statuses(select([" ".join(base), " ".join(base[:30] + words(30, 2))])) == ["kept", "kept"]


def test_what_comes_after_the_size_is_surplus() -> None:
    found = select([" ".join(words(20, n)) for n in range(5)], size=3)
    assert statuses(found) == ["kept"] * 3 + ["surplus"] * 2


def test_a_duplicate_takes_no_place() -> None:
    texts = ["one two three four", "one two three four", "five six seven eight"]
    assert statuses(select(texts, size=2)) == ["kept", "duplicate", "kept"]


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("請寫一首關於秋天的詩", "請寫一首關於秋天的詩。", "duplicate"),
        ("請寫一首關於秋天的詩", "解釋量子力學的基本原理", "kept"),
        ("!!!", "???", "kept"),
        ("", "", "duplicate"),
        ("Sort: 1", "Sort: 2", "kept"),
    ],
)
def test_scripts_without_spaces_and_texts_without_words(first: str, second: str, status: str) -> None:
    assert select([first, second])[1].status == status


def test_what_is_not_kept_passes_through_unseen() -> None:
    with Selector(size=10, near_duplicates=0.7) as selector:
        discarded = Outcome("1", "discarded", ENTRY, "Why?", kept("1", "Why?").iterations)
        assert selector.select(discarded) is discarded
        assert selector.select(kept("2", "Why?")).status == "kept"


@given(st.lists(st.text(max_size=60), max_size=12))
def test_selecting_is_deterministic_and_what_stays_selects_to_itself(texts: list[str]) -> None:
    found = select(texts)
    assert found == select(texts)
    stayed = [outcome.final.instruction.text for outcome in found if outcome.status == "kept"]
    assert set(statuses(select(stayed))) <= {"kept"}


@pytest.mark.parametrize("near", [0.5, 0.7, 0.9])
def test_nearly_all_pairs_well_above_the_similarity_are_found_and_hardly_any_well_below(near: float) -> None:
    above = below = 0
    for n in range(100):
        base = words(100, n)
        # k words replaced at the end leave (98 - k) of 98 + k shingles in common
        replaced = {"above": 0, "below": 0}
        while (98 - replaced["above"] - 1) / (98 + replaced["above"] + 1) > near + 0.08:
            replaced["above"] += 1
        while (98 - replaced["below"]) / (98 + replaced["below"]) > near - 0.2:
            replaced["below"] += 1
        fresh = [f"x{i}" for i in range(100)]
        texts = {side: " ".join(base[: 100 - k] + fresh[:k]) for side, k in replaced.items()}
        above += select([" ".join(base), texts["above"]], near=near)[1].status == "duplicate"
        below += select([" ".join(base), texts["below"]], near=near)[1].status == "duplicate"
    assert above >= 85
    assert below <= 5


def test_a_new_text_costs_one_statement_however_many_came_before() -> None:
    done: list[str] = []
    with Selector(size=2000, near_duplicates=0.7) as selector:
        for number in range(500):
            assert not selector.repeats(str(number), " ".join(words(30, number)))
        selector._db.set_trace_callback(done.append)
        for number in range(500, 600):
            assert not selector.repeats(str(number), " ".join(words(30, number)))
        selector._db.set_trace_callback(None)
    assert len(done) == 100
    assert all(statement.startswith("INSERT INTO texts") for statement in done)
