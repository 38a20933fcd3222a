"""Reading rows: every format gives the same rows, and every way a file can be bad is named."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dataset.strategies import texts

from codeclm.dataset.rows import BadRow, convert_rows
from codeclm.errors import InputError

ODD = [
    "plain",
    "a\u2028b\x85c\x0bd\x1ce",
    "nul\x00 bell\x07",
    "« naïve » 👩‍🚀",
    'quote " and \\ slash',
    "tab\tcomma,",
    "two\nlines",
]


def read(path: Path, *, plain_text: bool = True) -> list[tuple[int, Any]]:
    return convert_rows(path, lambda row: row, expected="Expected a row.", plain_text=plain_text)


def write(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def as_jsonl(values: list[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def as_csv(values: list[str], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([["text"], *([value] for value in values)])
    return file.getvalue().encode()


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.csv", "a.tsv", "a.parquet", "a.v2.JSONL"])
def test_every_format_gives_the_rows_it_was_written_from(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    match path.suffix.lower():
        case ".json":
            path.write_text(json.dumps([{"text": text} for text in ODD]), encoding="utf-8")
        case ".csv":
            path.write_bytes(as_csv(ODD))
        case ".tsv":
            path.write_bytes(as_csv(ODD, "\t"))
        case ".parquet":
            pyarrow = pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
            pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
            pyarrow.parquet.write_table(pyarrow.table({"text": ODD}), path, row_group_size=2)
        case _:
            path.write_bytes(as_jsonl([{"text": text} for text in ODD]))
    assert [row for _, row in read(path)] == [{"text": text} for text in ODD]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a", "a.TXT"])
def test_a_text_file_has_a_row_on_each_line(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "one\n\n  two \u2028 still\rtwo\r\n \t\nthree")
    assert read(path) == [(1, "one"), (3, "  two \u2028 still\rtwo"), (5, "three")]


@given(st.lists(texts, min_size=1), st.booleans(), st.booleans(), st.booleans())
def test_jsonl_survives_bom_crlf_and_gzip(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], bom: bool, crlf: bool, zipped: bool
) -> None:
    data = as_jsonl(values)
    data = data.replace(b"\n", b"\r\n") if crlf else data
    data = b"\xef\xbb\xbf" * bom + data
    path = write(
        tmp_path_factory.mktemp("rows"), "a.jsonl.gz" if zipped else "a.jsonl", gzip.compress(data) if zipped else data
    )
    assert read(path) == list(enumerate(values, start=1))


@given(st.lists(texts.filter(lambda text: "\r" not in text), min_size=1))
def test_csv_gives_back_any_text(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    path = write(tmp_path_factory.mktemp("rows"), "a.csv", as_csv(values))
    assert [row["text"] for _, row in read(path)] == values


@given(st.binary(), st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.txt", "a.parquet", "a.csv.gz"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    path = write(tmp_path_factory.mktemp("rows"), name, data)
    with contextlib.suppress(InputError):
        assert read(path)


def test_csv_rows_are_numbered_by_the_line_they_begin_on(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,more\n"two\nlines",x\n\nshort\nlast,y\n')
    assert read(path) == [
        (2, {"text": "two\nlines", "more": "x"}),
        (5, {"text": "short"}),
        (6, {"text": "last", "more": "y"}),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_may_have_any_line_ends(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, "a.csv", end.join(["text", "one", "two"]))
    assert read(path) == [(2, {"text": "one"}), (3, {"text": "two"})]


def test_csv_takes_long_texts_and_leaves_the_limit_of_others_alone(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "x" * (before + 1)
    assert read(write(tmp_path, "a.csv", as_csv([text]))) == [(2, {"text": text})]
    assert csv.field_size_limit() == before


def test_all_bad_lines_are_listed_up_to_ten(tmp_path: Path) -> None:
    lines = [b'{"ok": 1}', b"\xff", b"{", *[b"nonsense"] * 11]
    message = refusal(write(tmp_path, "a.jsonl", b"\n".join(lines)))
    assert "13 problems" in message
    assert "line 2: not UTF-8 (byte 0xff at byte 1 of the line)" in message
    assert "line 3: not JSON" in message
    assert "line 11: not JSON" in message
    assert "line 12" not in message
    assert "and 3 more" in message
    assert message.endswith("Expected a row.")


def test_the_callers_bad_rows_are_listed_with_the_readers(tmp_path: Path) -> None:
    def refuse(row: object) -> None:
        if row == 2:
            raise BadRow("found a two")

    path = write(tmp_path, "a.jsonl", "1\n2\n{\n")
    with pytest.raises(InputError, match=r"(?s)line 2: found a two.*line 3: not JSON"):
        convert_rows(path, refuse, expected="No twos.")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl", b"", "no rows"),
        ("a.jsonl", b"\n \r\n", "no rows"),
        ("a.json", b" ", "no rows"),
        ("a.json", b"[]", "no rows"),
        ("a.csv", b"text\n", "no rows"),
        ("a.txt", b"\xef\xbb\xbf", "no rows"),
        ("a.jsonl", b'[\n{"a": 1}\n]', "a file that is one array is named .json"),
        ("a.jsonl", rb'"\ud800"', "line 1: not JSON"),
        ("a.jsonl", rb'"\udc00"', "line 1: not JSON"),
        ("a.jsonl", b"[" * 5000, "line 1: not JSON"),
        ("a.json", b'{"a": 1}\n{"a": 2}', "line 2: not JSON"),
        ("a.json", b'{"data": []}', "found an object with the fields data, expected an array"),
        ("a.json", b'["a",\n"\xff"]', "line 2: not UTF-8"),
        ("a.csv", b"text\nok\n\xff\n", "line 3: not UTF-8"),
        ("a.csv", b"text\na,b\n", "line 2: 2 fields, the header has 1; text that has a ',' in it needs quotes"),
        ("a.csv", b'text\nok\n"never closed\nand on\n', "line 3: not CSV"),
        ("a.txt", b"ok\nfine\xc3\n", "line 2: not UTF-8"),
        ("a.txt", "text".encode("utf-16"), "UTF-16"),
        ("a.jsonl.gz", b"not gzip", "can't be read"),
        ("a.jsonl.gz", gzip.compress(b'"a"', mtime=0)[:-9], "can't be read"),
        ("a.xlsx", b"", "the suffix '.xlsx' names no format read here. Expected .jsonl"),
        ("a.parquet.gz", b"", "names no format"),
        ("a.parquet", b"nonsense", "not a Parquet file"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    if name == "a.parquet":
        pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    assert said in refusal(write(tmp_path, name, data))


def test_a_missing_file_a_folder_and_a_forbidden_file_are_told_apart(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.jsonl")
    assert "this is a folder" in refusal(tmp_path)
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    assert "can't be read" in refusal(loop)


def test_plain_text_may_be_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names no format"):
        read(write(tmp_path, "a.txt", "one"), plain_text=False)


def test_parquet_without_pyarrow_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'codeclm[parquet]'" in refusal(write(tmp_path, "a.parquet", b""))


def test_an_error_shows_no_control_characters_of_the_file(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, "a.json", json.dumps({"\x1b[31mred\n": 1, "x" * 500: 2})))
    assert "\x1b" not in message
    assert "x" * 80 not in message


def test_a_long_file_is_not_held_twice(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps({"instruction": f"{number} " + "word " * 60}) + "\n" for number in range(5000)))
    tracemalloc.start()
    try:
        convert_rows(path, number_of, expected="")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * path.stat().st_size


def number_of(row: object) -> int:
    assert isinstance(row, dict)
    return int(row["instruction"].split()[0])
