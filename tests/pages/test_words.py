"""Changes word by word: nothing is lost, and they read well."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.pages import words
from codeclm.pages.words import Change, changes

TEXTS = st.text(alphabet="ab \n.,日本ü", max_size=60)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_out_of_the_changes(before: str, after: str) -> None:
    found = changes(before, after)
    assert "".join(change.text for change in found if change.kind != "added") == before
    assert "".join(change.text for change in found if change.kind != "removed") == after
    assert all(change.text for change in found)


def test_words_are_changed_as_words() -> None:
    assert changes("Sort the list.", "Sort the long list.") == (
        Change("same", "Sort the "),
        Change("added", "long "),
        Change("same", "list."),
    )


def test_neighbouring_changes_are_told_as_one() -> None:
    found = changes("write a short poem", "write one brief poem")
    assert [change.kind for change in found] == ["same", "removed", "added", "same"]
    assert found[1].text == "a short"


def test_scripts_without_spaces_are_compared_by_characters() -> None:
    assert [change.text for change in changes("日本語", "日本の語")] == ["日本", "の", "語"]


def test_very_long_texts_are_told_apart_as_wholes() -> None:
    before, after = "a " * 3_000, "a " * 3_000 + "b"
    assert changes(before, after) == (Change("removed", before), Change("added", after))
    assert changes(before, before) == (Change("same", before),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (" ".join(f"a{number}" for number in range(999)), " ".join(f"b{number}" for number in range(999))),
        (" ".join(["a"] * 999), ".".join(["a"] * 999)),
        ("!?" * 999, "?!!" * 666),
        ("!" * 1999, "?".join(["!"] * 1000)),
    ],
)
def test_texts_that_compare_badly_take_no_longer_than_others(before: str, after: str) -> None:
    # Each took more than a minute, while the studio answered nobody.
    began = time.process_time()
    found = changes(before, after)
    assert time.process_time() - began < 10
    assert "".join(change.text for change in found if change.kind != "added") == before
    assert "".join(change.text for change in found if change.kind != "removed") == after


def test_one_word_is_found_in_a_long_text() -> None:
    pieces = [f"{('the', 'of', 'a', 'list')[number % 4]} {number * 31 % 211}" for number in range(400)]
    before, after = " ".join(pieces), " ".join([*pieces[:200], "new", *pieces[200:]])
    assert [change.text.strip() for change in changes(before, after) if change.kind != "same"] == ["new"]


@given(TEXTS, TEXTS)
def test_the_quick_comparison_loses_nothing_either(before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "_MOST_STEPS", 0)
        test_both_texts_can_be_read_out_of_the_changes.hypothesis.inner_test(before, after)  # type: ignore[attr-defined]
        assert len(changes(before, before)) <= 1
