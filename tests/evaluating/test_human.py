from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclm.errors import InputError
from codeclm.evaluating.human import (
    COLUMNS,
    Rating,
    Shown,
    as_csv,
    as_values,
    majority,
    read_ratings,
    read_set,
    write_set,
)

SHOWN = [
    Shown("1", "Say hi.", "ours 1", "theirs 1", "chat", "win"),
    Shown("2", "=1+1", "@ours 2", "-theirs 2", "math", "tie"),
    Shown("3", "Sing.\nNow.", "ours, 3", 'theirs "3"', "chat", "loss"),
    Shown("4", "Count.", "ours 4", "theirs 4", "math", "invalid"),
]


def made(folder: Path, shown: list[Shown] = SHOWN) -> tuple[Path, Path, Path]:
    csv_file, rows, key = write_set(folder / "set.csv", shown, candidate="ours", reference="theirs", rule="strict")
    return csv_file, rows, key


def fill(path: Path, to: Path, wanted: dict[str, str], rater: str = "") -> Path:
    """A rater who prefers ``ours`` or ``theirs`` or writes something else into the preference."""
    rows = read_set(path)
    for row in rows:
        wish = wanted.get(row["item"], "")
        if wish in ("ours", "theirs"):
            wish = "a" if wish in row["answer_a"] else "b"
        row["preference"], row["rater"] = wish, rater
    if to.suffix == ".csv":
        to.write_bytes(as_csv(rows))
    else:
        to.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return to


def test_both_files_hold_the_texts_and_nothing_to_tell_by(tmp_path: Path) -> None:
    csv_file, rows, key = made(tmp_path)
    assert (csv_file.name, rows.name, key.name) == ("set.csv", "set.jsonl", "set.key.json")
    assert read_set(csv_file) == read_set(rows)
    for row in read_set(csv_file):
        one = next(one for one in SHOWN if one.item == row["item"])
        assert {row["answer_a"], row["answer_b"]} == {one.candidate, one.reference}
        assert (row["instruction"], row["preference"], row["rater"], row["notes"]) == (one.instruction, "", "", "")
        assert set(row) == set(COLUMNS)


def test_the_set_is_the_same_every_time_and_work_is_never_overwritten(tmp_path: Path) -> None:
    files = made(tmp_path)
    before = [path.read_bytes() for path in files]
    assert made(tmp_path) == files
    assert [path.read_bytes() for path in files] == before
    fill(files[0], files[0], {"1": "ours"})
    filled = files[0].read_bytes()
    with pytest.raises(InputError, match="filled in"):
        made(tmp_path)
    assert files[0].read_bytes() == filled
    with pytest.raises(InputError, match="twice"):
        made(tmp_path / "other", [SHOWN[0], SHOWN[0]])


def test_places_and_order_are_mixed(tmp_path: Path) -> None:
    shown = [Shown(str(number), "?", f"ours {number}", f"theirs {number}") for number in range(400)]
    rows = read_set(made(tmp_path, shown)[0])
    ahead = sum("ours" in row["answer_a"] for row in rows)
    assert 160 <= ahead <= 240
    assert [row["item"] for row in rows] != [one.item for one in shown]
    # The order of the rows does not tell the place either.
    assert 80 <= sum("ours" in row["answer_a"] for row in rows[:200]) <= 120


def test_results_and_agreement(tmp_path: Path) -> None:
    csv_file, rows, _ = made(tmp_path)
    ann = fill(csv_file, tmp_path / "ann.csv", {"1": "ours", "2": "tie", "3": "theirs", "4": "ours"})
    ben = fill(rows, tmp_path / "ben.jsonl", {"1": "ours", "2": " TIE ", "3": "ours"}, rater="Ben")
    cat = fill(rows, tmp_path / "cat.jsonl", {"1": "ours", "2": "theirs", "3": "theirs"}, rater="Cat")
    found = as_values(read_ratings([ann, ben, cat]))
    assert (found["wins"], found["ties"], found["losses"], found["crr"]) == (2, 1, 1, 0.75)
    assert (found["raters"], found["ratings"], found["empty"], found["refused"]) == (3, 10, 2, [])
    assert found["by_category"]["math"] == {"wins": 1, "ties": 1, "losses": 0, "invalid": 0, "crr": 1.0}
    # Two of three alike for Ann and Ben, two for Ann and Cat, one for Ben and Cat.
    assert found["agreement"]["raw"] == pytest.approx(5 / 9, abs=1e-6)
    # Units w w w, t t l, l w l: observed 4/9 of pairs differ, by chance 52/72.
    assert found["agreement"]["alpha"] == pytest.approx(1 - (4 / 9) / (52 / 72), abs=1e-6)
    assert found["judge"] == {"rule": "strict", "items": 3, "raw": 1.0, "kappa": 1.0, "alpha": 1.0}
    json.dumps(found, allow_nan=False)


