"""Which rows of a corrected table become examples, and what is said of a table that can't be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codeclm.config import MethodConfig
from codeclm.config_files import from_mapping
from codeclm.dataset.encode_examples import MOST, encode_examples, read_encode_examples
from codeclm.errors import ConfigError, InputError
from codeclm.prompts.own_templates import write_templates


def row(number: int, **values: Any) -> dict[str, Any]:
    return {"id": f"s{number}", "instruction": f"Do {number}.", "use_case": f"case {number}", "skills": ["x"], **values}


def table(folder: Path, *rows: object) -> Path:
    path = folder / "table.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def numbers(path: Path, seed: int = 0, **settings: Any) -> set[int]:
    found = read_encode_examples(path, MethodConfig.model_validate(settings), seed)
    return {int(example.instruction.removeprefix("Do ").removesuffix(".")) for example in found}


@pytest.mark.parametrize("mark", [True, "x", "yes", " 1 ", 1])
@pytest.mark.parametrize("not_marked", [False, "", " ", "no", "No ", "0", "false", 0, None])
def test_marked_rows_alone_are_taken(tmp_path: Path, mark: object, not_marked: object) -> None:
    unusable = row(3, skills=[], corrected=not_marked)
    path = table(tmp_path, row(1, corrected=not_marked), row(2, corrected=mark), unusable, row(4))
    assert numbers(path) == {2}


def test_all_with_metadata_are_taken_where_none_is_marked(tmp_path: Path) -> None:
    assert numbers(table(tmp_path, row(1), row(2, use_case="", skills=[]), row(3, corrected=""))) == {1, 3}


def test_they_are_drawn_by_the_seed_and_not_by_their_order(tmp_path: Path) -> None:
    rows = [row(number) for number in range(60)]
    drawn = read_encode_examples(table(tmp_path, *rows), MethodConfig(), 1)
    assert len(drawn) == MOST + 1
    assert read_encode_examples(table(tmp_path, *reversed(rows)), MethodConfig(), 1) == drawn
    assert numbers(table(tmp_path, *rows), seed=2) != numbers(table(tmp_path, *rows), seed=1)


def test_a_spreadsheet_may_save_it_with_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("\ufeffid;instruction;use_case;skills;corrected\r\ns1;'=Do 1.;case 1;x, y;x\r\n", encoding="utf-8")
    [example] = read_encode_examples(path, MethodConfig(), 0)
    assert (example.instruction, example.metadata.skills) == ("=Do 1.", ("x", "y"))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(1, corrected=True, skills=[])], r"line 1: `skills` is empty"),
        ([row(1, use_case="")], r"line 1: `use_case` is empty"),
        ([row(1, instruction=" ")], r"line 1: `instruction` is the string ' ', expected a text"),
        ([row(1), {"use_case": "a", "skills": "b"}], r"line 2: `instruction` is null"),
        ([row(1, skills=["a", "b", "c", "d"])], r"4 skills, at most 3 are used"),
        ([row(1), ["a list"]], r"line 2: found a list of 1, expected an object"),
        ([row(1), row(1, skills=["other"])], r"rows at 1 and 2 have the same instruction with other metadata"),
        ([row(1, use_case="", skills=[])], r"no row has metadata"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, rows: list[object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        numbers(table(tmp_path, *rows))


def test_equal_rows_are_one_example(tmp_path: Path) -> None:
    assert len(read_encode_examples(table(tmp_path, row(1), row(1)), MethodConfig(), 0)) == 1


def test_metadata_is_within_the_users_lists(tmp_path: Path) -> None:
    path = table(tmp_path, row(1))
    assert numbers(path, use_cases=["Case 1"], skills=["X"]) == {1}
    with pytest.raises(InputError, match=r"`use_case` has the string 'case 1', which is none of `method\.use_cases`"):
        numbers(path, use_cases=["case 2"])
    with pytest.raises(InputError, match=r"`skills` has the string 'x', which is none of `method\.skills`"):
        numbers(path, skills=["y"])


def config_in(folder: Path, **values: Any) -> Any:
    model = {"model": "m", "base_url": "simulator"}
    given = {"seeds": "seeds.jsonl", "run_dir": "run", "models": {"strong": model, "target": model}}
    return from_mapping(given | values, folder=folder)


def test_without_the_key_there_are_none(tmp_path: Path) -> None:
    assert encode_examples(config_in(tmp_path)) == ()


def test_a_template_of_ones_own_without_a_place_for_examples_is_refused(tmp_path: Path) -> None:
    table(tmp_path, row(1))
    write_templates(tmp_path / "mine", ["encode"])
    assert encode_examples(config_in(tmp_path, prompts="mine")) == ()
    taught = config_in(tmp_path, prompts="mine", encode_examples="table.jsonl")
    with pytest.raises(ConfigError, match=r"`encode_examples`: your own prompt encode\.txt .* encode_like\.txt"):
        encode_examples(taught)
    write_templates(tmp_path / "mine", ["encode_like"])
    assert len(encode_examples(taught)) == 1


def test_metadata_written_by_hand_is_not_encoded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`metadata` written by hand is not encoded"):
        config_in(tmp_path, seeds=None, metadata="m.jsonl", encode_examples="table.jsonl")
