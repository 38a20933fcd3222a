"""Seeds and metadata: which part of a row is the instruction, ids, duplicates and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dataset.strategies import instructions

from codeclm.dataset.seeds import Seeds, read_metadata, read_seeds
from codeclm.errors import InputError
from codeclm.records import Metadata, Seed


def write(folder: Path, *rows: Any, name: str = "seeds.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def one(folder: Path, row: Any, field: str | None = None) -> str:
    (seed,) = read_seeds(write(folder, row), field=field).seeds
    return seed.instruction


def refusal(path: Path, field: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_seeds(path, field=field)
    return str(caught.value)


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("Hi", "Hi"),
        ({"instruction": " Hi "}, " Hi "),
        ({"instruction": "Hi", "input": "there"}, "Hi\n\nthere"),
        ({"instruction": "Hi", "input": " "}, "Hi"),
        ({"instruction": "Hi", "input": None}, "Hi"),
        (
            {"instruction": "Hi", "instances": [{"input": "there", "output": "no"}, {"input": "nor this"}]},
            "Hi\n\nthere",
        ),
        ({"instruction": "Hi", "input": "you", "instances": [{"input": "there"}]}, "Hi\n\nyou"),
        ({"instruction": "Hi", "instances": []}, "Hi"),
        ({"prompt": "Hi"}, "Hi"),
        ({"prompt": [USER]}, "Hi"),
        ({"messages": [{"role": "system", "content": "Be brief"}, USER, {"role": "user", "content": "more"}]}, "Hi"),
        ({"conversations": [{"from": "system", "value": "Be"}, {"from": "human", "value": "Hi"}]}, "Hi"),
        ({"conversations": [USER]}, "Hi"),
        ({"messages": [USER], "instruction": "no", "prompt": "no"}, "Hi"),
        ({"messages": None, "instruction": "Hi", "prompt": "no"}, "Hi"),
        ({"instruction": "Hi\x00\u2028\x85"}, "Hi\x00\u2028\x85"),
    ],
)
def test_the_instruction_is_found(tmp_path: Path, row: Any, expected: str) -> None:
    assert one(tmp_path, row) == expected


@pytest.mark.parametrize("value", ["Hi", [USER]])
def test_a_named_field_is_taken_alone(tmp_path: Path, value: Any) -> None:
    assert one(tmp_path, {"question": value, "instruction": "no", "input": "no"}, field="question") == "Hi"
    assert one(tmp_path, {"instruction": "Hi", "input": "no"}, field="instruction") == "Hi"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (3, "found the number 3, expected an object or a string"),
        (None, "found null"),
        (["Hi"], "found a list of 1"),
        ("  ", "the row is empty"),
        ({"text": "Hi", "n": None}, "no instruction; the fields with a value are: text\n"),
        ({}, "no instruction; the fields with a value are: none"),
        ({"instruction": ""}, "`instruction` is empty"),
        ({"instruction": "\x1c ", "input": "there"}, "`instruction` is empty"),
        ({"instruction": 3}, "`instruction` is the number 3, expected a text"),
        ({"instruction": "Hi", "input": ["a"]}, "`input` is a list of 1"),
        ({"instruction": {"text": "Hi"}}, "`instruction` is an object"),
        ({"prompt": True}, "`prompt` is true"),
        ({"messages": "Hi"}, "`messages` is the string 'Hi'"),
        ({"messages": []}, "`messages` has no user message among its 0"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "`messages` has no user message among its 1"),
        ({"messages": [{"role": "user", "content": None}]}, "the first user message in `messages` is null"),
        ({"messages": [{"role": "user", "content": " "}, USER]}, "`messages` is empty"),
        ({"messages": ["Hi"]}, "`messages` holds the string 'Hi'"),
    ],
)
def test_a_row_without_an_instruction_is_refused(tmp_path: Path, row: Any, said: str) -> None:
    message = refusal(write(tmp_path, "fine", row))
    assert "seeds.jsonl: 1 problem" in message
    assert f"line 2: {said}" in message
    assert "name the field with `seeds_field`" in message


def test_a_named_field_that_is_not_there_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, {"a": "x", "b": "y"}, {"question": None, "a": "z"}), field="question")
    assert "line 1: no `question`; the fields with a value are: a, b" in message
    assert "line 2: no `question`" in message


def test_ids_are_the_rows_own_where_unique_and_else_the_line(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "instruction": "a"},
        {"id": "x", "instruction": "b"},
        {"question_id": 7, "instruction": "c"},
        {"id": None, "question_id": "q", "instruction": "d"},
        {"id": True, "instruction": "e"},
        {"id": "seeds.jsonl:1", "instruction": "f"},
        {"id": "", "instruction": "g"},
        "h",
    ]
    ids = [seed.id for seed in read_seeds(write(tmp_path, *rows)).seeds]
    assert ids == ["seeds.jsonl:1", "seeds.jsonl:2", "7", "q", *(f"seeds.jsonl:{n}" for n in (5, 6, 7, 8))]


def test_exact_duplicates_are_merged_and_counted(tmp_path: Path) -> None:
    rows = [{"id": 1, "instruction": "a"}, {"id": 2, "instruction": "a "}, {"id": 1, "instruction": "a"}, "a"]
    assert read_seeds(write(tmp_path, *rows)) == Seeds((Seed("1", "a"), Seed("2", "a ")), duplicates=2)


def test_rows_of_an_array_are_numbered_by_row(tmp_path: Path) -> None:
    path = tmp_path / "seeds.json"
    path.write_text(json.dumps(["a", {"id": "own", "prompt": "b"}, {"prompt": "c"}]))
    assert [seed.id for seed in read_seeds(path).seeds] == ["seeds.json:1", "own", "seeds.json:3"]
    path.write_text(json.dumps(["a", 1]))
    assert "row 2: found the number 1" in refusal(path)


def test_parquet_of_messages(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"messages": [USER], "instruction": None}, {"messages": None, "instruction": "Ho"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "seeds.parquet")
    assert read_seeds(tmp_path / "seeds.parquet").seeds == (
        Seed("seeds.parquet:1", "Hi"),
        Seed("seeds.parquet:2", "Ho"),
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "input"]), inner),
    max_leaves=5,
)
names = st.sampled_from(["instruction", "input", "messages", "prompt", "conversations", "instances", "id", "x"])


@given(st.lists(st.dictionaries(names, values) | values, min_size=1))
def test_any_rows_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = write(tmp_path_factory.mktemp("seeds"), *rows)
    try:
        found = read_seeds(path)
    except InputError:
        return
    assert len(found.seeds) + found.duplicates == len(rows)
    assert len({seed.id for seed in found.seeds}) == len({seed.instruction for seed in found.seeds}) == len(found.seeds)
    assert all(seed.instruction.strip() for seed in found.seeds)


@given(st.lists(instructions, min_size=1, unique=True))
def test_texts_come_through_unchanged(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("seeds"), *({"instruction": text} for text in texts))
    assert [seed.instruction for seed in read_seeds(path).seeds] == texts


def test_metadata_is_read(tmp_path: Path) -> None:
    rows = [
        {"use_case": " writing ", "skills": ["tone", " tone", "brevity", ""]},
        {"use_case": "writing", "skills": "tone; brevity"},
        {"use_case": "maths", "skills": "proof,algebra", "note": 1},
    ]
    expected = (Metadata("writing", ("tone", "brevity")), Metadata("maths", ("proof", "algebra")))
    assert read_metadata(write(tmp_path, *rows), max_skills=2) == expected


def test_metadata_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text('use_case,skills\nwriting,"tone, brevity"\nmaths,proof\n')
    assert read_metadata(path, max_skills=3) == (
        Metadata("writing", ("tone", "brevity")),
        Metadata("maths", ("proof",)),
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("writing", "found the string 'writing', expected an object"),
        ({"skills": ["a"]}, "no `use_case`; the fields with a value are: skills"),
        ({"use_case": "a", "skill": "b"}, "no `skills`; the fields with a value are: use_case, skill"),
        ({"use_case": 1, "skills": ["a"]}, "`use_case` is the number 1"),
        ({"use_case": " ", "skills": ["a"]}, "`use_case` is empty"),
        ({"use_case": "a", "skills": [" "]}, "`skills` is empty"),
        ({"use_case": "a", "skills": "; ,"}, "`skills` is empty"),
        ({"use_case": "a", "skills": [1]}, "`skills` is a list of 1, expected a list of texts"),
        ({"use_case": "a", "skills": {"b": 1}}, "`skills` is an object"),
        ({"use_case": "a", "skills": "b,c,d"}, "3 skills, at most 2 are used"),
    ],
)
def test_bad_metadata_is_refused(tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_metadata(write(tmp_path, row, name="metadata.jsonl"), max_skills=2)
    assert f"line 1: {said}" in str(caught.value)
    assert "`skills`, a list of texts" in str(caught.value)


def test_metadata_is_never_plain_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'\.txt' names no format"):
        read_metadata(write(tmp_path, "a", name="metadata.txt"), max_skills=2)