def test_one_rater_agrees_with_nobody_and_the_judge_is_compared(tmp_path: Path) -> None:
    csv_file, _, _ = made(tmp_path)
    found = as_values(read_ratings([fill(csv_file, csv_file, {"1": "theirs", "2": "ours", "3": "ours"})]))
    assert (found["raters"], found["agreement"]) == (1, {"raw": None, "alpha": None})
    assert (found["judge"]["raw"], found["wins"], found["losses"]) == (0, 2, 1)
    assert found["judge"]["kappa"] < 0


def test_what_can_not_be_taken_is_listed_and_not_counted(tmp_path: Path) -> None:
    csv_file, rows, _ = made(tmp_path)
    one = fill(rows, tmp_path / "one.jsonl", {"1": "ours", "2": "both", "3": "ours"}, rater="Ann")
    two = fill(rows, tmp_path / "two.jsonl", {"1": "theirs", "3": "ours"}, rater="Ann")
    strange = read_set(csv_file)[:1]
    strange[0]["item"], strange[0]["preference"] = "77", "a"
    three = tmp_path / "three.csv"
    three.write_bytes(as_csv(strange))
    found = as_values(read_ratings([one, two, three]))
    assert (found["ratings"], found["wins"], found["items"]) == (1, 1, 1)
    assert sorted(each["reason"] for each in found["refused"]) == [
        "Ann rated it in different ways",
        "item 77 is not in the set",
        "preference is 'both', expected a, b or tie",
    ]


def test_a_missing_key_another_set_and_no_set_are_refused(tmp_path: Path) -> None:
    csv_file, _, key = made(tmp_path)
    (tmp_path / "other").mkdir()
    other, _, _ = made(tmp_path / "other", SHOWN[:2])
    with pytest.raises(InputError, match="different sets"):
        read_ratings([csv_file, other])
    key.unlink()
    with pytest.raises(InputError, match=r"NAME\.key\.json"):
        read_ratings([csv_file])
    for content in (b"", b"a,b\n1,2\n", b"{}\n", b"\xff", b'{"set": "x", "item"'):
        csv_file.write_bytes(content)
        with pytest.raises(InputError, match=r"set\.csv"):
            read_ratings([csv_file])
    with pytest.raises(InputError, match="No such file"):
        read_ratings([tmp_path / "absent.csv"])


@pytest.mark.parametrize(
    "broken",
    [
        {"items": 5},
        {"items": {"1": 5}},
        {"items": {"1": {"candidate": "c"}}},
        {"items": {"1": {"candidate": "a", "judged": []}}},
        {"rule": "other"},
        {"candidate": None},
    ],
)
def test_a_key_that_somebody_edited_is_refused(tmp_path: Path, broken: dict[str, Any]) -> None:
    csv_file, _, key = made(tmp_path)
    key.write_text(json.dumps({**json.loads(key.read_bytes()), **broken}))
    with pytest.raises(InputError, match=r"set\.key\.json: not a key as it was written\. Put back"):
        read_ratings([csv_file])


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_spreadsheet_may_save_it_its_own_way(tmp_path: Path, separator: str) -> None:
    csv_file, _, _ = made(tmp_path)
    rows = read_set(fill(csv_file, tmp_path / "ann.csv", {"1": "ours"}))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[column] for column in COLUMNS] for row in rows)
    (tmp_path / "bob.csv").write_text(out.getvalue())
    assert read_ratings([tmp_path / "bob.csv"]).ratings == (Rating("1", "bob", "win"),)


CELLS = st.text(st.sampled_from("=+-@'\t\r\n\",;ab ＝") | st.characters(exclude_categories=[]), max_size=8)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELLS)), min_size=1, max_size=4))
def test_no_cell_is_a_formula_and_every_cell_comes_back(rows: list[dict[str, str]]) -> None:
    content = as_csv(rows)
    text = content.decode("utf-8-sig", "surrogatepass")
    for cells in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        assert not any(cell[:1] in tuple("=+-@\t\r＝") and cell for cell in cells)
    assert read_bytes(content) == rows


def read_bytes(content: bytes) -> list[dict[str, str]]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.csv"
        path.write_bytes(content)
        return read_set(path)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["win", "tie", "loss"]))))
def test_the_majority_does_not_hang_on_the_order(votes: list[tuple[int, int, Any]]) -> None:
    ratings = [Rating(str(item), str(rater), result) for item, rater, result in votes]
    assert majority(ratings) == majority(ratings[::-1])
    for item, found in majority(ratings).items():
        counts = {kind: sum(one.item == item and one.result == kind for one in ratings) for kind in ("win", "loss")}
        if counts["win"] == counts["loss"]:
            assert found == "tie"


def test_long_answers_are_read_and_the_limit_of_others_is_left_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    rows = [dict.fromkeys(COLUMNS, "x" * (before + 1)) | {"set": "s", "item": "1"}]
    path = tmp_path / "long.csv"
    path.write_bytes(as_csv(rows))
    assert read_set(path) == rows
    assert csv.field_size_limit() == before
