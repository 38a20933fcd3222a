"""The table of seeds and their metadata: written for a person, and read back as what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.running import rows

from codeclm.config import MethodConfig
from codeclm.dataset.encode_examples import MOST, read_encode_examples
from codeclm.dataset.metadata_table import COLUMNS, EncodedSeed, as_table
from codeclm.errors import InputError
from codeclm.records import EncodeExample, Metadata, Seed

_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
_names = st.from_regex(r"[=+\-@]?[a-z.#']{1,9}( [a-z]{1,5})?", fullmatch=True)
_metadata = st.builds(Metadata, _names, st.lists(_names, min_size=1, max_size=3, unique=True).map(tuple))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@given(instructions=st.lists(_texts, min_size=1, max_size=MOST, unique_by=lambda text: " ".join(text.split())),
       metadata=_metadata)  # fmt: skip
def test_what_is_written_is_read_back(
    suffix: str, instructions: list[str], metadata: Metadata, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / f"table{suffix}"
    failed = EncodedSeed(Seed("failed", "=A seed that could not be encoded"), None, "refused")
    seeds = [EncodedSeed(Seed(f"@{n}", text), metadata) for n, text in enumerate(instructions)]
    path.write_bytes(as_table([*seeds, failed], path))
    found = read_encode_examples(path, MethodConfig(), 0)
    assert {*found} == {EncodeExample(text, metadata) for text in instructions}


def test_the_columns_are_these(tmp_path: Path) -> None:
    row = EncodedSeed(Seed("s1", "=1+1"), Metadata("arithmetic", ("a, b;c", "logic")))
    failed = EncodedSeed(Seed("s2", "Sort."), None, "refused")
    csv = as_table([row, failed], Path("t.csv")).decode("utf-8-sig")
    assert csv.split("\r\n") == [
        ",".join(f'"{name}"' for name in COLUMNS),
        '"s1","\'=1+1","arithmetic","a b c, logic",""',
        '"s2","Sort.","","",""',
        "",
    ]
    path = tmp_path / "t.jsonl"
    path.write_bytes(as_table([row, failed], path))
    assert rows(path) == [
        {
            "id": "s1",
            "instruction": "=1+1",
            "use_case": "arithmetic",
            "skills": ["a, b;c", "logic"],
            "corrected": False,
        },
        {"id": "s2", "instruction": "Sort.", "use_case": "", "skills": [], "corrected": False},
    ]


def test_a_half_character_is_written_as_a_whole_one(tmp_path: Path) -> None:
    row = EncodedSeed(Seed("s", "x\ud800"), Metadata("a", ("b",)))
    for name in ("t.csv", "t.jsonl"):
        assert "x\ufffd" in as_table([row], Path(name)).decode()


@pytest.mark.parametrize("name", ["table", "table.txt", "table.parquet", "table.csv.gz"])
def test_another_format_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv, for a spreadsheet, or in \.jsonl"):
        as_table([], Path(name))
